"""The connected parts of a strip as runs of equal pixels: few numbers, where objects are not tiny.

Pixels are read once to find the runs, and written when somebody wants them. All between looks at runs alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unet2015.settings.objects import ObjectSettings

Numbers = NDArray[np.int64]
_TOGETHER = 2**17
"""Pixels that are written at a time."""
_EXACT = 2**26
"""Up to here a place between two ends is exact in parts of the way between them: 53 bits suffice."""
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

    def fill(self, values: NDArray[np.int32], into: NDArray[np.integer]) -> None:
        """Write what `filled` returns into an array, a few rows at a time: they stay in the cache."""
        (height, width), of_run, lengths = self.shape, values[self.parts], self._lengths()
        rows = max(1, _TOGETHER // width)
        for top in range(0, height, rows):
            stop = min(top + rows, height)
            some = slice(*np.searchsorted(self.starts, [top * width, stop * width]))
            into[top:stop] = np.repeat(of_run[some], lengths[some]).reshape(stop - top, width)

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


@dataclass(frozen=True, eq=False)
class _Kind:
    """The runs of objects of a strip, or those of background; they are numbered by themselves here.

    Attributes
    ----------
    places : ndarray of int64, shape (runs,)
        Which of all runs of the strip each is.
    starts, stops : ndarray of int64, shape (runs,)
        Where each begins and ends, half-open, counted along the rows.
    first : ndarray of int64, shape (runs,)
        The first run that ends above or behind the first pixel of each, or that touches its corner.
    joined : ndarray of bool, shape (runs,)
        Whether this run touches it from above.
    limits : ndarray of int64, shape (runs,)
        All further runs that begin before this touch it, too.
    """

    places: Numbers
    starts: Numbers
    stops: Numbers
    first: Numbers
    joined: Mask
    limits: Numbers

    @classmethod
    def of(cls, grid: "_Grid", places: Numbers, corners: bool) -> "_Kind":
        """Return it for some of the runs, in which corners join or not."""
        starts, stops = grid.starts[places], grid.starts[places + 1]
        above, limits = starts - grid.width, stops - grid.width
        if corners:
            above -= ~grid.opens[places]
            limits += ~grid.opens[places + 1]
        first = _up_to(stops, above)
        return cls(places, starts, stops, first, starts[first] < limits, limits)

    def least(self) -> Numbers:
        """Return for each run the first of those with which it is connected."""
        first, count = self.first, len(self.first)
        least = _followed(np.where(self.joined, first, np.arange(count)))
        some = np.flatnonzero(self.joined & (self.starts.take(first + 1, mode="clip") < self.limits))
        if len(some):
            more = np.searchsorted(self.starts, self.limits[some]) - 1 - first[some]
            each = np.repeat(np.arange(len(some)), more)
            nth = np.arange(len(each)) - np.repeat(np.cumsum(more) - more, more)
            one, other = least[first[some][each] + 1 + nth], least[some][each]
            least = least_joined(count, one, other)[least]
        return least


@dataclass(frozen=True, eq=False)
class _Grid:
    """All runs of a strip.

    Attributes
    ----------
    starts : ndarray of int64, shape (runs + 1,)
        Where each begins, counted along the rows; the last is the end of the strip.
    opens : ndarray of bool, shape (runs + 1,)
        Whether a row begins with it, or after it.
    width : int
        Of the strip.
    """

    starts: Numbers
    opens: Mask
    width: int

    @classmethod
    def of(cls, inside: Mask) -> "_Grid":
        """Return the runs of equal pixels; in a row, objects and background take turns."""
        flat, width = inside.ravel(), inside.shape[1]
        begins = np.empty(flat.size + 1, bool)
        np.not_equal(flat[1:], flat[:-1], out=begins[1:-1])
        begins[::width] = True
        starts = np.flatnonzero(begins)
        opens = np.zeros(len(starts), bool)
        opens[np.searchsorted(starts, np.arange(0, flat.size + 1, width))] = True
        return cls(starts, opens, width)


@dataclass(frozen=True, eq=False)
class Meeting:
    """Where the runs of a strip meet."""

    _grid: _Grid
    _kinds: list[_Kind]

    def touching(self) -> tuple[Numbers, Numbers]:
        """Return pairs of runs that share an edge, object and background: one or more of each pair of parts.

        Where the parts of a pair touch in the row above already, it is left out.
        """
        found = [self._of(kind) for kind in self._kinds]
        one, other = (np.concatenate(side) for side in zip(*found, strict=True))
        return one, other

    def _of(self, kind: _Kind) -> tuple[Numbers, Numbers]:
        """Return those of which the lower run, or the right one, is of a kind."""
        grid, above, opens = self._grid, kind.starts - self._grid.width, self._grid.opens[kind.places]
        first = kind.first + (kind.stops[kind.first] <= above)  # without corners
        # Whether the run above the first pixel is of this kind; whether that begins there, too.
        alike = kind.starts[first] <= above
        begins = np.where(alike, kind.starts[first] == above, opens | (kind.stops[first - 1] == above))
        beside = kind.places[~opens & ~(kind.joined & (alike | ~begins))]
        below = np.flatnonzero(~alike & begins & (above >= 0))
        over = np.searchsorted(grid.starts, above[below])
        return np.append(beside - 1, over), np.append(beside, kind.places[below])


def label_strip(inside: Mask, settings: ObjectSettings) -> tuple[Runs, Meeting]:
    """Return the parts of a strip, and where its runs meet.

    Parameters
    ----------
    inside : ndarray of bool, shape (rows, width)
        Pixels of objects.
    settings : ObjectSettings
        Connectivity of objects, and whether holes are looked for. If not, background is no part. Else it is
        connected where it shares edges, as in scipy's binary_fill_holes: a diagonal gap is none.

    Returns
    -------
    runs : Runs
        Objects are numbered in the order of their first pixels, and background is, too.
    meeting : Meeting
        Of strips in which holes are looked for.
    """
    grid, holes = _Grid.of(inside), settings.fill_holes
    starts = grid.starts[:-1]
    solid, dense = inside.ravel()[starts], len(starts) * _DENSE > inside.size
    parts, counts, kinds = np.zeros(len(starts), np.int32), [0], []
    for own, way in ((True, settings.connectivity), (False, 1))[: 2 if holes else 1]:
        some = np.flatnonzero(solid == own)
        if holes or not dense:
            kinds.append(_Kind.of(grid, some, corners=way == 2))
        if dense:
            structure = ndimage.generate_binary_structure(2, way)
            found = ndimage.label(inside == own, structure)[0].ravel()[starts[some]]
        else:
            least = kinds[-1].least()
            found = np.cumsum(least == np.arange(len(least)))[least]
        parts[some] = found + counts[-1]
        counts.append(counts[-1] + int(found.max(initial=0)))
    size = np.int32 if inside.size < 2**31 else np.int64
    return Runs(starts.astype(size), parts, inside.shape, counts[1], counts[-1]), Meeting(grid, kinds)


def _up_to(ends: Numbers, places: Numbers) -> Numbers:
    """Return how many of `ends` are not beyond each place; both rise, and no end comes twice."""
    if not len(ends) or ends[-1] > _EXACT:
        return np.searchsorted(ends, places, "right")
    # Interpolation looks on from where it was, searchsorted begins anew: a bit more than half the time.
    return np.interp(places, ends, np.arange(1, len(ends) + 1), left=0).astype(np.int64)


def _followed(least: Numbers) -> Numbers:
    """Return where one comes by going from each number to that which it names, again and again."""
    further = least.take(least)
    while (further != least).any():
        least = further.take(further)
        further = least.take(least)
    return least


def runs_of_values(strip: NDArray[np.generic]) -> tuple[Numbers, NDArray[Any]]:
    """Return where runs of equal pixels begin, counted along the rows across their ends, and their values."""
    flat = strip.ravel()
    begins = np.ones(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    starts = np.flatnonzero(begins)
    return starts, flat[starts]


def each_once(codes: Numbers) -> Numbers:
    """Return the different numbers, rising; sorted, which takes less than the tables of NumPy's unique."""
    codes = np.sort(codes)
    found: Numbers = codes[np.append(True, codes[1:] != codes[:-1])[: len(codes)]]
    return found


def least_joined(count: int, one: Numbers, other: Numbers) -> Numbers:
    """Return for each of the numbers 0 to `count` - 1 the least that is joined with it, by pairs of them."""
    least = np.arange(count)
    while len(one):
        np.minimum.at(least, np.maximum(one, other), np.minimum(one, other))
        least = _followed(least)
        one, other = least[one], least[other]
        apart = one != other
        one, other = one[apart], other[apart]
    return least
