"""Sums of the intensities of objects that no rounding reaches, and so no order and no strip.

Added up one by one, values that are large next to their differences lose the differences. Here each value is
cut into whole numbers of 24 or 32 bits, and those are summed, as such, in 64 bits.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_HALF = 32
"""Bits of the lower part of a whole number of 64."""
_BITS = 24
"""Bits of each part of a floating-point number: sums of 2**39 pixels fit into 64."""


class ExactSums:
    """The sum of the pixels of each object; all values are finite.

    Parameters
    ----------
    objects : int
        How many there are.
    """

    def __init__(self, objects: int) -> None:
        self._objects = objects
        self._parts: dict[int, Ints] = {}  # of each, its sums in units of 2**key

    def add(self, values: NDArray[Any], first: Ints, which: Ints) -> None:
        """Add pixels that lie in runs, each of one object.

        Parameters
        ----------
        values : ndarray of bool, int or float, shape (pixels,)
        first, which : ndarray of int64, shape (runs,)
            Where each run begins, in rising order from 0, and its object, from 0.
        """
        if values.dtype.kind == "f":
            self._add_floats(values.astype(np.float64), first, which)
        elif values.dtype.itemsize < 8:
            self._add(0, values.astype(np.int64), first, which)
        else:
            lower = values & values.dtype.type(2**_HALF - 1)
            self._add(0, lower.astype(np.int64), first, which)
            self._add(_HALF, (values >> values.dtype.type(_HALF)).astype(np.int64), first, which)

    def _add_floats(self, values: Floats, first: Ints, which: Ints) -> None:
        _, exponent = np.frexp(np.abs(values).max(initial=0))
        key = (int(exponent) - 1) // _BITS * _BITS
        while values.any():  # all steps are exact: parts are multiples of powers of two, rests are shorter
            part = np.trunc(np.ldexp(values, -key))
            self._add(key, part.astype(np.int64), first, which)
            values -= np.ldexp(part, key)
            key -= _BITS

    def _add(self, key: int, parts: Ints, first: Ints, which: Ints) -> None:
        total = self._parts.setdefault(key, np.zeros(self._objects, np.int64))
        np.add.at(total, which, np.add.reduceat(parts, first))

    def total(self) -> Floats:
        """Return the sums, rounded to the nearest numbers of double precision or those beside them."""
        total, rounded = np.zeros(self._objects), np.zeros(self._objects)
        for key, parts in sorted(self._parts.items(), reverse=True):
            for more in (parts >> _HALF << _HALF, parts & (2**_HALF - 1)):  # each fits into 53 bits
                term = np.ldexp(more.astype(np.float64), key)
                added = total + term  # what this rounds away is exact, by Knuth's sum of two
                back = added - total
                rounded += (total - (added - back)) + (term - back)
                total = added
        found: Floats = total + rounded
        return found
