"""The axis along which the samples of a TIFF pixel lie: channels, unless header or user say another.

tifffile writes a stack of 3 or 4 slices as the planes of one directory, and calls them colours there.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import AxesError
from unet2015.images.axes import LETTERS
from unet2015.images.declared import Declared
from unet2015.images.samples import value_samples

_COLOURS = (3, 4)


def sample_axis(page: Any, axes: str | None, declared: Declared, name: str) -> str:
    """Return the letter of the axis of a pixel's samples.

    Parameters
    ----------
    page : tifffile.TiffPage
        The first page.
    axes : str or None
        What the user says the axes are.
    declared : Declared
        What the header says.
    name : str
        The file.

    Raises
    ------
    AxesError
        The header's axes do not go with how the samples lie in the file, or pages are not along YX.
    """
    separate, said = page.planarconfig == 2, declared.page_axes
    if page.samplesperpixel == 1:
        if axes is None and len(said) == 2 and "?" not in said and said != "YX":
            raise AxesError(
                f"{name}: the header says that the axes of a page are {said}; expected YX: save it again "
                "with Y and X as the last axes, in this order (numpy: np.transpose); or, if the header "
                "is wrong and they are YX, give --axes that end so"
            )
        if axes is None:
            _check_columns(page, declared, name)
        return "C"
    if axes is not None:
        tail = axes.upper()[-3:]
        several = bool(said) or not separate or len(value_samples(page, None)) > 1
        letter = _letter(tail, separate) if several else None
    elif len(said) == 3:
        letter = _letter(said, separate)
        if letter is None:
            fits = "CYX" if separate else "YXC"
            raise AxesError(
                f"{name}: the header says that the axes of a page are {said}, but its pixels are stored as "
                f"{page.samplesperpixel} colours ({fits}); save it again without colours (tifffile: "
                f"photometric='minisblack'), or, if it has colours, give --axes that end in {fits}"
            )
    else:
        letter = None
    return letter if letter is not None and letter in LETTERS else "C"


def _check_columns(page: Any, declared: Declared, name: str) -> None:
    """Refuse many pages as narrow as a pixel has colours: so arrays with channels last are stored as gray."""
    sizes = [size for size in declared.sizes if size > 1]
    height, width = page.imagelength, page.imagewidth
    if width not in _COLOURS or not sizes or min(sizes[-1], height) <= width or set(declared.lead) - {*"?I"}:
        return
    meant = "IYX" if len(sizes) == 1 else ""
    narrow = f", or, if they are pages, give --axes {meant}" if meant else ""
    raise AxesError(
        f"{name}: {declared.planes} pages of {height} x {width} px seem to be images of {width} colours "
        f"a pixel; save them again with the colours (tifffile: photometric='rgb'){narrow}"
    )


def describe_alpha(page: Any, values: Sequence[int], axes: str) -> tuple[str, ...]:
    """Say that planes of their own are left out as alpha, where they may be slices."""
    if page.planarconfig != 2 or len(values) == page.samplesperpixel:
        return ()
    all_of_them, left_out = page.samplesperpixel, page.samplesperpixel - len(values)
    advice = slices_advice(page, axes)
    return (f"{left_out} of {all_of_them} planes is alpha, as the header says{advice}",)


def slices_advice(page: Any, axes: str) -> str:
    """Return what to do where the samples of a pixel are none, by the axes of the image; empty for no way."""
    free = next((letter for letter in "ZTI" if letter not in axes), None)
    if page.planarconfig == 2 and axes.endswith("CYX") and free is not None:
        samples, meant = page.samplesperpixel, axes.replace("C", free)
        return f"; if these are {samples} slices, which tifffile may store so, give --axes {meant}"
    said = page.samplesperpixel == 2 and page.planarconfig == 1
    return "; if that sample is a channel and no alpha, --axes YXC says so" if said else ""


def _letter(tail: str, separate: bool) -> str | None:
    """Return the letter beside YX in the axes of a page; None where Y and X are not in their places."""
    letter, rest = (tail[:1], tail[1:]) if separate else (tail[2:], tail[:2])
    return letter if letter and rest == "YX" else None


def plane_order(named: Declared, samples: tuple[str, int], pages: int) -> npt.NDArray[np.int64]:
    """Return the numbers of what holds the channels of each page, shape (pages, numbers).

    Parameters
    ----------
    named : Declared
        The axes of planes.
    samples : tuple of (str, int)
        The axis of a pixel's samples and its length. If it is C, planes are numbered, else samples: all of
        the first plane, then all of the second.
    pages : int
        Of the image.
    """
    lead, sizes = named.lead, named.sizes
    if samples[0] != "C":
        lead, sizes = lead + samples[0], (*sizes, samples[1])
    order = np.arange(int(np.prod(sizes))).reshape(sizes)
    if "C" in lead:
        order = np.moveaxis(order, lead.index("C"), -1)
    return order.reshape(pages, -1)
