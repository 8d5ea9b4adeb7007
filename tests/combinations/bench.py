"""Where a combination is played: a folder, commands in it, and comparisons that are counted."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.combinations import results
from tests.fuzz.commands import Ended, command, inside


class DiffersError(AssertionError):
    """Something is not as it must be."""


@dataclass
class Bench:
    """Where a combination is played, and what was looked at.

    Attributes
    ----------
    folder : Path
        Empty; commands run in it.
    words : list of str
        The commands that ran, for the one who looks into a finding.
    checks : int
        Things that were compared.
    """

    folder: Path
    words: list[str] = field(default_factory=list)
    checks: int = 0

    def run(self, *words: object, status: int = 0) -> Ended:
        """Run a command that must end with an exit status."""
        line = [str(word) for word in words]
        self.words.append("unet2015 " + " ".join(line))
        with inside(self.folder):
            ended = command(*line)
        self.same("exit status", ended.status, status, f": {ended.err}{ended.out}")
        return ended

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Call functions of the package in the folder; what they say is not shown."""
        with inside(self.folder), contextlib.redirect_stderr(io.StringIO()):
            yield

    def same(self, what: str, came: object, wanted: object, more: str = "") -> None:
        """Compare two values."""
        self.checks += 1
        if came != wanted:
            raise DiffersError(f"{what}: {came!r} instead of {wanted!r}{more}")

    def close(self, what: str, came: Any, wanted: Any, tolerance: float, scale: float | None = None) -> None:
        """Compare numbers, relative to the largest or to `scale`."""
        self.checks += 1
        came, wanted = np.asarray(came, np.float64), np.asarray(wanted, np.float64)
        if came.shape != wanted.shape:
            raise DiffersError(f"{what}: shape {came.shape} instead of {wanted.shape}")
        scale = float(np.abs(wanted).max(initial=0)) if scale is None else scale
        # `not <=`, as NaN must be seen, too.
        bad = ~((np.abs(came - wanted) <= tolerance * max(scale, 1e-300)) | (came == wanted))
        if bad.any():
            first = tuple(np.argwhere(bad)[0])
            raise DiffersError(f"{what}: {came[first]} instead of {wanted[first]}, {bad.sum()} differ")

    def calibrated(self, what: str, came: results.Result, wanted: dict[str, float]) -> None:
        """Compare calibrations."""
        self.same(f"{what}, what is calibrated", sorted(came.calibration), sorted(wanted))
        for letter, step in wanted.items():
            self.close(f"{what}, step along {letter}", came.calibration[letter], step, 1e-5)
