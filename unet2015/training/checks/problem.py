"""A problem of a training set, as a message."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from unet2015.wording import counted, listed

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


def problem_of(severity: Severity, file: Path, text: str) -> Problem:
    """Return a problem of a file; the text may name the file itself, which is left out then."""
    return Problem(severity, str(file), text.removeprefix(str(file)).lstrip(":, "))


def errors_of(problems: Sequence[Problem]) -> list[Problem]:
    """Return the problems that are errors."""
    return [problem for problem in problems if problem.severity == "error"]


def merged(problems: Sequence[Problem]) -> list[Problem]:
    """Return problems in their order; the same one of several files is the first one's, with their number."""
    same: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        same.setdefault((problem.severity, problem.message), []).append(problem)
    found = []
    for first, *others in same.values():
        more = f" (and {counted(len(others), 'more file')})" if others else ""
        found.append(replace(first, message=first.message + more))
    return found


def grouped(texts: Sequence[str]) -> Iterator[str]:
    """Say a problem of several pages only once."""
    places: dict[str, list[str]] = {}
    for text in texts:
        match = re.search(r", page ([0-9]+): ", text)
        what = text[match.end() :] if match else text
        places.setdefault(what, []).append(match[1] if match else "")
    for what, pages in places.items():
        several = f"{len(pages)} pages ({listed(pages)})" if len(pages) > 1 else f"page {pages[0]}"
        yield f"{several}: {what}" if pages[0] else what
