"""The parts of a strip as runs of equal pixels: few numbers, where objects are larger than a few pixels."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

KEPT = 2**22
"""Runs that are kept for the second pass over an image: at most 32 MiB. Strips beyond are labelled again."""


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of a strip, row after row; a run may go on in the next row.

    Attributes
    ----------
    starts : ndarray of int, shape (runs,)
        Where each begins, counted along the rows.
    parts : ndarray of int, shape (runs,)
        The part of its pixels; 0 is none.
    size : int
        Pixels of the strip.
    count : int
        How many parts there are.
    """

    starts: NDArray[np.integer]
    parts: NDArray[np.integer]
    size: int
    count: int

    @classmethod
    def of(cls, parts: NDArray[np.integer], count: int) -> Self:
        """Return the runs of a strip with so many parts."""
        flat = parts.ravel()
        starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
        kind = np.int32 if flat.size < 2**31 else np.int64
        return cls(starts.astype(kind), flat[starts], flat.size, count)

    def __len__(self) -> int:
        return len(self.starts)

    def areas(self) -> NDArray[np.int64]:
        """Return the pixels of each part, shape (count,)."""
        sums = np.bincount(self.parts, self._lengths(), self.count + 1)  # floats, but of whole numbers
        return sums[1:].astype(np.int64)

    def filled(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return for each pixel the value of its part, shape (size,); the first value is for part 0."""
        return np.repeat(values[self.parts], self._lengths())

    def _lengths(self) -> NDArray[np.integer]:
        return np.diff(self.starts, append=self.size)
