"""The size of a pixel, and images that declare different ones."""

import math
from collections.abc import Iterable

from unet2015.images.axes import Calibration, unit_factor
from unet2015.images.image import Image

MICROMETRE = "µm"
_SAME = 1e-2
"""By how much, relatively, pixel sizes may differ without a word: microscopes and programs round them."""


def pixel_size(calibration: Calibration) -> tuple[float, float] | None:
    """Return height and width of a pixel in micrometres; None if they or their unit are not known."""
    factor = unit_factor(calibration.unit, MICROMETRE)
    height, width = calibration.pixel_size_y, calibration.pixel_size_x
    if factor is None or height is None or width is None:
        return None
    return height * factor, width * factor


def in_words(size: tuple[float, float]) -> str:
    """Return height and width of a pixel as text."""
    return f"{size[0]:.4g} x {size[1]:.4g} {MICROMETRE}"


def other_size(image: Image, other: Image) -> str | None:
    """Return in words that two images declare pixels of different size; None where they do not."""
    ours, theirs = pixel_size(image.calibration), pixel_size(other.calibration)
    if ours is None or theirs is None or _alike(ours, theirs):
        return None
    return f"declares pixels of {in_words(ours)}, but {other.name} has {in_words(theirs)}; see which is right"


def sizes_of(images: Iterable[Image]) -> dict[tuple[float, float], str]:
    """Return the sizes of pixels that images declare, each with the name of the first image that has it."""
    found: dict[tuple[float, float], str] = {}
    for image in images:
        size = pixel_size(image.calibration)
        if size is not None and not any(_alike(size, known) for known in found):
            found[size] = image.name
    return found


def common_width(images: Iterable[Image]) -> float | None:
    """Return the width of a pixel of all images in micrometres; None if they differ, or one does not say."""
    sizes = [pixel_size(image.calibration) for image in images]
    known = [size for size in sizes if size is not None]
    if not known or len(known) < len(sizes) or not all(_alike(size, known[0]) for size in known):
        return None
    return known[0][1]


def _alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(math.isclose(a, b, rel_tol=_SAME) for a, b in zip(one, other, strict=True))
