"""Outlines of objects as polygons along the edges of pixels, from strips of labels in bounded memory.

Of each strip only corners are kept: places where the outline of an object turns. An object whose last row
came has all its corners; they are then linked to rings, and dropped. In each row (and each column) the
corners of an object, in order, are the ends of straight lines: the first and second, the third and fourth.

Where two pixels of an object touch at a corner only, its outline passes twice. There the lines are linked so
that pieces whose pixels share edges have rings of their own, and the ring of a piece passes each corner once.
So all polygons are simple, as GeoJSON and ImageJ want them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from unet2015.objects.labelling import Labels

Ring = NDArray[np.int64]
"""Corners of a closed line, (corners, 2) of x and y, the first one not repeated."""
Polygon = list[Ring]
"""An outer ring and its holes. By the shoelace formula the area of the outer ring is positive (clockwise on a
screen, where y points down), that of a hole negative."""

_OBJECT, _Y, _X, _LOWER_RIGHT = range(4)  # columns of corners
_BITS = ((0, 0, 1), (0, 1, 2), (1, 0, 4), (1, 1, 8))  # row, column and bit of the pixels around a corner
_TURNS = (1, 2, 4, 7, 8, 11, 13, 14)
_CROSSINGS = (6, 9)


@dataclass(frozen=True, eq=False)
class Outline:
    """The outline of an object.

    Attributes
    ----------
    number : int
        The object, 1, 2, ..., as in the strips of its page.
    polygons : list of Polygon
        One for each piece whose pixels share edges. Together they have the area of the object's pixels.
    """

    number: int
    polygons: list[Polygon]


def outlines(labels: Labels, page: int, bottoms: NDArray[np.int64]) -> Iterator[Outline]:
    """Yield the outlines of all objects of a page, in the order of the strips where they end.

    Parameters
    ----------
    labels : Labels
        The instance labels.
    page : int
        Which page.
    bottoms : ndarray of int64, shape (objects,)
        Of each object the row behind its last one, as ``bbox_bottom`` in its table.
    """
    above: NDArray[np.integer] = np.zeros((1, labels.width), np.int64)
    open_corners = np.zeros((0, 4), np.int64)
    for row, strip in labels.strips(page):
        stop = row + len(strip)
        below = [np.zeros_like(above)] if stop == labels.height else []
        corners = _corners(np.concatenate([above, strip, *below]), row)
        corners = np.concatenate([open_corners, corners])
        # Row `stop` of the corners comes with the next strip.
        ended = bottoms[corners[:, _OBJECT] - 1] < (stop if stop < labels.height else stop + 1)
        open_corners, corners = corners[~ended], corners[ended]
        yield from _linked(corners)
        above = strip[-1:]


def shoelace(ring: Ring) -> float:
    """Return the area of a ring: positive for outer rings, negative for holes."""
    x, y = ring[:, 0], ring[:, 1]
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2


def _corners(rows: NDArray[np.integer], first: int) -> NDArray[np.int64]:
    """Return the corners between the rows of labels; the uppermost ones have y = `first`.

    Returns
    -------
    ndarray of int64, shape (corners, 4)
        Object, y, x, and whether the pixel at the lower right belongs to the object. Where two pixels touch,
        there are two corners.
    """
    wide = np.pad(rows, ((0, 0), (1, 1)))
    a, b, c, d = wide[:-1, :-1], wide[:-1, 1:], wide[1:, :-1], wide[1:, 1:]
    turns = ((a != b) | (c != d)) & ((a != c) | (b != d))
    y, x = np.nonzero(turns)
    around = np.stack([wide[y + down, x + right] for down, right, _ in _BITS])
    found = []
    for index in range(len(_BITS)):
        new = around[index] > 0
        for before in range(index):  # an object is looked at once for each corner
            new &= around[index] != around[before]
        pattern = np.zeros(len(y), np.int64)
        for other, (_, _, bit) in enumerate(_BITS):
            pattern += bit * (around[other] == around[index])
        for patterns, times in ((_TURNS, 1), (_CROSSINGS, 2)):
            at = new & np.isin(pattern, patterns)
            corner = np.stack([around[index][at], y[at] + first, x[at], pattern[at] >= 8], axis=1)
            found.append(np.repeat(corner, times, axis=0))
    return np.concatenate(found)


def _linked(corners: NDArray[np.int64]) -> Iterator[Outline]:
    """Yield the outlines of objects of which all corners came."""
    if not len(corners):
        return
    corners = corners[np.lexsort((corners[:, _X], corners[:, _Y], corners[:, _OBJECT]))]
    # Of two corners at one place, the first ends the line at its left, the second begins that at its right.
    along = np.arange(len(corners)) ^ 1
    crossing = np.flatnonzero((corners[1:, :3] == corners[:-1, :3]).all(axis=1))
    ordered = np.lexsort((corners[:, _Y], corners[:, _X], corners[:, _OBJECT]))
    up_first = np.arange(len(corners))
    # A pixel at the lower right: the other one is at the upper left, the line at the left goes on upwards.
    swapped = crossing[corners[crossing, _LOWER_RIGHT] == 0]
    up_first[swapped], up_first[swapped + 1] = swapped + 1, swapped
    across = _pairs(ordered, up_first)
    ring = _rings(along, across)
    # The same ring twice: the two pixels are of one piece, which would pinch the ring. So cut it there.
    again = crossing[ring[crossing] == ring[crossing + 1]]
    up_first[again], up_first[again + 1] = up_first[again + 1], up_first[again]
    across = _pairs(ordered, up_first)
    yield from _walked(corners, along.tolist(), across.tolist())


def _pairs(ordered: NDArray[np.int64], up_first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each corner the other end of its vertical line.

    `ordered` has the corners along columns; `up_first` exchanges two at one place, so that the first of them
    ends the line above.
    """
    along_columns = up_first[ordered]
    other = np.empty(len(ordered), np.int64)
    other[along_columns[::2]], other[along_columns[1::2]] = along_columns[1::2], along_columns[::2]
    return other


def _rings(along: NDArray[np.int64], across: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of the ring of each corner."""
    count = len(along)
    here = np.concatenate([np.arange(count)] * 2)
    links = coo_array((np.ones(2 * count, np.bool_), (here, np.concatenate([along, across]))), (count, count))
    ring: NDArray[np.int64] = connected_components(links, directed=False)[1].astype(np.int64)
    return ring


@dataclass
class _Open:
    """Rings of the object that is walked."""

    outer: list[Ring] = field(default_factory=list)
    holes: list[Ring] = field(default_factory=list)


def _walked(corners: NDArray[np.int64], along: list[int], across: list[int]) -> Iterator[Outline]:
    """Yield the outlines, following the lines from the first corner of each ring."""
    seen = bytearray(len(along))
    numbers, inside = corners[:, _OBJECT].tolist(), corners[:, _LOWER_RIGHT].tolist()
    places = corners[:, [_X, _Y]]
    current, rings = numbers[0], _Open()
    for start in range(len(along)):
        if seen[start]:
            continue
        if numbers[start] != current:
            yield Outline(current, _polygons(rings))
            current, rings = numbers[start], _Open()
        # The first corner of a ring is its uppermost left one. An outer ring goes right there, a hole down.
        outer = inside[start] == 1
        one, other = (along, across) if outer else (across, along)
        ring, at = [], start
        while not seen[at]:
            following = one[at]
            seen[at] = seen[following] = 1
            ring += [at, following]
            at = other[following]
        (rings.outer if outer else rings.holes).append(places[ring])
    yield Outline(current, _polygons(rings))


def _polygons(rings: _Open) -> list[Polygon]:
    polygons = [[ring] for ring in rings.outer]
    areas = [shoelace(ring) for ring in rings.outer] if len(polygons) > 1 else [0.0]
    for hole in rings.holes:
        owners: Sequence[int] = range(1)
        if len(polygons) > 1:
            # The pixel above the first corner of a hole belongs to the piece; the innermost ring around it is
            # that of the piece, as other pieces around it have it in a hole.
            x, y = hole[0] + (0.5, -0.5)
            owners = [i for i, ring in enumerate(rings.outer) if _encloses(ring, x, y)]
        polygons[min(owners, key=areas.__getitem__)].append(hole)
    return polygons


def _encloses(ring: Ring, x: float, y: float) -> bool:
    """Whether a place, not on the ring, lies in it: by the vertical lines at its right."""
    ends = np.roll(ring, -1, axis=0)
    upright = ring[:, 0] == ends[:, 0]
    crossed = upright & (ring[:, 0] > x) & ((ring[:, 1] > y) != (ends[:, 1] > y))
    return bool(crossed.sum() % 2)
