"""Resampling on the device: a spline over a coarse grid, interpolation."""

from functools import lru_cache

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
    whole = coordinates.floor()
    y, x = (coordinates - whole).to(image.dtype)
    corner = _index(whole, image.shape[-1], origin)
    return torch.stack([_bilinear(plane.flatten(), image.shape[-1], corner, y, x) for plane in image])


def _bilinear(pixels: Tensor, width: int, corner: Tensor, y: Tensor, x: Tensor) -> Tensor:
    # Moving the start of the pixels rather than the index saves a pass for each neighbour.
    def neighbour(offset: int) -> Tensor:
        return pixels[offset:].index_select(0, corner).view_as(y)

    above = torch.lerp(neighbour(0), neighbour(1), x)
    below = torch.lerp(neighbour(width), neighbour(width + 1), x)
    return torch.lerp(above, below, y)


def _index(whole: Tensor, width: int, origin: tuple[int, int]) -> Tensor:
    """Return where pixels (2, h, w) lie in a flattened image: (h * w,) int32.

    Taking by 32 bits from a flat tensor is several times as fast as by 64 from rows and columns.
    """
    row, column = whole.int()
    return (row * width).add_(column).add_(origin[0] * width + origin[1]).flatten()


def warp_nearest(labels: Tensor, coordinates: Tensor, origin: tuple[int, int] = (0, 0)) -> Tensor:
    """Sample labels (H, W) at the nearest pixels, halves rounded up: (h, w) of the same dtype.

    Coordinates and origin as in :func:`warp`.
    """
    nearest = _index((coordinates + 0.5).floor_(), labels.shape[-1], origin)
    return labels.flatten().index_select(0, nearest).view(coordinates.shape[1:])
