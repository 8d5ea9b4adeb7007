"""Areas of convex hulls, from the first and last pixel of each object in each row; no image is made.

The definition is that of `skimage.morphology.convex_hull_image`: the hull of the middles of all edges of
pixels, and of its pixels those whose centres lie in it or on its border. That is the hull of the centres,
widened by a diamond: its Minkowski sum with the points of ``|x| + |y| <= 1/2``. So the hull of the centres is
enough. Its corners are whole numbers, and all sums are exact.

Only rows in which that hull has a corner count. When too many rows are held, the others are dropped: the hull
of what is left and of what comes is the same. And hulls of objects that have ended are counted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

ROW_BYTES = 64
"""Memory for a row of an object: four numbers of 32 bits, and what it takes to sort them."""
_BLOCK = 2**18
"""About how many rows are looked at together."""
_ROOM = 8
"""An eighth of the memory must be free after rows were dropped: else each strip would sort all of them."""
_FAR = 2**62
_UNKNOWN = -1


class Hulls:
    """Takes the rows of a page's objects, strip by strip from top to bottom.

    Parameters
    ----------
    objects : int
        How many objects there are.
    memory : int
        Bytes that may be used. If more are needed for objects that have not ended, there are no areas.

    Attributes
    ----------
    too_many : bool
        Whether more were needed.
    """

    def __init__(self, objects: int, memory: int) -> None:
        self._most = memory // ROW_BYTES
        self._held: list[NDArray[np.int32]] = []
        self._count = 0
        self._areas = np.zeros(objects, np.int64)
        self._ended = np.zeros(objects, bool)
        self.too_many = False

    def add(self, extents: Ints) -> None:
        """Take for some objects, numbered from 0, the columns of the first and last pixel in some rows.

        Parameters
        ----------
        extents : ndarray of int64, shape (4, n)
            Object, row, first and last column. A row of an object comes once.
        """
        new = extents.shape[1]
        if not self.too_many and self._count + new > self._most:
            self._make_room(int(extents[1].min()))
            self.too_many = self._count + max(new, self._most // _ROOM) > self._most
        if self.too_many:
            self._held, self._count = [], 0
        else:
            self._held.append(extents.astype(np.int32))
            self._count += new
            self._areas[extents[0][self._ended[extents[0]]]] = _UNKNOWN

    def _make_room(self, row: int) -> None:
        """Count the hulls of objects that seem to have ended above a row; drop rows of the others."""
        kept = []
        for block in _blocks(self._sorted()):
            page = _Rows.of(block)
            ended = page.bottoms < row - 1
            over = np.repeat(ended, page.points)
            self._count_pixels(block[:, over])
            self._ended[block[0, over]] = True
            rest = block[:, ~over]
            corners = [_corners(rest[0], rest[1], side) for side in (rest[2], -rest[3])]
            kept.append(rest[:, np.union1d(*corners)].astype(np.int32))
        self._held, self._count = kept, sum(block.shape[1] for block in kept)

    def _count_pixels(self, block: Ints) -> int:
        """Count the pixels of the hulls of some objects, and return how many objects they are."""
        if not block.shape[1]:
            return 0
        page = _Rows.of(block)
        widths = 1 - page.first_columns(-block[3]) - page.first_columns(block[2])
        found = np.add.reduceat(widths, page.offsets)
        which = block[0, page.starts]
        self._areas[which] = np.where(self._ended[which], _UNKNOWN, found)
        return len(which)

    def _sorted(self) -> NDArray[np.int32]:
        """Return all rows in the order of objects and, of each, from top to bottom; none is held after."""
        extents = np.concatenate([np.zeros((4, 0), np.int32), *self._held], axis=1)
        self._held = []
        keys = extents[0] * np.int64(2**31) + extents[1]
        return extents[:, np.argsort(keys, kind="stable")]

    def areas(self, done: Callable[[int], object] = lambda objects: None) -> Ints:
        """Return the pixels of each hull, -1 where they are not known, and 0 for an object without rows.

        They are not known if memory did not suffice, or for an object that went on after it seemed to end.
        `done` is called with the number of objects that are done since the last call.
        """
        if self.too_many:
            return np.full(len(self._areas), _UNKNOWN)
        self._held = [self._sorted()]
        for block in _blocks(self._held[0]):
            done(self._count_pixels(block))
        return self._areas


def _blocks(extents: NDArray[np.int32]) -> Iterator[Ints]:
    """Yield the rows of about so many objects that `_BLOCK` rows lie between their tops and bottoms."""
    if not extents.shape[1]:
        return
    which, rows = extents[:2]
    starts = _starts(which)
    stops = np.append(starts[1:], len(which))
    numbers = np.cumsum(rows[stops - 1] - rows[starts] + np.int64(1)) // _BLOCK
    firsts = _starts(numbers)
    for first, stop in zip(starts[firsts], np.append(starts[firsts[1:]], len(which)), strict=True):
        yield extents[:, first:stop].astype(np.int64)


def _starts(numbers: NDArray[np.integer]) -> Ints:
    """Return where a number differs from that before it; also the first one."""
    return np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1]))


def _corners(which: Ints, rows: Ints, columns: Ints) -> Ints:
    """Return the indices of the points at which the left side of an object's hull has a corner, in order."""
    alive, done = np.arange(len(which)), []
    while len(alive):
        own, y, x = which[alive], rows[alive], columns[alive]
        turn = (x[1:-1] - x[:-2]) * (y[2:] - y[:-2]) - (x[2:] - x[:-2]) * (y[1:-1] - y[:-2])
        # A point on the line of its neighbours, or right of it, is no corner. So all may go at once.
        drop = np.zeros(len(alive), bool)
        drop[1:-1] = (turn >= 0) & (own[:-2] == own[2:])
        again = np.isin(own, own[drop])
        done.append(alive[~again])
        alive = alive[again & ~drop]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *done]))


@dataclass(frozen=True, eq=False)
class _Rows:
    """All rows between top and bottom of some objects, one object after the other.

    Attributes
    ----------
    which, rows : ndarray of int64
        Object and row of each point of the outlines.
    starts, points, bottoms : ndarray of int64
        The first point of each object, how many it has, and its last row.
    offsets : ndarray of int64
        The place of each object's top among all rows.
    place : ndarray of int64
        The place of each point's row.
    """

    which: Ints
    rows: Ints
    starts: Ints
    points: Ints
    bottoms: Ints
    offsets: Ints
    place: Ints
    count: int

    @classmethod
    def of(cls, extents: Ints) -> "_Rows":
        """Return them for rows that are sorted."""
        which, rows = extents[:2]
        starts = _starts(which)
        points = np.diff(np.append(starts, len(which)))
        bottoms = rows[starts + points - 1]
        heights = bottoms - rows[starts] + 1
        offsets = np.cumsum(heights) - heights
        place = rows + np.repeat(offsets - rows[starts], points)
        return cls(which, rows, starts, points, bottoms, offsets, place, int(heights.sum()))

    def first_columns(self, columns: Ints) -> Ints:
        """Return the first column in the hull for each row, if those of the points are `columns`."""
        found = np.full(self.count, _FAR)
        corners = _corners(self.which, self.rows, columns)
        found[self.place[corners]] = columns[corners]
        one, other = corners[:-1], corners[1:]
        same = self.which[one] == self.which[other]
        one, other = one[same], other[same]
        high, wide = self.rows[other] - self.rows[one], columns[other] - columns[one]
        edge = np.repeat(np.arange(len(one)), high + 1)
        down = np.arange(len(edge)) - np.repeat(np.cumsum(high + 1) - high - 1, high + 1)
        place, high, wide, start = self.place[one][edge] + down, high[edge], wide[edge], columns[one][edge]
        # The diamond widens a side by half a pixel in its row or, where it is steeper, from half a row away.
        for half in (-1, 0, 1):
            there = (2 * down + half >= 0) & (2 * down + half <= 2 * high)
            twice = 2 * start * high + wide * (2 * down + half) - (high if half == 0 else 0)
            np.minimum.at(found, place[there], -(-twice // (2 * high))[there])
        return found
