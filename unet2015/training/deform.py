"""Deformed tiles of pages that lie on a device, in few kernels and without waiting for the host."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unet2015.settings import AugmentationSettings
from unet2015.training.draw import Draw
from unet2015.training.labels import IGNORED
from unet2015.training.warp import blurred, cubic_weights, spline_basis

NUMBERS = 10
"""Numbers of a draw before its vectors."""
_TARGETS = 4
"""Numbers at each position of the targets: weight and class, of a pixel and of the next one in its row."""


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
    sizes : sequence of (height, width)
        Of each page, in pixels.
    channels : int
        Of the images.
    tile, output : int
        Sides of what the network reads and gives, in pixels.
    rule : AugmentationSettings
        Decides the operations: vectors along each axis, interpolation, and the largest blur.
    device : torch.device
        Where the pages lie.

    Notes
    -----
    A large GPU computes one plane of a tile in about the time that it takes to start a kernel, so few
    kernels should be needed. Therefore each pixel is stored together with its neighbours in the row, and
    each row goes on, mirrored, for a whole period: one index then reads all neighbours in a row. A page
    takes 8 times its size for the images (bilinear: 4 times), and 8 times for the weights (`page_bytes`). The
    neighbours are read as one number of 8 or 16 bytes (see `taken`): torch would give a row of four numbers a
    block of threads of its own.
    """

    def __init__(
        self,
        sizes: Sequence[tuple[int, int]],
        channels: int,
        tile: int,
        output: int,
        rule: AugmentationSettings,
        device: torch.device,
    ) -> None:
        self.sizes = list(sizes)
        self.cubic, self.radius = rule.interpolation == "bicubic", math.ceil(4 * rule.blur)
        first = (tile - output) // 2
        self.centre = slice(first, first + output)
        # `start`: from the pixel tile // 2, which lies on the draw's centre, to the middle of the tile.
        self.grid, self.start = rule.elastic_grid, (tile - 1) / 2 - tile // 2
        self.near = _NEAR[rule.interpolation]
        periods = [(_period(height), _period(width)) for height, width in self.sizes]
        ends = [
            0,
            *accumulate(height * wide for (height, _), (_, wide) in zip(self.sizes, periods, strict=True)),
        ]
        self.starts = ends[:-1]
        # Of each page: where it begins, and its periods down and across.
        table = [(first, *period) for first, period in zip(ends, periods, strict=False)]
        self.table = torch.tensor(table, dtype=torch.int32, device=device)
        self.deviations = torch.ones((len(self.sizes), channels), device=device)
        self.images = torch.zeros((channels, ends[-1], len(self.near)), device=device)
        # Classes as floats beside the weights, so that one index takes both.
        self.targets = torch.zeros((1, ends[-1], _TARGETS), device=device)
        self.basis = torch.tensor(spline_basis(tile, self.grid), dtype=torch.float32, device=device)
        self.along = torch.arange(tile, device=device) - (tile - 1) / 2
        self.rows = torch.tensor(self.near, dtype=torch.int32, device=device).view(-1, 1, 1)

    def load(self, pages: DevicePages) -> None:
        """Replace the pages, of one size; there may be fewer than before."""
        for number, planes in enumerate(zip(pages.images, pages.classes, pages.weights, strict=True)):
            self.put(number, *planes)

    def put(
        self,
        number: int,
        image: NDArray[np.float32],
        classes: NDArray[np.uint8],
        weights: NDArray[np.float32],
        deviation: Sequence[float] | None = None,
        top: int = 0,
    ) -> None:
        """Replace a page, or its rows from `top` on: image (C, H, W), classes and weights (H, W).

        `deviation` is the unit of gray variation of each channel, where the rows of draws do not hold it.
        """
        device, across = self.images.device, _period(classes.shape[1])
        first = self.starts[number] + top * across
        place = slice(first, first + len(classes) * across)
        image_there = torch.from_numpy(image).to(device)
        self.images[:, place].copy_(_beside(image_there, self.near).flatten(1, 2))
        both = torch.from_numpy(np.stack([weights, classes.astype(np.float32)])).to(device)
        beside = _beside(both, (0, 1)).permute(1, 2, 0, 3)  # (H, period, 2, 2)
        self.targets[0, place].copy_(beside.reshape(-1, _TARGETS))
        if deviation is not None:
            self.deviations[number].copy_(torch.tensor(deviation))

    def __call__(self, row: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return image (C, tile, tile), classes (output, output) int64 and weights; `row` by `draw_row`."""
        at, page = self._coordinates(row), row[:1].int()
        whole = at.floor()
        way, index = at.sub_(whole), self._index(whole.int(), page)
        image = self._image(index, way)
        if self.radius:
            image = blurred(image, row[9], self.radius)
        # (image - mean) * (1 + scale) + mean + shift, with one multiplication a pixel.
        deviation = self.deviations.index_select(0, page).view(-1, 1, 1)
        factor, shift = 1 + row[7], row[8] * deviation - image.mean(dim=(1, 2), keepdim=True) * row[7]
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
        first, down, across = self.table.index_select(0, page)[0].unbind()
        rows = (whole[0] + self.rows).remainder_(down)
        rows = torch.minimum(rows, down - rows)
        return torch.addcmul(whole[1].remainder(across).add_(first), rows, across)

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


def page_bytes(height: int, width: int, channels: int, rule: AugmentationSettings) -> int:
    """Return how many bytes a page takes on the device."""
    return height * _period(width) * (channels * len(_NEAR[rule.interpolation]) + _TARGETS) * 4


def most_positions(sizes: Iterable[tuple[int, int]]) -> int:
    """Return how many positions pages have together; an index has 31 bits."""
    return sum(height * _period(width) for height, width in sizes)


_NEAR = {"bilinear": (0, 1), "bicubic": (-1, 0, 1, 2)}
"""Which pixels of a row are interpolated, counted from that before the sample."""


def _period(length: int) -> int:
    """Return after how many pixels an axis that is mirrored at both ends, again and again, is the same."""
    return max(1, 2 * (length - 1))


def _beside(planes: Tensor, near: tuple[int, ...]) -> Tensor:
    """Return each pixel of planes (K, H, W) with its neighbours in the row: (K, H, period, n)."""
    period = _period(planes.shape[2])
    columns = torch.stack([torch.arange(period, device=planes.device) + step for step in near], dim=1)
    columns = columns.remainder(period)  # then mirrored, without repeating the edge pixel
    columns = torch.minimum(columns, period - columns)
    return planes[:, :, columns]


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
