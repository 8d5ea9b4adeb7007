"""The axis along which the samples of a TIFF pixel lie: channels, unless header or user say another.

tifffile writes a stack of 3 or 4 slices as the planes of one directory, and calls them colours there.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import AxesError
from unet2015.images.axes import LETTERS
from unet2015.images.declared import Declared
from unet2015.images.samples import value_samples


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
