"""Whether an image can be compared with another one, page by page; what only may be wrong is said."""

from pathlib import Path

import numpy as np

from unet2015.errors import DataSetError
from unet2015.images.image import Image
from unet2015.images.notes import Say, say
from unet2015.images.page_order import other_names, other_order
from unet2015.images.pixel_size import other_size
from unet2015.images.places import other_place

_STRIP = 2**18
"""Pixels of each image that are compared at a time."""


def same_pixels(one: Image, other: Image) -> bool:
    """Whether two images of one size and one channel have equal pixels; most differ in their first rows."""
    sizes = [(image.pages, image.height, image.width, image.channels) for image in (one, other)]
    if sizes[0] != sizes[1] or one.channels != 1:
        return False
    rows = max(1, _STRIP // one.width)

    def same(page: int, row: int) -> bool:
        place = (page, row, min(row + rows, one.height), 0, one.width)
        return bool(np.array_equal(one.read(*place), other.read(*place)))

    return all(same(page, row) for page in range(one.pages) for row in range(0, one.height, rows))


def check_counterpart(one: Image, other: Image, called: str | None = None, *, say: Say = say) -> None:
    """Check that the pages of two images go together, and say where their axes, pixel sizes or places differ.

    Parameters
    ----------
    one : Image
        Such as the truth.
    other : Image
        What is compared with it; errors and notes name its file.
    called : str, optional
        What notes call `one`, so that they are the same for all pairs of two folders. Default: its name.
    say : callable
        Takes the notes. Default: they are logged.

    Raises
    ------
    DataSetError
        Pages are in another order.
    """
    if order := other_order(one, other):
        raise DataSetError(f"{other.name}: {order}; save both with their axes in the same order")
    differences = (
        other_names(one, other, called),
        other_size(other, one, called),
        other_place(other, one, called),
    )
    for note in differences:
        if note:
            say(other.path or Path(other.name), note)
