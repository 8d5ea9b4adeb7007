"""The runs of pixels of one label in a strip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LabelRuns:
    """The runs of pixels of one label in a strip, row after row.

    Attributes
    ----------
    which : ndarray of int64, shape (runs,)
        The object of each, numbered from 0 among those of the strip.
    y, start, stop : ndarray of int64, shape (runs,)
        Its row in the strip, and its columns, half-open.
    index : ndarray of int64, shape (objects of the strip,)
        Their numbers among all objects, from 0, rising.
    """

    which: Ints
    y: Ints
    start: Ints
    stop: Ints
    index: Ints

    @classmethod
    def of(cls, labels: NDArray[np.integer]) -> LabelRuns:
        """Return the runs of a strip; background has none."""
        flat, width = labels.ravel(), labels.shape[1]
        begins = np.empty(flat.size + 1, bool)
        np.not_equal(flat[1:], flat[:-1], out=begins[1:-1])
        begins[::width] = True
        places = np.flatnonzero(begins)
        own = flat[places[:-1]]
        some = np.flatnonzero(own)
        which, (y, start) = own[some].astype(np.int64), np.divmod(places[some], width)
        low = int(which.min(initial=np.iinfo(np.int64).max))
        there = np.bincount(which - low) > 0
        number = np.cumsum(there) - 1
        stop = start + places[some + 1] - places[some]
        return cls(number[which - low], y, start, stop, np.flatnonzero(there) + (low - 1))
