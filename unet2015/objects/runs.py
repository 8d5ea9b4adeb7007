"""The connected parts of a strip as runs of equal pixels: few numbers, where objects are not tiny.

Pixels are read once to find the runs, and written when somebody wants them. All between looks at runs alone.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unet2015.settings.objects import ObjectSettings

KEPT = 2**22
"""Runs that are kept for the second pass over an image: at most 32 MiB. Strips beyond are labelled again."""

Numbers = NDArray[np.int64]
_DENSE = 8
"""Where runs are shorter than this on average, as in noise, joining pixels is faster than joining runs."""
Mask = NDArray[np.bool_]
Parts = NDArray[np.int32]
"""Parts of a strip by themselves: 1, 2, ..., first the objects, then the background; 0 is none."""


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of a strip, row after row; each ends with its row at the latest.

    Attributes
    ----------
    starts : ndarray of int, shape (runs,)
        Where each begins, counted along the rows.
    parts : ndarray of int32, shape (runs,)
        The part of its pixels.
    shape : tuple of int
        Rows and width of the strip.
    objects, count : int
        How many parts are objects, and how many there are.
    """

    starts: NDArray[np.integer]
    parts: Parts
    shape: tuple[int, int]
    objects: int
    count: int

    def __len__(self) -> int:
        return len(self.starts)

    def areas(self) -> Numbers:
        """Return the pixels of each part, shape (count,)."""
        sums = np.bincount(self.parts, self._lengths(), self.count + 1)  # floats, but of whole numbers
        return sums[1:].astype(np.int64)

    def filled(self, values: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return for each pixel the value of its part, shape (rows, width); the first value is for part 0."""
        return np.repeat(values[self.parts], self._lengths()).reshape(self.shape)

    def pixels(self) -> Parts:
        """Return the part of each pixel, shape (rows, width)."""
        return self.filled(np.arange(self.count + 1, dtype=np.int32))

    def row(self, row: int) -> Parts:
        """Return the part of each pixel of a row, shape (width,)."""
        start, stop = row * self.shape[1], (row + 1) * self.shape[1]
        one = slice(*np.searchsorted(self.starts, [start, stop]))
        return np.repeat(self.parts[one], np.diff(self.starts[one], append=stop))

    def meet(self, top: int, bottom: int, left: int, right: int) -> Mask:
        """Return which parts have pixels in a region, shape (count,)."""
        width, found = self.shape[1], np.zeros(self.count + 1, bool)
        some = slice(*np.searchsorted(self.starts, [top * width, bottom * width]))
        first = self.starts[some] % width
        last = first + self._lengths()[some]
        found[self.parts[some][np.maximum(first, left) < np.minimum(last, right)]] = True
        return found[1:]

    def _lengths(self) -> NDArray[np.integer]:
        return np.diff(self.starts, append=self.shape[0] * self.shape[1])


class Meeting:
    """Where the runs of a strip meet; in a row, objects and background take turns.

    Parameters
    ----------
    starts : ndarray of int64, shape (runs,)
        Where each begins, counted along the rows.
    solid : ndarray of bool, shape (runs,)
        Whether its pixels belong to objects.
    shape : tuple of int
        Rows and width of the strip.
    connectivity : {1, 2}
        Of objects. Background shares edges, as in scipy's binary_fill_holes: a diagonal gap is none.
    """

    def __init__(self, starts: Numbers, solid: Mask, shape: tuple[int, int], connectivity: int) -> None:
        self._starts, self._solid, self._shape = starts, solid, shape
        self._connectivity = connectivity
        self._low = int(np.searchsorted(starts, shape[1]))  # the first run of the second row

    @cached_property
    def _above(self) -> tuple[Numbers, Mask, Mask, Numbers, Numbers]:
        """What lies above the runs from the second row on.

        Of each: the run above its first pixel; whether that begins there, too; whether it is not the first of
        its row; and the runs that are joined with it, each second from one to another, none if that is less.
        """
        (rows, width), starts = self._shape, self._starts
        places = np.append(starts[self._low :], rows * width) - width  # the last is above the end
        above, own = np.searchsorted(starts, places, "right") - 1, self._solid[self._low :]
        begins, within = starts[above] == places, places % width > 0
        first, last = above[:-1], above[1:] - begins[1:]
        if self._connectivity == 2:
            corner = begins & within
            first, last = first - (corner[:-1] & own), last + (corner[1:] & own)
        return above[:-1], begins[:-1], within[:-1], first + (self._solid[first] != own), last

    def joined(self, background: bool) -> tuple[Numbers, Numbers]:
        """Return pairs of runs that are joined; of background only if it is wanted."""
        _, _, _, first, last = self._above
        some = np.flatnonzero((first <= last) & (self._solid[self._low :] | background))
        more = (last - first)[some] // 2 + 1
        each = np.repeat(np.arange(len(some)), more)
        nth = np.arange(len(each)) - np.repeat(np.cumsum(more) - more, more)
        return first[some][each] + 2 * nth, some[each] + self._low

    def touching(self) -> tuple[Numbers, Numbers]:
        """Return pairs of runs that share an edge, object and background: one or more of each pair of parts.

        Where the parts of a pair touch in the row above already, it is left out.
        """
        above, begins, within, first, last = self._above
        alike = self._solid[above] == self._solid[self._low :]
        known = (first <= last) & (alike | ~begins)
        beside = np.append(np.arange(1, self._low), np.flatnonzero(within & ~known) + self._low)
        below = np.flatnonzero(~alike & begins)
        return np.append(beside - 1, above[below]), np.append(beside, below + self._low)


def label_strip(inside: Mask, settings: ObjectSettings) -> tuple[Runs, Meeting]:
    """Return the parts of a strip, and where its runs meet.

    Parameters
    ----------
    inside : ndarray of bool, shape (rows, width)
        Pixels of objects.
    settings : ObjectSettings
        Connectivity, and whether holes are looked for. If not, background is no part.

    Returns
    -------
    runs : Runs
        Objects are numbered in the order of their first pixels, and background is, too.
    meeting : Meeting
    """
    flat, width = inside.ravel(), inside.shape[1]
    begins = np.empty(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    begins[::width] = True
    starts = np.flatnonzero(begins)
    solid = flat[starts]
    meeting = Meeting(starts, solid, inside.shape, settings.connectivity)
    if len(starts) * _DENSE > flat.size:
        structure = ndimage.generate_binary_structure(2, settings.connectivity)
        parts, ground = ndimage.label(inside, structure)[0].ravel()[starts], np.zeros(0, np.int32)
        if settings.fill_holes:
            ground = ndimage.label(~inside)[0].ravel()[starts[~solid]]
    else:
        least = least_joined(len(starts), *meeting.joined(settings.fill_holes))
        first = least == np.arange(len(starts))
        parts = (np.cumsum(first & solid)[least] * solid).astype(np.int32)
        ground = np.cumsum(first & ~solid)[least[~solid]]
    objects = count = int(parts.max())
    if settings.fill_holes:
        parts[~solid] = ground + objects
        count = int(parts.max())
    kind = np.int32 if flat.size < 2**31 else np.int64
    return Runs(starts.astype(kind), parts, inside.shape, objects, count), meeting


def least_joined(count: int, one: Numbers, other: Numbers) -> Numbers:
    """Return for each of the numbers 0 to `count` - 1 the least that is joined with it, by pairs of them."""
    least = np.arange(count)
    while len(one):
        np.minimum.at(least, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(further := least[least], least):
            least = further
        one, other = least[one], least[other]
        apart = one != other
        one, other = one[apart], other[apart]
    return least
