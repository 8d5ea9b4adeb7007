"""Deformed tiles of pages that lie on a device, in few kernels and without waiting for the host."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unet2015.training.draw import Draw
from unet2015.training.labels import IGNORED
from unet2015.training.warp import blurred, cubic_weights, spline_basis

NUMBERS = 10
"""Numbers of a draw before its vectors."""


@dataclass(frozen=True, eq=False)
class DevicePages:
    """Labelled pages of one size.

    Attributes
    ----------
    images : ndarray of float32, shape (pages, channels, height, width)
        Mapped intensities.
    classes : ndarray of uint8, shape (pages, height, width)
        255 is not annotated.
    weights : ndarray of float32, shape (pages, height, width)
        Eq. 2.
    deviation : float
        Standard deviation of the images after the mapping: the unit of gray variation.
    """

    images: NDArray[np.float32]
    classes: NDArray[np.uint8]
    weights: NDArray[np.float32]
    deviation: float = 1.0


def draw_row(chosen: Draw, page: int, deviation: float = 1.0) -> NDArray[np.float32]:
    """Return a draw as the numbers that a `Deformer` takes: float32, (10 + 2 n n,)."""
    angle = math.radians(chosen.angle)
    # Rounded, so that quarter turns are exact.
    cosine, sine = (chosen.scale * round(part, 15) for part in (math.cos(angle), math.sin(angle)))
    mirror = -1 if chosen.flip else 1
    numbers = [
        page,
        *(cosine, -sine * mirror, chosen.centre[0]),
        *(sine, cosine * mirror, chosen.centre[1]),
        chosen.gray_scale,
        chosen.gray_shift * deviation,
        chosen.blur,
    ]
    return np.concatenate([numbers, chosen.vectors.ravel()]).astype(np.float32)


class Deformer:
    """Cuts and deforms tiles of pages on a device, as :func:`unet2015.training.augment.augment` does.

    All shapes are the same in each call, and no number goes from the device to the host, so that a CUDA
    graph can record it.

    Parameters
    ----------
    shape : tuple of int
        (pages, channels, height, width).
    tile, output : int
        Sides of what the network reads and gives, in pixels.
    grid : int
        Displacement vectors along each axis.
    cubic : bool
        Interpolate the image by bicubic convolution instead of bilinearly.
    blur : float
        Largest deviation of a blur, in pixels; 0: none.

    Notes
    -----
    A large GPU computes one plane of a tile in about the time that it takes to start a kernel, so few
    kernels should be needed. Therefore each pixel is stored together with its neighbours in the row, and
    each row goes on, mirrored, for a whole period: one index then reads all neighbours in a row. A page
    takes 8 times its size for the images (bilinear: 4 times), and 8 times for the weights. The neighbours
    are read as one number of 8 or 16 bytes (see `taken`): torch would give a row of four numbers a block of
    threads of its own.
    """

    def __init__(
        self,
        shape: tuple[int, int, int, int],
        tile: int,
        output: int,
        grid: int,
        cubic: bool,
        blur: float,
        device: torch.device,
    ) -> None:
        self.shape = shape
        self.cubic, self.radius = cubic, math.ceil(4 * blur)
        first = (tile - output) // 2
        self.centre = slice(first, first + output)
        # `start`: from the pixel tile // 2, which lies on the draw's centre, to the middle of the tile.
        self.grid, self.start = grid, (tile - 1) / 2 - tile // 2
        pages, channels, height, width = shape
        self.periods = tuple(max(1, 2 * (length - 1)) for length in (height, width))
        self.near = (-1, 0, 1, 2) if cubic else (0, 1)
        positions = pages * height * self.periods[1]
        self.images = torch.zeros((channels, positions, len(self.near)), device=device)
        # Classes as floats beside the weights, so that one index takes both.
        self.targets = torch.zeros((1, positions, 4), device=device)
        self.basis = torch.tensor(spline_basis(tile, grid), dtype=torch.float32, device=device)
        self.along = torch.arange(tile, device=device) - (tile - 1) / 2
        self.rows = torch.tensor(self.near, dtype=torch.int32, device=device).view(-1, 1, 1)

    def load(self, pages: DevicePages) -> None:
        """Replace the pages; there may be fewer than before."""
        images = torch.from_numpy(pages.images)
        targets = torch.from_numpy(np.stack([pages.weights, pages.classes.astype(np.float32)], axis=1))
        kept = [
            one.view(len(one), self.shape[0], -1, one.shape[-1]).unbind(1)
            for one in (self.images, self.targets)
        ]
        # Page by page: all of them at once would be several times as large as the set.
        for kept_page, page in zip(kept[0], images, strict=False):
            kept_page.copy_(self._beside(page.to(kept_page.device), self.near).flatten(1, 2))
        for kept_page, page in zip(kept[1], targets, strict=False):
            both = self._beside(page.to(kept_page.device), (0, 1))  # (2, H, period, 2)
            kept_page.copy_(both.permute(1, 2, 0, 3).reshape(kept_page.shape))

    def _beside(self, planes: Tensor, near: tuple[int, ...]) -> Tensor:
        """Return each pixel of planes (K, H, W) with its neighbours in the row: (K, H, period, n)."""
        period = self.periods[1]
        columns = torch.stack([torch.arange(period, device=planes.device) + step for step in near], dim=1)
        columns = columns.remainder(period)  # then mirrored, without repeating the edge pixel
        columns = torch.minimum(columns, period - columns)
        return planes[:, :, columns]

    def __call__(self, row: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return image (C, tile, tile), classes (output, output) int64 and weights; `row` by `draw_row`."""
        at = self._coordinates(row)
        whole = at.floor()
        way, index = at.sub_(whole), self._index(whole.int(), row[0].int())
        image = self._image(index, way)
        if self.radius:
            image = blurred(image, row[9], self.radius)
        # (image - mean) * (1 + scale) + mean + shift, with one multiplication a pixel.
        factor, shift = 1 + row[7], row[8] - image.mean(dim=(1, 2), keepdim=True) * row[7]
        return torch.addcmul(shift, image, factor), *self._targets(index, way)

    def _coordinates(self, row: Tensor) -> Tensor:
        """Return where each pixel of the tile comes from: (2, tile, tile), y and x in its page."""
        turn = row[1:7].view(2, 3, 1, 1)
        left = turn[:, 0] * self.along[:, None]
        right = torch.addcmul(turn[:, 2] + self.start, turn[:, 1], self.along[None])
        vectors = row[NUMBERS:].view(2, self.grid, self.grid)
        moved = (self.basis @ vectors) @ self.basis.T
        return moved.add_(left + right)

    def _index(self, whole: Tensor, page: Tensor) -> Tensor:
        """Return where the rows of neighbours of pixels (2, h, w) lie: (rows, h, w) int32."""
        height = self.shape[2]
        rows = (whole[0] + self.rows).remainder_(self.periods[0])
        rows = torch.minimum(rows, self.periods[0] - rows)
        columns = whole[1].remainder(self.periods[1]) + page * (height * self.periods[1])
        return torch.add(columns, rows, alpha=self.periods[1])

    def _image(self, index: Tensor, way: Tensor) -> Tensor:
        """Return the interpolated image (C, h, w), cubic (Keys) or linear: along columns, then along rows."""
        columns = taken(self.images, index).unbind(-1)
        y, x = way
        if not self.cubic:
            above, below = torch.lerp(columns[0], columns[1], x).unbind(1)
            return torch.lerp(above, below, y)
        shares = cubic_weights(way)
        rows = _weighted(columns, [share[1] for share in shares])
        return _weighted(rows.unbind(1), [share[0] for share in shares])

    def _targets(self, index: Tensor, way: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output's classes, from the nearest pixels, and its weights, interpolated."""
        first = self.near.index(0)
        index = index[first : first + 2, self.centre, self.centre]
        y, x = way[:, self.centre, self.centre]
        found = taken(self.targets, index)[0]
        weights, classes = found[..., :2], found[..., 2:]
        weights = torch.lerp(weights[..., 0], weights[..., 1], x)
        classes = torch.where(x < 0.5, classes[..., 0], classes[..., 1])
        chosen = torch.where(y < 0.5, classes[0], classes[1])
        return chosen.long(), torch.lerp(weights[0], weights[1], y).masked_fill_(chosen == IGNORED, 0)


def taken(rows: Tensor, index: Tensor) -> Tensor:
    """Return rows of numbers, with the same bits, so that one thread of a GPU copies a whole row.

    Parameters
    ----------
    rows : Tensor of float32, shape (K, positions, n)
        n is 2 or 4. Contiguous.
    index : Tensor of int32 or int64, shape S

    Returns
    -------
    Tensor of float32, shape (K, *S, n)
        ``rows[:, index]``.
    """
    whole = {2: torch.complex64, 4: torch.complex128}[rows.shape[-1]]  # of 8 and 16 bytes
    found = rows.view(whole)[..., 0][:, index.long()]
    return found[..., None].view(rows.dtype)


def _weighted(values: Iterable[Tensor], weights: Iterable[Tensor]) -> Tensor:
    first, *others = zip(values, weights, strict=True)
    total = first[0] * first[1]
    for value, weight in others:
        total.addcmul_(value, weight)
    return total
