"""Connected parts of a page that comes strip by strip, found as if it came at once.

Each strip is labelled by itself. What is kept of it are the last row and a few numbers for each of its parts,
not pixels. At the end, parts that meet at the edges of strips are joined.

The parts of all strips are numbered on, 0, 1, ..., from top to bottom; of a strip first the objects, then the
background. Joined parts are called wholes, numbered in the order of their first parts.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import label

from unet2015.objects.enclosed import owners
from unet2015.objects.runs import Runs
from unet2015.settings.objects import ObjectSettings

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]
Parts = NDArray[np.integer]
"""Parts of a strip by themselves: 1, 2, ..., of the type that labelling returns."""


def label_strip(inside: Mask, settings: ObjectSettings) -> tuple[Parts, int, int]:
    """Return the parts of a strip, how many are objects, and how many there are.

    Parameters
    ----------
    inside : ndarray of bool, shape (rows, width)
        Pixels of objects.
    settings : ObjectSettings
        Connectivity, and whether holes are looked for. If not, background is not labelled: it is 0.

    Returns
    -------
    parts : ndarray of int, shape (rows, width)
        1, 2, ...; objects come first.
    objects, count : int
    """
    parts, objects = label(inside, connectivity=settings.connectivity, return_num=True)  # type: ignore[no-untyped-call]
    count = objects
    if settings.fill_holes:
        # Parts of background share edges, as in scipy's binary_fill_holes: a diagonal gap is none.
        ground, more = label(~inside, connectivity=1, return_num=True)  # type: ignore[no-untyped-call]
        parts = np.where(inside, parts, ground + objects)
        count += more
    return parts, int(objects), int(count)


@dataclass(frozen=True, eq=False)
class Wholes:
    """The connected parts of a page; arrays have one value for each.

    Attributes
    ----------
    of_part : ndarray of int64, shape (parts,)
        The whole to which each part of a strip belongs.
    owner : ndarray of int64
        Of an object itself; of background the innermost object that encloses it, -1 for none (and always
        -1 where holes are not filled).
    is_object : ndarray of bool
        The others are background.
    areas : ndarray of int64
        Pixels; of an object with its holes, if they are filled.
    inner : ndarray of bool
        Whether a pixel, or one of a hole, lies inside the frame of the settings.
    first : ndarray of int64
        The first pixel, counted along the rows of the page; empty without places.
    boxes : ndarray of int64, shape (wholes, 4)
        Top, bottom, left, right of the objects, half-open; empty without places.
    """

    of_part: Numbers
    owner: Numbers
    is_object: Mask
    areas: Numbers
    inner: Mask
    first: Numbers
    boxes: Numbers


@dataclass
class _Seen:
    """What is kept of the parts of all strips so far, a list of arrays each."""

    is_object: list[Mask] = field(default_factory=list)
    areas: list[Numbers] = field(default_factory=list)
    outer: list[Mask] = field(default_factory=list)
    inner: list[Mask] = field(default_factory=list)
    first: list[Numbers] = field(default_factory=list)
    boxes: list[Numbers] = field(default_factory=list)
    same: list[Numbers] = field(default_factory=list)
    touching: list[Numbers] = field(default_factory=list)


class Components:
    """Takes the strips of a page from top to bottom.

    Parameters
    ----------
    height, width : int
        Of the page.
    settings : ObjectSettings
        Connectivity, holes and frame; the other settings are not used here.
    places : bool
        Whether to note where the objects lie.
    kept : int
        How many runs of pixels may be kept.

    Attributes
    ----------
    bases : dict of int
        How many parts come before the strip that begins at a row.
    runs : dict of Runs
        The parts of the strips that begin at these rows, as long as there is room.
    """

    def __init__(
        self, height: int, width: int, settings: ObjectSettings, places: bool = False, kept: int = 0
    ) -> None:
        self._height, self._width, self._settings, self._places = height, width, settings, places
        self._row = self._total = 0
        self._last: Numbers | None = None  # the parts in the last row
        self._last_inside: Mask
        self._seen = _Seen()
        self.bases: dict[int, int] = {}
        self.runs: dict[int, Runs] = {}
        self._room = kept

    def add(self, inside: Mask) -> Parts:
        """Take the next strip.

        Parameters
        ----------
        inside : ndarray of bool, shape (rows, width)
            The pixels of objects.

        Returns
        -------
        ndarray of int, shape (rows, width)
            The part of each pixel among those of the strip: 1, 2, ...; 0 is background that is no part.
        """
        rows, seen = len(inside), self._seen
        parts, objects, count = label_strip(inside, self._settings)
        seen.is_object.append(np.arange(count) < objects)
        runs = Runs.of(parts, count)
        seen.areas.append(runs.areas())
        edges = [parts[:, 0], parts[:, -1]]
        edges += [parts[0]] if self._row == 0 else []
        edges += [parts[-1]] if self._row + rows == self._height else []
        seen.outer.append(_among(edges, count))
        frame = self._settings.frame
        seen.inner.append(_among([self._inner(parts)], count) if frame else np.ones(count, bool))
        if self._places:
            self._note_places(parts, objects, count)
        if self._settings.fill_holes:
            seen.touching.append(_neighbours(parts) + (self._total - 1))
        if self._last is not None:
            self._join(self._numbers(parts[0]), inside[0])
        self.bases[self._row] = self._total
        self._last, self._last_inside = self._numbers(parts[-1]), inside[-1].copy()
        if len(runs) <= self._room:
            self.runs[self._row] = runs
            self._room -= len(runs)
        self._row, self._total = self._row + rows, self._total + count
        return parts

    def _numbers(self, parts: Parts) -> Numbers:
        """Return the numbers among all parts; where holes are not looked for, background has no meaning."""
        return parts.astype(np.int64) + (self._total - 1)

    def _inner(self, parts: Parts) -> Parts:
        frame = self._settings.frame
        top, bottom = max(frame - self._row, 0), max(self._height - frame - self._row, 0)
        return parts[top:bottom, frame : max(self._width - frame, 0)]

    def _note_places(self, parts: Parts, objects: int, count: int) -> None:
        self._seen.first.append(first_places(parts, count + 1)[1:] + self._row * self._width)
        boxes = np.zeros((count, 4), np.int64)
        for number, (y, x) in enumerate(ndimage.find_objects(parts, objects)):
            boxes[number] = y.start + self._row, y.stop + self._row, x.start, x.stop
        self._seen.boxes.append(boxes)

    def _join(self, first: Numbers, inside: Mask) -> None:
        """Note which parts go on in the strip that begins with the row `first`."""
        assert self._last is not None
        alike = self._last_inside == inside
        if self._settings.fill_holes:
            self._seen.touching.append(_pairs(self._last[~alike], first[~alike]))
        else:
            alike &= inside
        self._seen.same.append(_pairs(self._last[alike], first[alike]))
        if self._settings.connectivity == 2:
            for above, below in ((np.s_[:-1], np.s_[1:]), (np.s_[1:], np.s_[:-1])):
                both = self._last_inside[above] & inside[below]
                self._seen.same.append(_pairs(self._last[above][both], first[below][both]))

    def join(self) -> Wholes:
        """Return the wholes; all strips came."""
        assert self._row == self._height
        seen, same = self._seen, _stacked(self._seen.same, 2)
        links = coo_array((np.ones(len(same), np.bool_), (same[:, 0], same[:, 1])), (self._total,) * 2)
        count, found = connected_components(links, directed=False)
        earliest = np.full(count, self._total)
        np.minimum.at(earliest, found, np.arange(self._total))
        rank = np.empty(count, np.int64)
        rank[np.argsort(earliest)] = np.arange(count)
        whole = rank[found]
        earliest = np.sort(earliest)
        is_object = _flat(seen.is_object, bool)[earliest]
        areas = np.zeros(count, np.int64)
        np.add.at(areas, whole, _flat(seen.areas, np.int64))
        inner = _any(whole, _flat(seen.inner, bool), count)
        owner = np.where(is_object, np.arange(count), -1)
        if self._settings.fill_holes:
            outer = _any(whole, _flat(seen.outer, bool), count)
            owner[~is_object] = owners(is_object, outer, whole[_stacked(seen.touching, 2)])[~is_object]
            filled = ~is_object & (owner >= 0)
            np.add.at(areas, owner[filled], areas[filled])
            inner[owner[filled & inner]] = True
        first, boxes = _flat(seen.first, np.int64), _stacked(seen.boxes, 4)
        if self._places:
            first, boxes = first[earliest], _hulls(whole, boxes, count)
        return Wholes(whole, owner, is_object, areas, inner, first, boxes)


def first_places(numbers: NDArray[Any], count: int) -> Numbers:
    """Return where each of the numbers 0 to `count` - 1 stands first, counted along the rows; 0 for none."""
    backwards = numbers.ravel()[::-1]
    first = np.zeros(count, np.int64)
    first[backwards] = np.arange(backwards.size)[::-1]  # of equal indices the last value stays
    return first


def _among(places: list[Parts], count: int) -> Mask:
    found = np.zeros(count + 1, bool)
    for place in places:
        found[place.ravel()] = True
    return found[1:]


def _any(whole: Numbers, marked: Mask, count: int) -> Mask:
    found = np.zeros(count, bool)
    found[whole[marked]] = True
    return found


def _hulls(whole: Numbers, boxes: Numbers, count: int) -> Numbers:
    """Return the smallest boxes that hold all boxes of a whole."""
    hulls = np.zeros((count, 4), np.int64)
    for side, least in ((0, True), (1, False), (2, True), (3, False)):
        hulls[:, side] = np.iinfo(np.int64).max if least else 0
        (np.minimum if least else np.maximum).at(hulls[:, side], whole, boxes[:, side])
    return hulls


def _neighbours(parts: Parts) -> Numbers:
    """Return the pairs of parts that share an edge of pixels, each once, the lower number first."""
    found = []
    for one, other in ((parts[:, :-1], parts[:, 1:]), (parts[:-1], parts[1:])):
        differ = one != other
        first, second = one[differ], other[differ]
        found.append(_pairs(np.minimum(first, second), np.maximum(first, second)))
    both = _stacked(found, 2)
    return _pairs(both[:, 0], both[:, 1])


def _pairs(one: Parts, other: Parts) -> Numbers:
    """Return each pair once, shape (n, 2)."""
    if not len(one):
        return np.zeros((0, 2), np.int64)
    one = one.astype(np.int64)
    base, span = int(other.min()), int(other.max() - other.min()) + 1
    codes = np.unique(one * span + (other - base))
    first, second = np.divmod(codes, span)
    return np.stack([first, second + base], axis=1)


def _stacked(rows: list[Numbers], columns: int) -> Numbers:
    return np.concatenate([np.zeros((0, columns), np.int64), *rows])


def _flat(values: list[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *values])
