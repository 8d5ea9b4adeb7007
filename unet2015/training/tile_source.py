"""Which part of an image a training tile is made from, and where in it each pixel of the tile comes from."""

import math
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unet2015.tiling.plan import mirror
from unet2015.training.draw import Draw
from unet2015.training.warp import narrow_product, spline_basis

Plane = TypeVar("Plane", Tensor, NDArray[np.generic])


@dataclass(frozen=True, slots=True, eq=False)
class TileSource:
    """The part of an image that one tile is made from.

    Attributes
    ----------
    draw : Draw
        The random numbers of the tile.
    tile : int
        Side of the tile that the network reads, in pixels.
    box : tuple of int
        ``y0, y1, x0, x1``: rows and columns of the image that the tile needs; inside the image.
    rows, columns : ndarray
        The window is a rectangle that is large enough for all samples. For each of its rows (columns):
        the row (column) of the box that it shows, mirrored at the border of the image.
    origin : tuple of int
        Row and column of the window where `draw.centre` lies.
    """

    draw: Draw
    tile: int
    box: tuple[int, int, int, int]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    origin: tuple[int, int]

    @classmethod
    def of(cls, draw: Draw, tile: int, height: int, width: int) -> Self:
        """Return the source of a tile of side `tile` in an image of `height` x `width` pixels."""
        (top, bottom), (left, right) = _reach(draw, tile)
        y, x = draw.centre
        rows, columns = mirror(y + top, y + bottom, height), mirror(x + left, x + right, width)
        y0, y1, x0, x1 = (int(end) for end in (rows.min(), rows.max(), columns.min(), columns.max()))
        return cls(
            draw=draw,
            tile=tile,
            box=(y0, y1 + 1, x0, x1 + 1),
            rows=rows - y0,
            columns=columns - x0,
            origin=(-top, -left),
        )

    def cut(self, plane: Plane) -> Plane:
        """Return the view of the box in a plane (..., H, W) of the whole image."""
        y0, y1, x0, x1 = self.box
        return plane[..., y0:y1, x0:x1]


def mirrored(plane: Tensor, source: TileSource) -> Tensor:
    """Return the window of a source from its box (..., h, w): mirrored where it leaves the image."""

    def at(index: NDArray[np.intp]) -> Tensor:
        return torch.from_numpy(index).to(plane.device)

    rows, columns = source.rows, source.columns
    height, width = plane.shape[-2:]
    # The mirrored index is 0 where the box begins in the window.
    top, left = int(rows.argmin()), int(columns.argmin())
    y, x = slice(top, top + height), slice(left, left + width)
    if not (np.array_equal(rows[y], np.arange(height)) and np.array_equal(columns[x], np.arange(width))):
        return plane.index_select(-2, at(rows)).index_select(-1, at(columns))
    # Most of the window is the unchanged box: one copy is faster than an index for each pixel.
    window = plane.new_empty((*plane.shape[:-2], len(rows), len(columns)))
    window[..., y, x] = plane
    for part in (slice(x.start), slice(x.stop, None)):
        window[..., y, part] = plane.index_select(-1, at(columns[part]))
    for part in (slice(y.start), slice(y.stop, None)):
        window[..., part, :] = window.index_select(-2, at(top + rows[part]))
    return window


def sample_coordinates(
    draw: Draw, size: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Tensor:
    """Return where in the image each pixel of a tile comes from.

    Returns
    -------
    Tensor
        (2, size, size): y and x in pixels from `draw.centre`. The tile is mirrored, then turned and
        scaled about its centre; the displacement is added in the directions of the image.
    """
    cosine, sine = _turn(draw)
    middle = (size - 1) / 2
    y = np.arange(size) - middle
    x = -y if draw.flip else y
    start = middle - size // 2
    one = np.ones(size)
    # y and x are each a sum of products of a column and a row: those of the spline, and two for the turn.
    turn_y = (np.stack([cosine * y, one], axis=1), np.stack([one, start - sine * x]))
    turn_x = (np.stack([sine * y, one], axis=1), np.stack([one, start + cosine * x]))
    basis = spline_basis(size, draw.vectors.shape[-1])
    left = np.stack(
        [np.hstack([turn[0], basis @ v]) for turn, v in zip((turn_y, turn_x), draw.vectors, strict=True)]
    )
    right = np.stack([np.vstack([turn[1], basis.T]) for turn in (turn_y, turn_x)])
    return narrow_product(left, right, device, dtype)


def _turn(draw: Draw) -> tuple[float, float]:
    """Return cosine and sine of the angle, times the scale: exact for quarter turns."""
    angle = math.radians(draw.angle)
    return draw.scale * round(math.cos(angle), 15), draw.scale * round(math.sin(angle), 15)


def _reach(draw: Draw, size: int) -> list[tuple[int, int]]:
    """Return, per axis, the range of pixels from `draw.centre` that holds all samples of a tile."""
    cosine, sine = _turn(draw)
    middle = (size - 1) / 2
    # A displacement is at most the largest vector times the sum of the absolute spline weights, which is
    # the product of the sums along the two axes.
    largest = np.abs(spline_basis(size, draw.vectors.shape[-1])).sum(axis=1).max() ** 2
    beyond = 1 if draw.interpolation == "bicubic" else 0
    ranges = []
    for vectors in draw.vectors:
        # 0.01 px for the rounding of coordinates. Interpolation reads one pixel more after the last, or two.
        reach = middle * (abs(cosine) + abs(sine)) + largest * np.abs(vectors).max() + 0.01
        low, high = (math.floor(middle - size // 2 + end) for end in (-reach, reach))
        ranges.append((low - beyond, high + 2 + beyond))
    return ranges
