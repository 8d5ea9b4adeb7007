"""Pages in bands of rows whose pixels can be mapped: finite, and exact in double precision."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageValueError
from unet2015.images.image import Image
from unet2015.images.looks import Looks

EXACT = 2**53
"""Whole numbers up to this are exact in double precision, in which intensities are mapped and measured."""


def bands(image: Image, page: int, looks: Looks | None = None) -> Iterator[npt.NDArray[Any]]:
    """Yield a page as `Image.bands`; `looks` looks at each band.

    Raises
    ------
    ImageValueError
        Its pixels cannot be mapped.
    """
    for number, band in enumerate(image.bands(page)):
        check_values(band, image, page)
        if looks is not None:
            looks.add(page, number * image.band_rows, band)
        yield band


def check_values(pixels: npt.NDArray[Any], image: Image, page: int) -> None:
    """Raise `ImageValueError` where pixels of a page are not finite, or too large to be told apart."""
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ImageValueError(
            f"{image.name}: page {page}: expected finite pixels, but some are NaN or infinite; replace them"
        )
    if found := inexact(pixels):
        raise ImageValueError(
            f"{image.name}: page {page}: expected whole numbers up to {EXACT} (2**53), which double "
            f"precision tells apart, but they go from {found[0]} to {found[1]}; subtract what all have in "
            "common"
        )


def inexact(pixels: npt.NDArray[Any], inside: npt.NDArray[np.bool_] | None = None) -> tuple[int, int] | None:
    """Return the lowest and the highest of whole numbers that go beyond `EXACT`; None where they do not.

    Where pixels are `inside`, only they count.
    """
    if pixels.dtype.itemsize < 8 or pixels.dtype.kind not in "iu":
        return None
    there = pixels if inside is None else pixels[inside]
    if not there.size:
        return None
    low, high = int(there.min()), int(there.max())
    return None if -EXACT <= low <= high <= EXACT else (low, high)
