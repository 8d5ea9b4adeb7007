"""Resampling on the device: a spline over a coarse grid, interpolation."""

from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor


@lru_cache(maxsize=16)
def spline_basis(size: int, grid: int) -> NDArray[np.float64]:
    """Return the matrix (size, grid) that spreads values at `grid` points over `size` pixels.

    The first and the last point lie on the first and the last pixel. Along each axis the result is
    the cubic spline through the points, mirrored about its ends, so that a field over a tile is
    ``basis_y @ values @ basis_x.T``: the same as ``scipy.ndimage.map_coordinates(values, ...,
    order=3, mode="mirror")``.
    """
    positions = np.linspace(0, grid - 1, size)
    basis = np.stack(
        [ndimage.map_coordinates(unit, [positions], order=3, mode="mirror") for unit in np.eye(grid)], axis=1
    )
    basis.setflags(write=False)
    return basis


class Corners(NamedTuple):
    """Where samples lie in an image: what :func:`warp` needs to know, for several planes."""

    pixel: Tensor
    """(h, w) int32: the pixel above and to the left, in the flattened image."""
    y: Tensor
    """(h, w): the way from there to the next row, from 0 to 1."""
    x: Tensor
    """(h, w): the way to the next column."""
    width: int
    """Columns of the image."""

    @classmethod
    def of(cls, coordinates: Tensor, width: int, origin: tuple[int, int] = (0, 0)) -> Self:
        """Return the corners of coordinates as in :func:`warp`, for planes with `width` columns."""
        whole = coordinates.floor()
        y, x = coordinates - whole
        return cls(_index(whole, width, origin), y, x, width)

    def part(self, square: slice) -> Self:
        """Return the corners of some of the rows and the same columns."""
        pixel, y, x = (plane[square, square].contiguous() for plane in self[:3])
        return self._replace(pixel=pixel, y=y, x=x)

    def interpolate(self, image: Tensor) -> Tensor:
        """Return the samples (C, h, w) of an image (C, H, width) of floats, all bilinear."""
        made = [self._plane(plane.flatten()) for plane in image]
        return made[0][None] if len(made) == 1 else torch.stack(made)

    def _plane(self, pixels: Tensor) -> Tensor:
        index = self.pixel.flatten()
        y, x = self.y.to(pixels.dtype), self.x.to(pixels.dtype)

        def neighbour(offset: int) -> Tensor:
            # Moving the start of the pixels rather than the index saves a pass.
            return pixels[offset:].index_select(0, index).view_as(y)

        above = neighbour(0).lerp_(neighbour(1), x)
        return above.lerp_(neighbour(self.width).lerp_(neighbour(self.width + 1), x), y)


def warp(image: Tensor, coordinates: Tensor, origin: tuple[int, int] = (0, 0)) -> Tensor:
    """Sample an image by bilinear interpolation; exact at whole pixels.

    Parameters
    ----------
    image : Tensor
        (C, H, W), of floats.
    coordinates : Tensor
        (2, h, w): y and x of each sample, in pixels from `origin`. Each sample and the pixel after
        it must lie in the image: ``0 <= floor(y) + origin[0] < H - 1``.
    origin : tuple of int
        Row and column that the coordinates count from; kept apart, so that the fractions do not
        depend on where a part was cut out.

    Returns
    -------
    Tensor
        (C, h, w), of the image's dtype.
    """
    return Corners.of(coordinates, image.shape[-1], origin).interpolate(image)


def warp_nearest(labels: Tensor, coordinates: Tensor, origin: tuple[int, int] = (0, 0)) -> Tensor:
    """Sample labels (H, W) at the nearest pixels, halves rounded up: (h, w) of the same dtype.

    Coordinates and origin as in :func:`warp`.
    """
    nearest = _index((coordinates + 0.5).floor_(), labels.shape[-1], origin)
    return labels.flatten().index_select(0, nearest.flatten()).view_as(nearest)


def _index(whole: Tensor, width: int, origin: tuple[int, int]) -> Tensor:
    """Return where pixels (2, h, w) lie in a flattened image with `width` columns: (h, w) int32.

    Taking by 32 bits from a flat tensor is several times as fast as by 64 from rows and columns.
    """
    row, column = whole.int()
    return torch.add(column, row, alpha=width).add_(origin[0] * width + origin[1])
