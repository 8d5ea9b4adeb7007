"""Resampling on the device: a spline over a coarse grid, interpolation."""

from functools import lru_cache
from typing import Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

Interpolation = Literal["bilinear", "bicubic"]


@lru_cache(maxsize=16)
def spline_basis(size: int, grid: int) -> NDArray[np.float64]:
    """Return the matrix (size, grid) that spreads values at `grid` points over `size` pixels.

    The first and the last point lie on the first and the last pixel. Along each axis the result is
    the cubic spline through the points, mirrored about its ends, so that a field over a tile is
    ``basis_y @ values @ basis_x.T``: the same as ``scipy.ndimage.map_coordinates(values, ...,
    order=3, mode="mirror")``.
    """
    positions = np.linspace(0, grid - 1, size)
    # Interpolation is linear in the values, so unit vectors give the columns of its matrix.
    basis = np.stack(
        [ndimage.map_coordinates(unit, [positions], order=3, mode="mirror") for unit in np.eye(grid)], axis=1
    )
    basis.setflags(write=False)  # all callers share the cached array
    return basis


class Corners(NamedTuple):
    """Where samples lie in an image: what :func:`warp` needs to know, for several planes."""

    pixel: Tensor
    """(h, w) int32: the pixel above and to the left, in the flattened image."""
    y: Tensor
    """(h, w): the distance from that pixel's row to the sample, from 0 to 1."""
    x: Tensor
    """(h, w): the same along the columns."""
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

    def interpolate(self, image: Tensor, interpolation: Interpolation = "bilinear") -> Tensor:
        """Return the samples (C, h, w) of an image (C, H, width) of floats."""
        planes = [plane.flatten() for plane in image]
        if interpolation == "bicubic":
            near = cubic_weights(torch.stack([self.y, self.x]).to(image.dtype))
            # One row and one column back; the start of the pixels cannot move before the first.
            index = self.pixel.flatten() - (self.width + 1)
            made = [self._bicubic(plane, index, near) for plane in planes]
        else:
            made = [self._bilinear(plane) for plane in planes]
        # A single plane is not copied.
        return made[0][None] if len(made) == 1 else torch.stack(made)

    def _bilinear(self, pixels: Tensor) -> Tensor:
        index = self.pixel.flatten()
        y, x = self.y.to(pixels.dtype), self.x.to(pixels.dtype)

        def neighbour(offset: int) -> Tensor:
            # Moving the start of the pixels rather than the index saves a pass.
            return pixels[offset:].index_select(0, index).view_as(y)

        above = neighbour(0).lerp_(neighbour(1), x)
        return above.lerp_(neighbour(self.width).lerp_(neighbour(self.width + 1), x), y)

    def _bicubic(self, pixels: Tensor, index: Tensor, weights: tuple[Tensor, ...]) -> Tensor:
        taken = pixels.new_empty(index.shape)
        total, row = taken.new_empty(self.y.shape), taken.new_empty(self.y.shape)
        for i, (y, _) in enumerate(weights):
            for j, (_, x) in enumerate(weights):
                # Into the same memory each time: it stays in the cache.
                torch.index_select(pixels[i * self.width + j :], 0, index, out=taken)
                if j:
                    row.addcmul_(taken.view_as(x), x)
                else:
                    torch.mul(taken.view_as(x), x, out=row)
            if i:
                total.addcmul_(row, y)
            else:
                torch.mul(row, y, out=total)
        return total


def cubic_weights(way: Tensor) -> tuple[Tensor, ...]:
    """Return the weights of four pixels in a row for a sample between the second and the third.

    Cubic convolution with a = -1/2 (doi:10.1109/TASSP.1981.1163711): only this value reproduces linear and
    quadratic functions exactly. The slope at a pixel is that between its two neighbours; with a = -3/4, as in
    PyTorch and OpenCV, it is 1.5 times as steep, and edges overshoot more.

    Parameters
    ----------
    way : Tensor
        From the second pixel to the sample, from 0 to 1.

    Returns
    -------
    tuple of Tensor
        Four of the shape of `way`: exactly 0, 1, 0, 0 at 0.
    """
    rest = 1 - way
    half = (way * rest).mul_(-0.5)
    before, after = half * rest, half * way
    # The other two follow from two conditions: the weights sum to 1, and their mean position is `way`.
    first = torch.add(rest, after).sub_(before, alpha=2)
    second = torch.add(way, before).sub_(after, alpha=2)
    return before, first, second, after


def warp(
    image: Tensor,
    coordinates: Tensor,
    origin: tuple[int, int] = (0, 0),
    interpolation: Interpolation = "bilinear",
) -> Tensor:
    """Sample an image by bilinear or bicubic interpolation; exact at whole pixels.

    Parameters
    ----------
    image : Tensor
        (C, H, W), of floats.
    coordinates : Tensor
        (2, h, w): y and x of each sample, in pixels from `origin`. Each sample and the pixel after
        it must lie in the image: ``0 <= floor(y) + origin[0] < H - 1``; for ``bicubic`` one more pixel
        on each side too.
    origin : tuple of int
        Row and column that the coordinates count from. It is not added to the coordinates, so that their
        fractions do not depend on where the image was cut out.
    interpolation : {"bilinear", "bicubic"}
        ``bicubic`` as in :func:`cubic_weights`.

    Returns
    -------
    Tensor
        (C, h, w), of the image's dtype.
    """
    return Corners.of(coordinates, image.shape[-1], origin).interpolate(image, interpolation)


def warp_nearest(labels: Tensor, coordinates: Tensor, origin: tuple[int, int] = (0, 0)) -> Tensor:
    """Sample labels (H, W) at the nearest pixels, halves rounded up: (h, w) of the same dtype.

    Coordinates and origin as in :func:`warp`.
    """
    nearest = _index((coordinates + 0.5).floor_(), labels.shape[-1], origin)
    return labels.flatten().index_select(0, nearest.flatten()).view_as(nearest)


def _index(whole: Tensor, width: int, origin: tuple[int, int]) -> Tensor:
    """Return where pixels (2, h, w) lie in a flattened image with `width` columns: (h, w) int32.

    Indexing a flat tensor by 32-bit numbers is several times as fast as by 64-bit rows and columns.
    """
    row, column = whole.int()
    return torch.add(column, row, alpha=width).add_(origin[0] * width + origin[1])


def narrow_product(
    left: NDArray[np.float64], right: NDArray[np.float64], device: torch.device | str, dtype: torch.dtype
) -> Tensor:
    """Return the matrix products of two stacks of narrow matrices, (2, h, n) and (2, n, w), on the device.

    Whole and half numbers stay exact.
    """
    columns, rows = (torch.tensor(side, device=device, dtype=dtype) for side in (left, right))
    if columns.device.type == "cpu":
        return columns @ rows
    # Elsewhere a matrix product may round its factors to 10 bits (TF32).
    total = columns[:, :, :1] * rows[:, :1]
    for i in range(1, columns.shape[-1]):
        total += columns[:, :, i : i + 1] * rows[:, i : i + 1]
    return total


def blurred(image: Tensor, deviation: float | Tensor, radius: int) -> Tensor:
    """Blur an image (C, h, w) by a Gaussian, cut off at `radius` pixels; its border is repeated outside.

    Parameters
    ----------
    image : Tensor
        Of floats.
    deviation : float or Tensor
        Of the Gaussian, in pixels; 0 leaves the image as it is.
    radius : int
        Pixels on each side that count; 4 deviations are all that matters.
    """
    offsets = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    # At 0.001 px all weights but the middle one are 0 in floating point: the image stays as it is.
    least = torch.as_tensor(deviation, device=image.device, dtype=image.dtype).clamp(min=1e-3)
    kernel = torch.exp(-0.5 * (offsets / least) ** 2)
    kernel = kernel / kernel.sum()
    padded = functional.pad(image[:, None], (radius,) * 4, mode="replicate")
    rows = functional.conv2d(padded, kernel.view(1, 1, -1, 1))
    return functional.conv2d(rows, kernel.view(1, 1, 1, -1))[:, 0]
