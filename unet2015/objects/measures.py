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
from scipy import ndimage

from unet2015.objects.components import first_places
from unet2015.objects.hulls import Hulls
from unet2015.objects.progress import Progress, Share, nobody

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_LENGTHS = np.zeros(50)
"""Length of the outline at a border pixel. The index is 1, and for each neighbour that is a border pixel of
the same object 2 (on an edge) or 10 (at a corner). Source: Benkrid and Crookes 2000, as in
`skimage.measure.perimeter`."""
_LENGTHS[[5, 7, 15, 17, 25, 27]] = 1
_LENGTHS[[21, 33]] = math.sqrt(2)
_LENGTHS[[13, 23]] = (1 + math.sqrt(2)) / 2
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
        return 4 * np.sqrt(middle + spread), 4 * np.sqrt(np.maximum(middle - spread, 0))

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
        self._sums = np.zeros((channels, objects))
        self._lowest = np.full((channels, objects), np.inf)
        self._highest = np.full((channels, objects), -np.inf)
        self._halo = np.zeros((2, width), np.int64)  # the last rows: first two of nothing
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
        present = np.flatnonzero(np.bincount(labels.ravel(), minlength=1))
        present = present[present > 0]
        if len(present):
            number = np.zeros(int(present[-1]) + 1, np.int64)
            number[present] = np.arange(1, len(present) + 1)
            self._add_shapes(number[labels], present - 1)
            self._add_values(labels, values)
        self._add_outlines(labels, last=self._row + len(labels) == self._height)
        self._row += len(labels)

    def _add_shapes(self, compact: Ints, index: Ints) -> None:
        """Add the pixels of a strip, in which the objects `index` have the labels 1, 2, ..."""
        boxes = np.array(
            [[y.start, x.start, y.stop, x.stop] for y, x in ndimage.find_objects(compact)], np.int64
        )
        boxes[:, ::2] += self._row
        self._boxes[index, :2] = np.minimum(self._boxes[index, :2], boxes[:, :2])
        self._boxes[index, 2:] = np.maximum(self._boxes[index, 2:], boxes[:, 2:])
        y, x = np.nonzero(compact)
        which = compact[y, x] - 1
        first = first_places(which, len(index))
        new = self._origin[index, 0] < 0
        self._origin[index[new]] = np.stack([y[first] + self._row, x[first]], axis=1)[new]
        if not self._hulls.too_many:
            self._add_extents(which, y, x, index)
        y += self._row - self._origin[index, 0][which]
        x -= self._origin[index, 1][which]
        for total, term in zip(self._counts, (None, y, x, y * y, x * x, y * x), strict=True):
            total[index] += np.bincount(which, term, len(index))

    def _add_extents(self, which: Ints, y: Ints, x: Ints, index: Ints) -> None:
        """Note first and last column of each object in each row: they alone decide its convex hull."""
        keys = which * self._height + y + self._row
        order = np.argsort(keys, kind="stable")  # within a row, x rises
        keys, x = keys[order], x[order]
        ends = np.flatnonzero(np.append(keys[1:] != keys[:-1], True))
        starts = np.concatenate([[0], ends[:-1] + 1])
        which, rows = np.divmod(keys[ends], self._height)
        self._hulls.add(np.stack([index[which], rows, x[starts], x[ends]]))

    def _add_values(self, labels: NDArray[np.integer], values: Sequence[NDArray[np.generic]]) -> None:
        inside = labels > 0
        which = labels[inside] - 1
        for channel, plane in enumerate(values):
            there = plane[inside].astype(np.float64)
            self._sums[channel] += np.bincount(which, there, self._sums.shape[1])
            np.minimum.at(self._lowest[channel], which, there)
            np.maximum.at(self._highest[channel], which, there)

    def _add_outlines(self, labels: NDArray[np.integer], last: bool) -> None:
        """Count border pixels in all rows of which two more rows on both sides are known."""
        end = [np.zeros((2, self._width), np.int64)] if last else []
        rows = np.concatenate([self._halo, labels, *end])
        self._halo = rows[-4:]
        if len(rows) < 5:
            return
        page = np.pad(rows, ((0, 0), (2, 2)))
        border = np.zeros(page.shape, bool)
        core = page[1:-1, 1:-1]
        differ = (core != page[:-2, 1:-1]) | (core != page[2:, 1:-1])
        differ |= (core != page[1:-1, :-2]) | (core != page[1:-1, 2:])
        border[1:-1, 1:-1] = differ & (core > 0)
        y, x = np.nonzero(border[2:-2])
        y += 2
        own = page[y, x]
        code = np.ones(len(y), np.int64)
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)):
            code += (10 if dy and dx else 2) * (border[y + dy, x + dx] & (page[y + dy, x + dx] == own))
        lengths = _LENGTHS[code]
        for total, length in zip(self._kinds, np.unique(_LENGTHS[_LENGTHS > 0]), strict=True):
            total += np.bincount(own[lengths == length], minlength=len(total) + 1)[1:]

    def finish(self, progress: Progress = nobody) -> Measures:
        """Return the measures; all strips came.

        `progress` is told of all rows, as the convex hulls are done.
        """
        assert self._row == self._height
        area, y, x, yy, xx, yx = self._counts
        safe = np.maximum(area, 1)  # a label that no pixel has
        mean_y, mean_x = y / safe, x / safe
        moments = np.stack(
            [yy / safe - mean_y**2, xx / safe - mean_x**2, yx / safe - mean_y * mean_x], axis=1
        )
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
            perimeter=np.unique(_LENGTHS[_LENGTHS > 0]) @ self._kinds,
            solidity=solidity,
            sums=self._sums,
            lowest=self._lowest,
            highest=self._highest,
            touches_border=touches,
        )

    def _solidity(self, area: Floats, share: Share) -> Floats:
        hulls = self._hulls.areas(share.step)
        found: Floats = np.divide(area, hulls, out=np.full(len(area), np.nan), where=hulls > 0)
        return found
