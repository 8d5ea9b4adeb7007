"""A problem of a training set, as a message."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """Something wrong with a training set.

    Attributes
    ----------
    severity : {"error", "warning"}
        ``error``: a training would fail or be spoilt. ``warning``: it may be.
    file : str
        The file with the problem; empty if it concerns the whole set.
    message : str
        What was expected, what came, and what to do.
    """

    severity: Severity
    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}" if self.file else self.message
