"""Held-out pages that overlap pages trained on, as crops of one image: the same pixels at another place."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from unet2015.images.image import Image
from unet2015.training.checks.landmarks import Landmarks
from unet2015.training.checks.rescaled import Sites

_SHARED = 3
"""Places that two pages must share, all with one shift, before their pixels are compared."""
_SIDE = 32
"""Pixels of a side that an overlap must have."""
_EQUAL, _ROUGH = 0.9, 256
"""Of the pixels of an overlap that differ from their neighbour, how many must be equal: share and number.
Flat ones say nothing. The rest may be a scale bar, or edges that were filled."""
_UNMOVED = 0.97
"""The share where a whole page may be another one, with a scale bar or a time drawn on one of them. Frames
of a compressed film, whose still parts are equal, differ more where something moves."""
_OCCURRENCES = 32
"""Pages in which one place is looked for; crops that slide by a few pixels all have it."""
_COMPARED, _KEPT = 12, 8
"""Pages with which a held-out page is compared at most, and how many of them are kept."""
_BLOCK = 2**22
"""Pixels that are compared at a time: to read by turns from two files may open them each time."""
_NEWS = 1 / 64
"""Share of a page that a further page must have in common beyond those before."""

_ROUNDED = 0.25
"""How far whole numbers may be from the line over the values of another type."""

Floats = npt.NDArray[np.float64]
_MIXED = np.array([0x1E3779B97F4A7C15, 0x2545F4914F6CDD1D, 0x369DEA0F31A53F85])
"""Makes one number of a page, and how it is moved, in 64 bits."""


class Overlap(NamedTuple):
    """A part of a held-out page that a page to train on has, too.

    Attributes
    ----------
    other : int
        The page to train on, counted over the whole set.
    down, right : int
        By how much the part lies lower, and farther right, in the held-out page than in the other.
    top, bottom, left, end : int
        Its rows and columns in the held-out page.
    """

    other: int
    down: int
    right: int
    top: int
    bottom: int
    left: int
    end: int

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """In pixels."""
        return self.end - self.left


def overlaps(
    marks: Sequence[Landmarks | None],
    sites: Sites,
    training: Sequence[int],
    held_out: Sequence[int],
    *,
    other_types: bool = False,
) -> dict[int, list[Overlap]]:
    """Return, by held-out pages, with which pages to train on they overlap, the largest part first.

    A copy is an overlap, too; who tells copies by digests leaves them out.

    Where pages overlap that have landmarks in common, their pixels are read again and compared.

    Parameters
    ----------
    marks : sequence of Landmarks or None
        Of each page of the set; None for pages that are not looked at.
    sites : sequence of (Image, int)
        Where to read each page.
    training, held_out : sequence of int
        Numbers of pages, by the side that they are on.
    other_types : bool
        Compare pages of another type alone, with values of the one on a line over those of the other.
    """
    same = _on_a_line if other_types else _really
    known = _Known.of({page: places for page in training if (places := marks[page]) is not None})
    result = {}
    for page in held_out:
        own = marks[page]
        if own is None or not len(own.keys):
            continue
        found: list[Overlap] = []
        parts = [
            part for part in known.candidates(own) if not other_types or _unlike(sites, page, part.other)
        ]
        for part in _by_news(parts, own, found):
            if same(sites[page], sites[part.other], part):
                found.append(part)
            if len(found) == _KEPT:
                break
        if found:
            result[page] = found
    return result


def overlapping(
    marks: Sequence[Landmarks | None],
    sites: Sites,
    pages: Sequence[int],
    known: Callable[[int, int], bool],
    *,
    other_types: bool = False,
) -> Iterator[tuple[int, int]]:
    """Yield pairs of pages that overlap.

    Parameters
    ----------
    marks : sequence of Landmarks or None
        Of each page of the set; None for pages that are not looked at.
    sites : sequence of (Image, int)
        Where to read each page.
    pages : sequence of int
        Numbers of the pages to look at, ascending.
    known : callable
        Whether two pages need not be compared; asked after each pair that was found.
    other_types : bool
        As for `overlaps`.
    """
    same = _on_a_line if other_types else _really
    every = _Known.of({page: places for page in pages if (places := marks[page]) is not None})
    for page, own in every.pages.items():
        before = (part for part in every.candidates(own) if part.other < page)
        compared = 0
        for part in sorted(before, key=lambda part: -part.height * part.width):
            unlike = not other_types or _unlike(sites, page, part.other)
            if compared < _COMPARED and unlike and not known(page, part.other):
                compared += 1
                if same(sites[page], sites[part.other], part):
                    yield page, part.other


def covered(parts: Sequence[Overlap], height: int, width: int) -> float:
    """Return which share of a page lies in any of its overlaps."""
    rows = np.unique([side for part in parts for side in (part.top, part.bottom)])
    columns = np.unique([side for part in parts for side in (part.left, part.end)])
    inside = np.zeros((len(rows), len(columns)), bool)
    for part in parts:
        inside |= ((part.top <= rows) & (rows < part.bottom))[:, None] & (
            (part.left <= columns) & (columns < part.end)
        )
    areas = np.outer(np.diff(rows), np.diff(columns))
    return float(areas[inside[:-1, :-1]].sum() / (height * width))


class _Known(NamedTuple):
    """The landmarks of all pages to train on, in the order of their keys."""

    pages: Mapping[int, Landmarks]
    keys: npt.NDArray[np.uint64]
    owners: npt.NDArray[np.int64]
    places: npt.NDArray[np.int32]

    @classmethod
    def of(cls, pages: Mapping[int, Landmarks]) -> "_Known":
        keys = np.concatenate([np.empty(0, np.uint64), *(found.keys for found in pages.values())])
        places = np.concatenate([np.empty((0, 2), np.int32), *(found.places for found in pages.values())])
        counts = [len(found.keys) for found in pages.values()]
        owners = np.repeat(np.array([*pages], np.int64), counts)
        order = np.argsort(keys, kind="stable")
        return cls(pages, keys[order], owners[order], places[order])

    def candidates(self, own: Landmarks) -> Iterator[Overlap]:
        """Yield with which pages, and where, a page seems to overlap."""
        first = np.searchsorted(self.keys, own.keys, "left")
        counts = np.minimum(np.searchsorted(self.keys, own.keys, "right") - first, _OCCURRENCES)
        mine = np.repeat(np.arange(len(own.keys)), counts)
        begins = np.repeat(np.cumsum(counts) - counts, counts)
        theirs = np.repeat(first, counts) + np.arange(len(mine)) - begins
        shifts = own.places[mine] - self.places[theirs]
        rows = np.column_stack([self.owners[theirs], shifts])
        _, index, times = np.unique(rows @ _MIXED, return_index=True, return_counts=True)
        for page, down, right in rows[index[times >= _SHARED]].tolist():
            other = self.pages[page]
            top, bottom = max(0, down), min(own.height, down + other.height)
            left, end = max(0, right), min(own.width, right + other.width)
            if min(bottom - top, end - left) >= _SIDE:
                yield Overlap(page, down, right, top, bottom, left, end)


def _by_news(parts: list[Overlap], own: Landmarks, found: Sequence[Overlap]) -> Iterator[Overlap]:
    """Yield those parts that add most to `found`, which grows meanwhile; the first whatever it adds."""
    parts = sorted(parts, key=lambda part: -part.height * part.width)[: 8 * _COMPARED]
    for _ in range(_COMPARED):
        if not parts:
            return
        before = covered(found, own.height, own.width) if found else 0.0
        news = [covered([*found, part], own.height, own.width) - before for part in parts]
        best = int(np.argmax(news))
        if found and news[best] < _NEWS:
            return
        yield parts.pop(best)


def _unlike(sites: Sites, page: int, other: int) -> bool:
    """Return whether pages are of different types, one of them whole numbers."""
    types = {sites[page][0].dtype, sites[other][0].dtype}
    return len(types) == 2 and any(one.kind != "f" for one in types)


def _really(one: tuple[Image, int], other: tuple[Image, int], part: Overlap) -> bool:
    """Return whether two pages have the same pixels in a part."""
    rough = equal = 0
    for here, there in _both(one, other, part):
        counted = _rough(here) | _rough(there)
        rough += int(np.count_nonzero(counted))
        equal += int(np.count_nonzero(counted & (here == there).all(axis=0)[:, 1:]))
    return _enough(rough, equal, one[0], other[0], part)


def _on_a_line(one: tuple[Image, int], other: tuple[Image, int], part: Overlap) -> bool:
    """Return whether the values of a part are a factor times those of another type, plus a sum."""
    line: tuple[Floats, Floats] | None = None
    rough = equal = 0
    swapped = one[0].dtype.kind == "f"  # whole numbers are not rounded
    for bands in _both(one, other, part):
        here, there = (band.astype(np.float64) for band in (bands[::-1] if swapped else bands))
        line = line or _line(here, there)
        counted = _rough(here) | _rough(there)
        rough += int(np.count_nonzero(counted))
        far = np.abs(here - there * line[0] - line[1]).max(axis=0)
        equal += int(np.count_nonzero(counted & (far[:, 1:] <= _ROUNDED)))
    return _enough(rough, equal, one[0], other[0], part)


def _line(here: Floats, there: Floats) -> tuple[Floats, Floats]:
    """Return by which factor and sum most values of each channel follow from those of another image."""
    found = []
    for channel, its in zip(here, there, strict=True):
        steps, its_steps = np.diff(channel).ravel(), np.diff(its).ravel()
        moved = (steps != 0) & (its_steps != 0)
        slope = float(np.median(steps[moved] / its_steps[moved])) if moved.any() else 1.0
        found.append((slope, float(np.median(channel - slope * its))))
    slopes, sums = np.array(found).T[:, :, None, None]
    return slopes, sums


def _both(
    one: tuple[Image, int], other: tuple[Image, int], part: Overlap
) -> Iterator[tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]]:
    """Yield the pixels of a part in both pages, some rows at a time; none of images of other channels."""
    (ours, page), (theirs, number) = one, other
    rows = max(1, _BLOCK // part.width)
    for top in range(part.top, part.bottom, rows) if ours.channels == theirs.channels else ():
        stop = min(top + rows, part.bottom)
        here = ours.read(page, top, stop, part.left, part.end)
        down, right = part.down, part.right
        yield here, theirs.read(number, top - down, stop - down, part.left - right, part.end - right)


def _enough(rough: int, equal: int, ours: Image, theirs: Image, part: Overlap) -> bool:
    """Return whether so many of the pixels that differ from their neighbour are equal."""
    whole = (part.height, part.width) == (ours.height, ours.width) == (theirs.height, theirs.width)
    return equal >= max(_ROUGH, (_UNMOVED if whole else _EQUAL) * rough)


def _rough(band: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Return which pixels, but the first of each row, differ from the one before."""
    found: npt.NDArray[np.bool_] = (band[:, :, 1:] != band[:, :, :-1]).any(axis=0)
    return found
