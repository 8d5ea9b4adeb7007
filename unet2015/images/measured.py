"""What a mapping measures over pages of images, without what holds no image."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.images.border_areas import left_out
from unet2015.images.checked_bands import bands
from unet2015.images.image import Image
from unet2015.images.looks import Looks
from unet2015.images.moments import mean_and_deviation
from unet2015.images.percentiles import exact_percentiles

Both = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Two numbers of each channel."""


def measured_percentiles(
    images: Sequence[tuple[Image, Sequence[int]]],
    percents: tuple[float, float],
    fill_value: float | None = None,
    looks: Looks | None = None,
) -> Both:
    """Return two percentiles of each channel over the given pages of all images."""
    dtype, channels = images[0][0].dtype, images[0][0].channels

    def blocks(channel: int) -> Iterator[npt.NDArray[Any]]:
        for image, pages in images:
            for page in pages:
                for number, band in enumerate(bands(image, page, looks)):
                    out = left_out(image, fill_value, page, number * image.band_rows, band)
                    yield band[channel] if out is None else band[channel][~out[channel]]

    found = [exact_percentiles(partial(blocks, channel), dtype, percents) for channel in range(channels)]
    both = np.stack(found, axis=1)
    return both[0], both[1]


def measured_moments(
    image: Image, pages: Sequence[int], fill_value: float | None = None, looks: Looks | None = None
) -> Both:
    """Return mean and standard deviation of each channel over the given pages."""

    def without(number: int, row: int, band: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
        return left_out(image, fill_value, pages[number], row, band)

    read = (bands(image, page, looks) for page in pages)
    return mean_and_deviation(read, image.dtype, image.channels, without)
