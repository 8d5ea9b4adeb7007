"""What the samples of a pixel are: values, indices of a palette, or alpha."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError
from unet2015.images.predictors import splits_bytes
from unet2015.wording import listed

NO_ALPHA = (
    "save a copy without alpha, for example with ImageMagick: magick IN -alpha off OUT (see with unet2015 "
    "inspect that axes and pixel size are kept)"
)
"""What to do with an image with transparent pixels."""

MASK = "a mask is taken as labels; to take it as an image, save a copy with 8 bits"
"""The same for an image of one bit a pixel."""

COLOURS_ARE_NO_LABELS = (
    "; labels are one number a pixel: save the numbers from the program that made the file (colours that are "
    "turned to gray are other numbers)"
)
"""The same for labels with several channels."""


def no_channels_in_labels(axes: str) -> str:
    """Return what to do with labels of several channels, by their axes: those before YX may be pages."""
    free = next((letter for letter in "ZTI" if letter not in axes), None)
    if free is None or not axes.endswith("YX") or "C" not in axes:
        return COLOURS_ARE_NO_LABELS
    return f"; if C are no channels but pages, give --axes {axes.replace('C', free)}{COLOURS_ARE_NO_LABELS}"


_SAME_VALUES = "save a copy of the same values, not scaled, with 8, 16 or 32 bit"
_NUMBERS = (
    *("imagelength", "imagewidth", "samplesperpixel", "bitspersample", "tilelength", "tilewidth"),
    *("photometric", "compression", "planarconfig", "predictor", "fillorder"),
)
_ALPHA = (1, 2)  # values of ExtraSamples
PALETTE = 3
"""A photometric interpretation: pixels are indices."""
_IMAGE_DEPTH = 32997  # a tag of SGI
_OF_ONE_BIT = (2, 3, 4, 32771)
"""Compressions of fax machines (CCITT), which know pixels of one bit alone."""


def is_gray_ramp(colours: npt.NDArray[Any]) -> bool:
    """Whether a palette shows each index as the gray of that value, so that it can be ignored.

    Parameters
    ----------
    colours : numpy.ndarray, shape (3, N)
        Red, green and blue of each index: 0 to 255, or 0 to 65535 as TIFF has it.
    """
    if colours.ndim != 2 or len(colours) != 3 or not 0 < colours.shape[1] <= 256:
        return False
    index = np.arange(colours.shape[1])
    # TIFF has 16 bits for each colour: programs write v * 257 or v * 256.
    return any(bool((colours == index * factor).all()) for factor in (1, 256, 257))


def is_stretched_ramp(colours: npt.NDArray[Any]) -> bool:
    """Whether a palette, shape (N, 3), shows the numbers of 2 or 4 bits as gray from black to white.

    One bit is left out: with black and white alone a file can have them in either order.
    """
    step = {4: 85, 16: 17}.get(len(colours))
    return step is not None and bool((colours == np.arange(len(colours))[:, None] * step).all())


def shows_its_indices(page: Any) -> bool:
    """Whether the palette of a TIFF page is a gray ramp."""
    return page.colormap is not None and is_gray_ramp(np.asarray(page.colormap))


def check_numbers(page: Any, name: str) -> None:
    """Raise `ImageReadError` if a tag of a page that is one number holds several."""
    several = [tag for tag in _NUMBERS if not isinstance(getattr(page, tag), int)]
    if several:
        raise ImageReadError(
            f"{name}: page {page.index}: the header is damaged: {several[0]} is not one number; copy it again"
        )


_LERC, _LERC_PARAMETERS = 34887, 50674
"""A compression; a tag, whose second number tells of another one on top."""


def check_page(page: Any, name: str, *, labels: bool, indices: bool) -> None:
    """Raise `ImageReadError` if a page does not hold intensities, or labels, that can be decoded.

    `indices`: with a palette, the indices are what counts; the colours are a way of display.
    """
    check_numbers(page, name)
    problem = None
    if page.dtype is None or page.dtype.kind not in ("uifb" if labels else "uif"):
        kept = MASK if page.dtype is not None and page.dtype.kind == "b" else _SAME_VALUES
        problem = f"{page.bitspersample} bit pixels of this type are not supported; {kept}"
    elif page.bitspersample == 24 and page.dtype.kind in "ui":
        # imagecodecs takes their bytes as big-endian, and tifffile swaps those of a big-endian file again.
        problem = f"whole numbers of 24 bits are not supported; {_SAME_VALUES}"
    elif page.compression in _OF_ONE_BIT and page.bitspersample != 1:
        problem = (
            f"the header is damaged: page {page.index} has a compression for pixels of one bit, and "
            f"{page.bitspersample} bits; copy it again"
        )
    elif splits_bytes(page):
        problem = (
            f"differences between pixels of {page.bitspersample} bits (tag Predictor) are not supported; "
            "save a copy of the same values without them, or with 8 or 16 bits"
        )
    elif page.compression == _LERC and any(page.tags.valueof(_LERC_PARAMETERS, (0, 0))[1:2]):
        problem = "LERC with another compression on top of it is not supported; save a copy with one of them"
    elif page.photometric == PALETTE and not indices and page.colormap is None:
        problem = "its pixels are indices of a colour palette that is not there; copy it again"
    elif page.is_stk:
        problem = "MetaMorph STK is not supported; save it as TIFF, for example with Fiji"
    elif page.tags.valueof(_IMAGE_DEPTH, 1) != 1:
        problem = "volumetric tiles are not supported; save it with one directory for each plane"
    elif 0 in page.shape:
        problem = "the image is empty"
    if problem:
        raise ImageReadError(f"{name}: {problem}")


def value_samples(page: Any, axes: str | None) -> list[int]:
    """Return which samples of a TIFF pixel are values: all but those that ExtraSamples says are alpha.

    Where gray and "alpha" are two channels, the user says so with `axes` that end in YXC.
    """
    every = list(range(page.samplesperpixel))
    extra = page.extrasamples if isinstance(page.extrasamples, tuple) else (page.extrasamples,)
    first = len(every) - len(extra)
    values = [i for i in every if i < first or extra[i - first] not in _ALPHA] or every
    letters = (axes or "").upper().replace("S", "C")
    said = len(every) == 2 and page.planarconfig == 1 and letters.endswith("YXC")
    return every if said else values


def common_samples(pages: Sequence[Any], axes: str | None, name: str) -> list[int]:
    """Return which samples are values, as `value_samples`, of all pages.

    Raises
    ------
    ImageReadError
        ExtraSamples says that others are alpha on one page than on another.
    """
    found: dict[tuple[int, ...], Any] = {}
    for page in pages:
        found.setdefault(tuple(value_samples(page, axes)), page)
    if len(found) > 1:
        every = range(pages[0].samplesperpixel)
        said = " and ".join(
            f"{listed([i for i in every if i not in values]) or 'none'} of page {page.index}"
            for values, page in found.items()
        )
        raise ImageReadError(
            f"{name}: expected the same samples of all pages to be alpha, but ExtraSamples says so of "
            f"samples {said} (counted from 0); split the file, or save it again with one tag for all pages"
        )
    return list(next(iter(found)))


def within(page: Any, samples: int, letter: str = "C") -> str:
    """Return the axes of one plane of a TIFF in the file's order; `samples` of a pixel are values.

    `letter`: the axis along which they lie.
    """
    if samples == 1:
        return "YX"
    return f"{letter}YX" if page.planarconfig == 2 else f"YX{letter}"


def without_alpha(
    pixels: npt.NDArray[Any], samples: int, values: Sequence[int], name: str, advice: str
) -> npt.NDArray[Any]:
    """Return the values of pixels alone.

    Parameters
    ----------
    pixels : numpy.ndarray, shape (planes * samples, height, width)
        With alpha.
    samples : int
        Of a pixel.
    values : sequence of int
        Those that are values.
    name : str
        The file.
    advice : str
        What else to do where a pixel is not opaque.

    Raises
    ------
    ImageReadError
        A pixel is not opaque: what its intensity is depends on what lies behind it.
    """
    split = pixels.reshape(-1, samples, *pixels.shape[1:])
    opaque = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "ui" else 1
    if (np.delete(split, values, axis=1) != opaque).any():
        raise ImageReadError(
            f"{name}: the TIFF has transparent pixels, whose intensity is not defined; {NO_ALPHA}{advice}"
        )
    return np.ascontiguousarray(split[:, values]).reshape(-1, *pixels.shape[1:])
