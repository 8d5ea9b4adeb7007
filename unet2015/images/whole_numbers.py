"""Labels that a program has saved as floats, such as ImageJ's 32-bit images, read as whole numbers."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import LabelError
from unet2015.images.image import Image
from unet2015.images.view import ImageView, header_of


def whole_numbers_of(pixels: npt.NDArray[Any], name: str, advice: str) -> npt.NDArray[Any]:
    """Return floats that are all whole as int64, bool as uint8, and integers as they are.

    Parameters
    ----------
    pixels : ndarray
        Labels, classes or a mask, of any shape.
    name : str
        Their file, for the message.
    advice : str
        What to do where the pixels are no labels.

    Raises
    ------
    LabelError
        A value is not whole, not finite, or so large that a float does not tell it from the next.
    """
    if pixels.dtype == bool:
        return pixels.astype(np.uint8)
    if pixels.dtype.kind != "f":
        return pixels
    # Compared, not subtracted: NaN and infinity are then wrong as well, without a warning of NumPy.
    wrong = ~((np.floor(pixels) == pixels) & (np.abs(pixels) < np.inf))
    if wrong.any():
        raise LabelError(
            f"{name}: expected whole numbers, such as a class map or instance labels, but its pixels are "
            f"{pixels.dtype}, and {float(pixels[wrong][0]):g} is among them; {advice}"
        )
    most = 2 ** (np.finfo(pixels.dtype).nmant + 1)
    if pixels.size and (highest := float(np.abs(pixels).max())) > most:
        raise LabelError(
            f"{name}: {highest:.0f} is among its pixels, but {pixels.dtype} holds whole numbers exactly up "
            f"to {most} only, so that labels may have become one; save them as integers of 32 bits"
        )
    return pixels.astype(np.int64)


class WholeNumbers(ImageView):
    """An image of floats that are whole, as int64; a read of others raises `LabelError`.

    Parameters
    ----------
    image : Image
        The image of floats; belongs to this one from now on.
    advice : str
        What to do where it holds no labels.
    """

    def __init__(self, image: Image, advice: str) -> None:
        super().__init__(image, replace(header_of(image), dtype=np.int64, bits=None, significant_bits=None))
        self._advice = advice

    def _read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        return whole_numbers_of(self._image.read(page, y0, y1, x0, x1), self.name, self._advice)


def labels_of(image: Image, advice: str) -> Image:
    """Return an image of one channel as one of whole numbers: itself, or a `WholeNumbers` of its floats."""
    return WholeNumbers(image, advice) if image.dtype.kind == "f" and image.channels == 1 else image
