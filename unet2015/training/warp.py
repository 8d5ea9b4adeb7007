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
    row, column = whole.long()
    width = image.shape[-1]
    corner = (row + origin[0]) * width + (column + origin[1])
    pixels = image.flatten(1)
    above = torch.lerp(pixels[:, corner], pixels[:, corner + 1], x)
    below = torch.lerp(pixels[:, corner + width], pixels[:, corner + width + 1], x)
    return torch.lerp(above, below, y)


def warp_nearest(labels: Tensor, coordinates: Tensor, origin: tuple[int, int] = (0, 0)) -> Tensor:
    """Sample labels (H, W) at the nearest pixels, halves rounded up: (h, w) of the same dtype.

    Coordinates and origin as in :func:`warp`.
    """
    row, column = (coordinates + 0.5).floor().long()
    return labels[row + origin[0], column + origin[1]]
