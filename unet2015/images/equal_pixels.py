"""Whether two images have the same pixels; most differ in their first rows."""

import numpy as np

from unet2015.images.image import Image

_STRIP = 2**18
"""Pixels of each image that are compared at a time."""


def equal_pixels(one: Image, other: Image) -> bool:
    """Whether two images have equal pixels, page by page and channel by channel."""
    sizes = [(image.pages, image.height, image.width, image.channels) for image in (one, other)]
    if sizes[0] != sizes[1]:
        return False
    rows = max(1, _STRIP // one.width)

    def same(page: int, row: int) -> bool:
        place = (page, row, min(row + rows, one.height), 0, one.width)
        return bool(np.array_equal(one.read(*place), other.read(*place)))

    return all(same(page, row) for page in range(one.pages) for row in range(0, one.height, rows))


def same_pixels(one: Image, other: Image) -> bool:
    """Whether two images of one channel have equal pixels."""
    return one.channels == 1 and equal_pixels(one, other)
