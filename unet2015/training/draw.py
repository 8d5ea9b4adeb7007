"""The random numbers of a training tile (section 3.1); they follow from the seed and the step alone."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unet2015.settings import AugmentationSettings
from unet2015.training.sampling import Centres
from unet2015.training.warp import Interpolation


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

    It depends on (seed, step) alone: the same on every device, and in a resumed training. All numbers
    are drawn, whatever the settings, so that switching off one kind of change does not alter the others.
    The tile's centre falls on every pixel of `centres` with the same probability. Default: every pixel of
    the image; as it is mirrored at the border, pixels near the border are shown as often as the others.
    """
    # The spawn key gives every step an independent stream (numpy.random.SeedSequence).
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(step,))))
    y, x, angle, flip, scale, shift = random.random(6)
    vectors = random.standard_normal((2, settings.elastic_grid, settings.elastic_grid))
    size, blur = random.random(2)  # last, so that the numbers before are those of trainings without them
    if not settings.shift:
        centre = height // 2, width // 2
    else:
        centre = centres.at(y, x) if centres else (int(y * height), int(x * width))
    mirrored, turned = settings.flip and bool(flip < 0.5), 0.0
    if settings.flips is not None:
        # Along x, y or both: the mirror image, turned by half, or that half turn alone.
        way = int(3 * flip / settings.flips) if flip < settings.flips else None
        mirrored, turned = way in (0, 1), 180.0 * (way in (1, 2))
    return Draw(
        centre=centre,
        angle=float(2 * angle - 1) * settings.rotation + turned,
        flip=mirrored,
        vectors=vectors * settings.elastic_std,
        gray_scale=float(2 * scale - 1) * settings.gray_scale,
        gray_shift=float(2 * shift - 1) * settings.gray_shift,
        interpolation=settings.interpolation,
        scale=math.exp(float(2 * size - 1) * settings.scale),
        blur=float(blur) * settings.blur,
    )
