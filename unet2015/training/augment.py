"""Random deformation of training tiles (section 3.1), drawn on the host, done on the device.

A :class:`Draw` holds the few random numbers of one tile and follows from the seed and the step
alone. A :class:`Source` says which part of the image they need; that part alone goes to the
device, where :func:`augment` makes the tile::

    source = Source.of(draw(settings, seed, step, height, width), tile, height, width)
    image, classes, weights = (source.cut(plane).to(device) for plane in (image, classes, weights))
    sample = augment(image, classes, weights, source, output)
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from numpy.typing import NDArray
from torch import Tensor

from unet2015.settings import AugmentationSettings
from unet2015.tiling.plan import mirror
from unet2015.training.labels import IGNORED
from unet2015.training.sampling import Centres
from unet2015.training.warp import (
    Corners,
    Interpolation,
    blurred,
    narrow_product,
    spline_basis,
    warp_nearest,
)

Plane = TypeVar("Plane", Tensor, NDArray[np.generic])


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """The random numbers of one training tile.

    Attributes
    ----------
    centre : tuple of int
        Row and column of the image that fall on the tile's pixel ``size // 2``.
    angle : float
        Rotation about the tile's centre, in degrees; 90 is ``np.rot90(tile, -1)``.
    flip : bool
        Whether the tile is mirrored left to right (before the rotation).
    vectors : ndarray
        (2, n, n) float64: displacement in y and in x, in pixels, at n x n points of the tile.
    gray_scale, gray_shift : float
        Intensities become ``(intensity - mean) * (1 + gray_scale) + mean + gray_shift * deviation``.
    interpolation : {"bilinear", "bicubic"}
        Of the image between pixels.
    scale : float
        Pixels of the image from one pixel of the tile to the next; 1: as it is.
    blur : float
        Standard deviation of a Gaussian blur of the tile's image, in its pixels; 0: none.
    """

    centre: tuple[int, int]
    angle: float
    flip: bool
    vectors: NDArray[np.float64]
    gray_scale: float
    gray_shift: float
    interpolation: Interpolation = "bilinear"
    scale: float = 1.0
    blur: float = 0.0


def draw(
    settings: AugmentationSettings,
    seed: int,
    step: int,
    height: int,
    width: int,
    *,
    centres: Centres | None = None,
) -> Draw:
    """Draw the augmentation of one step, for an image of `height` x `width` pixels.

    It depends on (seed, step) alone: the same on every device, and in a resumed training. Every
    number is drawn whatever the settings, so that switching one kind off leaves the others as
    they were. The tile's centre falls on every pixel of `centres` with the same probability; without
    them on every pixel of the image, so that, mirrored at the border, those near it are seen no less
    often than the others.
    """
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(step,))))
    y, x, angle, flip, scale, shift = random.random(6)
    vectors = random.standard_normal((2, settings.elastic_grid, settings.elastic_grid))
    size, blur = random.random(2)
    if not settings.shift:
        centre = height // 2, width // 2
    else:
        centre = centres.at(y, x) if centres else (int(y * height), int(x * width))
    return Draw(
        centre=centre,
        angle=float(2 * angle - 1) * settings.rotation,
        flip=settings.flip and bool(flip < 0.5),
        vectors=vectors * settings.elastic_std,
        gray_scale=float(2 * scale - 1) * settings.gray_scale,
        gray_shift=float(2 * shift - 1) * settings.gray_shift,
        interpolation=settings.interpolation,
        scale=math.exp(float(2 * size - 1) * settings.scale),
        blur=float(blur) * settings.blur,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The part of an image that one tile is made from.

    Attributes
    ----------
    draw : Draw
        What becomes of it.
    tile : int
        Side of the tile that the network reads, in pixels.
    box : tuple of int
        ``y0, y1, x0, x1``: rows and columns of the image that the tile needs; inside the image.
    rows, columns : ndarray
        The window that surely holds all samples: for each of its rows (columns) the row (column)
        of the box, mirrored at the border of the image.
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


class Sample(NamedTuple):
    """What the network and the loss get in one step: a batch of one tile."""

    image: Tensor
    """(1, C, tile, tile) float32."""
    classes: Tensor
    """(1, output, output) int64; 255 is not annotated."""
    weights: Tensor
    """(1, output, output) float32; 0 where not annotated."""


def augment(
    image: Tensor,
    classes: Tensor,
    weights: Tensor,
    source: Source,
    output: int,
    *,
    deviation: npt.ArrayLike | Tensor = 1.0,
) -> Sample:
    """Deform a tile, its classes and its weights by one warp, on the device that holds them.

    Parameters
    ----------
    image : Tensor
        (C, h, w) float32, after the mapping: the box of `source`, as are the other two.
    classes : Tensor
        (h, w) uint8; 255 is not annotated.
    weights : Tensor
        (h, w) float32.
    source : Source
        What to make of them.
    output : int
        Side of the network's output, in pixels: the centre of the tile.
    deviation : array_like or Tensor
        Standard deviation of the image, after the mapping: one number, or (C,) floats. The default is
        that of a standardised image.

    Returns
    -------
    Sample
        The image over the whole tile by bilinear or bicubic interpolation, then varied in gray value
        about the mean of each channel; over the output the classes at the nearest pixels, and the
        weights by bilinear interpolation.

    Notes
    -----
    Without rotation, scale, displacement, blur and gray value variation the tile equals the image bit by bit.
    """
    draw, device = source.draw, image.device
    y0, y1, x0, x1 = source.box
    for plane in (image, classes, weights):
        assert plane.shape[-2:] == (y1 - y0, x1 - x0), "not the box of the source"
    image, classes, weights = (mirrored(plane, source) for plane in (image, classes, weights))
    at = sample_coordinates(draw, source.tile, device)
    first = (source.tile - output) // 2
    centre = slice(first, first + output)
    corners = Corners.of(at, len(source.columns), source.origin)
    image = corners.interpolate(image, draw.interpolation)
    if draw.blur:
        image = blurred(image, draw.blur, math.ceil(4 * draw.blur))
    if draw.gray_scale or draw.gray_shift:
        image = _vary(image, draw, deviation)
    classes = warp_nearest(classes, at[:, centre, centre], source.origin)
    weights = corners.part(centre).interpolate(weights[None])[0]
    weights.masked_fill_(classes == IGNORED, 0)
    return Sample(image[None], classes[None].long(), weights[None])


def _vary(image: Tensor, draw: Draw, deviation: npt.ArrayLike | Tensor) -> Tensor:
    varied = (image - image.mean(dim=(1, 2), keepdim=True)).mul_(draw.gray_scale).add_(image)
    if isinstance(deviation, Tensor):
        return varied.add_(deviation.to(image).view(-1, 1, 1), alpha=draw.gray_shift)
    # Numbers of the host go along with each channel's kernel: nothing is copied, and nothing waits.
    for channel, one in zip(varied, np.broadcast_to(np.asarray(deviation), len(image)), strict=True):
        channel.add_(draw.gray_shift * float(one))
    return varied


def mirrored(plane: Tensor, source: Source) -> Tensor:
    """Return the window of a source from its box (..., h, w): mirrored where it leaves the image."""

    def at(index: NDArray[np.intp]) -> Tensor:
        return torch.from_numpy(index).to(plane.device)

    rows, columns = source.rows, source.columns
    height, width = plane.shape[-2:]
    top, left = int(rows.argmin()), int(columns.argmin())
    y, x = slice(top, top + height), slice(left, left + width)
    if not (np.array_equal(rows[y], np.arange(height)) and np.array_equal(columns[x], np.arange(width))):
        return plane.index_select(-2, at(rows)).index_select(-1, at(columns))
    # Most of the window is the box as it stands, and index by index that would take long.
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
    # Both are sums of products of a column and a row: those of the displacement, and these two.
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
    largest = np.abs(spline_basis(size, draw.vectors.shape[-1])).sum(axis=1).max() ** 2
    beyond = 1 if draw.interpolation == "bicubic" else 0
    ranges = []
    for vectors in draw.vectors:
        # 0.01 px for the rounding of the coordinates; the last pixel has one after it, or more.
        reach = middle * (abs(cosine) + abs(sine)) + largest * np.abs(vectors).max() + 0.01
        low, high = (math.floor(middle - size // 2 + end) for end in (-reach, reach))
        ranges.append((low - beyond, high + 2 + beyond))
    return ranges
