"""Measures of the objects of a page, summed up strip by strip.

Sums of whole numbers are kept: pixels, coordinates, kinds of border pixels. Up to 2**53 they are exact, so
that no measure of shape depends on strips. The definitions are those of `skimage.measure.regionprops`, with
which the tests compare.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unet2015.objects.hulls import Hulls
from unet2015.objects.label_runs import LabelRuns
from unet2015.objects.progress import Progress, Share, nobody
from unet2015.objects.sums import ExactSums

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_LENGTHS = np.zeros(50)
"""Length of the outline at a border pixel. The index is 1, and for each neighbour that is a border pixel of
the same object 2 (on an edge) or 10 (at a corner). Source: Benkrid and Crookes 2000, as in
`skimage.measure.perimeter`."""
_LENGTHS[[5, 7, 15, 17, 25, 27]] = 1
_LENGTHS[[21, 33]] = math.sqrt(2)
_LENGTHS[[13, 23]] = (1 + math.sqrt(2)) / 2
_SHORT = 2**20
"""Rows and columns up to which all sums over a run fit into 64 bits."""
_LONG = 2**10
"""Height or width from which on a thin object needs more digits for its shorter axis than 64 bits have."""
HULL_BYTES = 2**28
"""Memory for convex hulls of a page."""


@dataclass(frozen=True, eq=False)
class Measures:
    """The measures of a page's objects, in pixels; arrays have one value for each, object 1 first.

    Attributes
    ----------
    area : ndarray of int64
    centroid : ndarray of float64, shape (objects, 2)
        y, x; 0 is the centre of the first pixel.
    boxes : ndarray of int64, shape (objects, 4)
        Top, left, bottom, right, half-open.
    moments : ndarray of float64, shape (objects, 3)
        Central second moments divided by the area: yy, xx, yx.
    determinant : ndarray of float64
        yy * xx - yx**2, from whole numbers; NaN for small objects, where the moments say it well enough.
    perimeter : ndarray of float64
    solidity : ndarray of float64
        Area divided by that of the convex hull; NaN where this is not known.
    sums, lowest, highest : ndarray of float64, shape (channels, objects)
        Of the intensities.
    touches_border : ndarray of bool
        Whether a pixel lies at the border of the page.
    """

    area: Ints
    centroid: Floats
    boxes: Ints
    moments: Floats
    determinant: Floats
    perimeter: Floats
    solidity: Floats
    sums: Floats
    lowest: Floats
    highest: Floats
    touches_border: NDArray[np.bool_]

    def axes(self, height: float = 1.0, width: float = 1.0) -> tuple[Floats, Floats]:
        """Return both axes, the longer first, of the ellipse with the same second moments.

        `height` and `width` are those of a pixel.
        """
        yy, xx, yx = self.moments.T
        yy, xx, yx = yy * height**2, xx * width**2, yx * height * width
        middle, spread = (yy + xx) / 2, np.sqrt(((yy - xx) / 2) ** 2 + yx**2)
        longer, shorter = middle + spread, middle - spread
        by_both = self.determinant * (height * width) ** 2 / longer
        shorter = np.where(np.isnan(by_both), shorter, by_both)
        return 4 * np.sqrt(longer), 4 * np.sqrt(np.maximum(shorter, 0))

    def eccentricity(self, height: float = 1.0, width: float = 1.0) -> Floats:
        """Return the eccentricity of that ellipse, 0 for a circle or a single pixel."""
        major, minor = self.axes(height, width)
        ratio = np.divide(minor, major, out=np.ones_like(major), where=major > 0)
        found: Floats = np.sqrt(1 - ratio**2)
        return found


class PageMeasures:
    """Takes the strips of a page from top to bottom.

    Parameters
    ----------
    height, width : int
        Of the page.
    objects, channels : int
        Highest label, and channels of the intensities.
    hull_bytes : int
        Memory for convex hulls; see :class:`unet2015.objects.hulls.Hulls`.
    """

    def __init__(
        self, height: int, width: int, objects: int, channels: int = 0, hull_bytes: int = HULL_BYTES
    ) -> None:
        self._height, self._width, self._row = height, width, 0
        self._origin = np.full((objects, 2), -1, np.int64)
        self._counts = np.zeros((6, objects))  # 1, y, x, yy, xx, yx, from the first pixel of each
        self._boxes = np.zeros((objects, 4), np.int64)
        self._boxes[:, :2] = max(height, width)
        self._kinds = np.zeros((3, objects), np.int64)
        self._sums = [ExactSums(objects) for _ in range(channels)]
        self._lowest = np.full((channels, objects), np.inf)
        self._highest = np.full((channels, objects), -np.inf)
        self._halo: NDArray[np.integer] = np.zeros(
            (2, width), np.int64
        )  # the last rows: first two of nothing
        self._hulls = Hulls(objects, hull_bytes)

    def add(self, labels: NDArray[np.integer], values: Sequence[NDArray[np.generic]] = ()) -> None:
        """Take the next strip.

        Parameters
        ----------
        labels : ndarray of int, shape (rows, width)
            0 is background.
        values : sequence of ndarray, shape (rows, width)
            The intensities of each channel.
        """
        runs = LabelRuns.of(labels)
        if len(runs.which):
            self._add_shapes(runs)
            self._add_values(runs, labels > 0, values)
        self._add_outlines(labels, last=self._row + len(labels) == self._height)
        self._row += len(labels)

    def _add_shapes(self, runs: LabelRuns) -> None:
        index, y = runs.index, runs.y + self._row
        order = np.argsort(
            runs.which, kind="stable"
        )  # of each object from top to bottom, in a row to the right
        which, rows, starts, stops = (one[order] for one in (runs.which, y, runs.start, runs.stop))
        begins = np.append(True, which[1:] != which[:-1])
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(which)) - 1
        new = self._origin[index, 0] < 0
        self._origin[index[new]] = np.stack([rows[first], starts[first]], axis=1)[new]
        boxes = (
            (rows[first], np.minimum.reduceat(starts, first)),
            (rows[last] + 1, np.maximum.reduceat(stops, first)),
        )
        self._boxes[index, :2] = np.minimum(self._boxes[index, :2], np.stack(boxes[0], axis=1))
        self._boxes[index, 2:] = np.maximum(self._boxes[index, 2:], np.stack(boxes[1], axis=1))
        if not self._hulls.too_many:  # the first and last column in each row alone decide the convex hull
            first = np.flatnonzero(begins | np.append(True, rows[1:] != rows[:-1]))
            last = np.append(first[1:], len(which)) - 1
            self._hulls.add(np.stack([index[which[first]], rows[first], starts[first], stops[last] - 1]))
        self._add_sums(runs, y)

    def _add_sums(self, runs: LabelRuns, y: Ints) -> None:
        """Add the sums over the pixels of each run; those of 64 bits do not run over."""
        kind = np.int64 if max(self._height, self._width) <= _SHORT else np.float64
        from_y, from_x = self._origin[runs.index].T.astype(kind)
        y, x, n = (
            y - from_y[runs.which],
            runs.start - from_x[runs.which],
            (runs.stop - runs.start).astype(kind),
        )
        steps = n * (n - 1) // 2  # the sum of 0, ..., n - 1
        sum_x, sum_xx = n * x + steps, x * (n * x + 2 * steps) + steps * (2 * n - 1) // 3
        for total, term in zip(self._counts, (n, n * y, sum_x, n * y * y, sum_xx, sum_x * y), strict=True):
            total[runs.index] += np.bincount(runs.which, term, len(runs.index))

    def _add_values(
        self, runs: LabelRuns, inside: NDArray[np.bool_], values: Sequence[NDArray[np.generic]]
    ) -> None:
        if len(values) == 0:
            return
        lengths, which = runs.stop - runs.start, runs.index[runs.which]
        first = np.cumsum(lengths) - lengths
        for channel, plane in enumerate(values):
            there = plane[inside]
            self._sums[channel].add(there, first, which)
            np.minimum.at(self._lowest[channel], which, np.minimum.reduceat(there, first))
            np.maximum.at(self._highest[channel], which, np.maximum.reduceat(there, first))

    def _add_outlines(self, labels: NDArray[np.integer], last: bool) -> None:
        """Count border pixels in all rows of which two more rows on both sides are known."""
        above, rows = len(self._halo), len(self._halo) + len(labels) + (2 if last else 0)
        page = np.zeros((rows, self._width + 4), labels.dtype)
        page[:above, 2:-2], page[above : above + len(labels), 2:-2] = self._halo, labels
        self._halo = page[-4:, 2:-2].copy()
        if rows < 5:
            return
        beside, below = page[1:-1, 1:] != page[1:-1, :-1], page[1:] != page[:-1]
        border = np.zeros(page.shape, bool)
        core = border[1:-1, 1:-1]
        np.logical_or(beside[:, 1:], beside[:, :-1], out=core)
        core |= below[1:, 1:-1]
        core |= below[:-1, 1:-1]
        core &= page[1:-1, 1:-1] > 0
        places = np.flatnonzero(border[2:-2]) + 2 * page.shape[1]
        if not len(places):
            return
        page, border = page.ravel(), border.ravel()
        own, code = page[places], np.ones(len(places), np.uint8)
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)):
            other = places + (dy * (self._width + 4) + dx)
            code += np.uint8(10 if dy and dx else 2) * (border[other] & (page[other] == own))
        lengths, low = _LENGTHS[code], int(own.min())
        own = own.astype(np.int64) - low
        for total, length in zip(self._kinds, np.unique(_LENGTHS[_LENGTHS > 0]), strict=True):
            found = np.bincount(own[lengths == length])
            total[low - 1 : low - 1 + len(found)] += found

    def finish(self, progress: Progress = nobody) -> Measures:
        """Return the measures; all strips came.

        `progress` is told of all rows, as the convex hulls are done.
        """
        assert self._row == self._height
        area, y, x = self._counts[:3]
        safe = np.maximum(area, 1)  # a label that no pixel has
        mean_y, mean_x = y / safe, x / safe
        moments, determinant = self._moments(safe, mean_y, mean_x)
        boxes = self._boxes
        touches = (
            (boxes[:, :2] == 0).any(axis=1) | (boxes[:, 2] == self._height) | (boxes[:, 3] == self._width)
        )
        with Share(progress, self._height, len(area)) as share:
            solidity = self._solidity(area, share)
        return Measures(
            area=area.astype(np.int64),
            centroid=np.stack([self._origin[:, 0] + mean_y, self._origin[:, 1] + mean_x], axis=1),
            boxes=boxes,
            moments=moments,
            determinant=determinant,
            perimeter=np.unique(_LENGTHS[_LENGTHS > 0]) @ self._kinds,
            solidity=solidity,
            sums=np.stack([one.total() for one in self._sums]) if self._sums else np.zeros((0, len(area))),
            lowest=self._lowest,
            highest=self._highest,
            touches_border=touches,
        )

    def _moments(self, area: Floats, mean_y: Floats, mean_x: Floats) -> tuple[Floats, Floats]:
        """Return the central second moments, shape (objects, 3), and their determinant, as of `Measures`."""
        yy, xx, yx = self._counts[3:]
        columns = (yy / area - mean_y**2, xx / area - mean_x**2, yx / area - mean_y * mean_x)
        moments, determinant = np.stack(columns, axis=1), np.full(len(area), np.nan)
        sides = self._boxes[:, 2:] - self._boxes[:, :2]
        for i in np.flatnonzero((sides >= _LONG).any(axis=1)).tolist():
            n, y, x, yy, xx, yx = map(int, self._counts[:, i].tolist())
            yy, xx, yx = n * yy - y * y, n * xx - x * x, n * yx - y * x
            moments[i] = yy / n**2, xx / n**2, yx / n**2
            determinant[i] = (yy * xx - yx * yx) / n**4
        return moments, determinant

    def _solidity(self, area: Floats, share: Share) -> Floats:
        hulls = self._hulls.areas(share.step)
        found: Floats = np.divide(area, hulls, out=np.full(len(area), np.nan), where=hulls > 0)
        return found
