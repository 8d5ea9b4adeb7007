"""The size of the pixels that a model was trained on: their width, and their height where it is another."""

import math

from unet2015.models.model_file import ModelInfo

PIXEL_HEIGHT = "pixel_height_nm"
"""Where the record of a training has the height, if pixels are not square."""


def trained_sides(info: ModelInfo) -> tuple[float, float] | None:
    """Return height and width of pixels that were trained on, in nanometres; None where not known."""
    if info.pixel_size_nm is None:
        return None
    height = info.training.get(PIXEL_HEIGHT)
    if not isinstance(height, int | float) or not 0 < height < math.inf:
        height = info.pixel_size_nm
    return float(height), info.pixel_size_nm


def sides_in_words(height: float, width: float) -> str:
    """Return the size of a pixel, given in nanometres: ``4 nm``, or ``2 nm high and 4 nm wide``."""
    if f"{height:.4g}" == f"{width:.4g}":
        return f"{width:.4g} nm"
    return f"{height:.4g} nm high and {width:.4g} nm wide"


def trained_scale(info: ModelInfo) -> str:
    """Return the same in words, such as ``4 nm``; empty where they are not known."""
    sides = trained_sides(info)
    return "" if sides is None else sides_in_words(*sides)
