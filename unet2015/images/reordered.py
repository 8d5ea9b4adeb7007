"""The pages of an image in the order of another one's: OME-Zarr always has time before depth."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.images.image import Image
from unet2015.images.page_order import other_order
from unet2015.images.view import ImageView, header_of


class ReorderedImage(ImageView):
    """An image whose pages are counted along its axes in another order.

    Parameters
    ----------
    image : Image
        The image, which this one closes.
    page_axes : str
        Its page axes, in the order in which pages are counted here.
    """

    def __init__(self, image: Image, page_axes: str) -> None:
        axes = page_axes + "".join(letter for letter in "CYX" if letter in image.axes)
        super().__init__(
            image, replace(header_of(image), axes=axes, shape=tuple(image.size(letter) for letter in axes))
        )
        old = np.arange(image.pages).reshape(image.page_shape)
        self._numbers = old.transpose([image.page_axes.index(letter) for letter in page_axes]).ravel()

    def uncovered(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[np.bool_] | None:
        """Return which pixels of a region hold no image, as the other image says it."""
        return self._image.uncovered(int(self._numbers[page]), y0, y1, x0, x1)

    def _read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        return self._image.read(int(self._numbers[page]), y0, y1, x0, x1)

    def read_channel(self, channel: int, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        """Return one channel of a page, as the other image reads it."""
        return self._image.read_channel(channel, int(self._numbers[page]), y0, y1, x0, x1)


def ordered_like(image: Image, like: Image) -> Image:
    """Return an image with its pages in the order of another one's; itself where they have it.

    So it is as well where the axes of both are not the same: then the pages do not go together.
    """
    sizes, wanted = (dict(zip(one.page_axes, one.page_shape, strict=True)) for one in (image, like))
    shared = [letter for letter in wanted if letter in sizes]
    alone = [letter for letter in sizes if letter not in wanted]
    if other_order(like, image) is None or any(sizes[letter] > 1 for letter in alone):
        return image
    if any(wanted[letter] != sizes.get(letter, 1) for letter in wanted):
        return image
    return ReorderedImage(image, "".join((*alone, *shared)))
