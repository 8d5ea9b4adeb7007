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

from unet2015.objects.enclosed import owners
from unet2015.objects.runs import Mask, Numbers, Parts, Runs, each_once, label_strip, least_joined
from unet2015.settings.objects import ObjectSettings


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

    def add(self, inside: Mask) -> Runs:
        """Take the next strip, the pixels of objects (rows, width); return its parts."""
        (rows, width), seen = inside.shape, self._seen
        frame = min(self._settings.frame, self._height + width)  # nothing is inside a wider one
        runs, meeting = label_strip(inside, self._settings)
        seen.is_object.append(np.arange(runs.count) < runs.objects)
        seen.areas.append(runs.areas())
        top, bottom = max(frame - self._row, 0), min(self._height - frame - self._row, rows)
        seen.inner.append(
            runs.meet(top, bottom, frame, width - frame) if frame else np.ones(runs.count, bool)
        )
        if self._places:
            self._note_places(runs)
        if self._settings.fill_holes:
            one, other = (runs.parts[side] for side in meeting.touching())
            seen.touching.append(_pairs(np.minimum(one, other), np.maximum(one, other)) + (self._total - 1))
            first, last = self._row == 0, self._row + rows == self._height
            edges = (
                (0, rows, 0, 1),
                (0, rows, width - 1, width),
                (0, first, 0, width),
                (rows - last, rows, 0, width),
            )
            seen.outer.append(np.any([runs.meet(*edge) for edge in edges], axis=0))
        if self._last is not None:
            self._join(self._numbers(runs.row(0)), inside[0])
        self.bases[self._row] = self._total
        self._last, self._last_inside = self._numbers(runs.row(rows - 1)), inside[-1].copy()
        if len(runs) <= self._room:
            self.runs[self._row] = runs
            self._room -= len(runs)
        self._row, self._total = self._row + rows, self._total + runs.count
        return runs

    def _numbers(self, parts: Parts) -> Numbers:
        """Return the numbers among all parts; where holes are not looked for, background has no meaning."""
        return parts.astype(np.int64) + (self._total - 1)

    def _note_places(self, runs: Runs) -> None:
        parts = runs.pixels()
        self._seen.first.append(first_places(parts, runs.count + 1)[1:] + self._row * self._width)
        boxes = np.zeros((runs.count, 4), np.int64)
        for number, (y, x) in enumerate(ndimage.find_objects(parts, runs.objects)):
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
        least = least_joined(self._total, same[:, 0], same[:, 1])
        first_part = least == np.arange(self._total)
        earliest, whole = np.flatnonzero(first_part), (np.cumsum(first_part) - 1)[least]
        count = len(earliest)
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


def _pairs(one: NDArray[np.integer], other: NDArray[np.integer]) -> Numbers:
    """Return each pair once, shape (n, 2)."""
    if not len(one):
        return np.zeros((0, 2), np.int64)
    one = one.astype(np.int64)
    base, span = int(other.min()), int(other.max() - other.min()) + 1
    codes = each_once(one * span + (other - base))
    first, second = np.divmod(codes, span)
    return np.stack([first, second + base], axis=1)


def _stacked(rows: list[Numbers], columns: int) -> Numbers:
    return np.concatenate([np.zeros((0, columns), np.int64), *rows])


def _flat(values: list[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *values])
