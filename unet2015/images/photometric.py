"""PhotometricInterpretation of a TIFF: how its samples become intensities.

Where 0 is white, viewers show the samples inverted, and so they are read. ImageJ keeps the samples and
inverts the lookup table; so its own files are read as they are. Sources: TIFF 6.0, section 8;
``LookUpTable.java`` and ``FileOpener.java`` of ImageJ.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

_WHITE_IS_ZERO, _YCBCR, _ORIENTATION = 0, 6, 274
_INTERPRETATION = 262
_JPEG = (6, 7, 34892)  # its decoder makes RGB of YCbCr
_APERIO = 33003
"""JPEG 2000 of YCbCr in slides of Aperio, whatever the tag says (``openslide-vendor-aperio.c``)."""
_OTHERS = {
    4: "a transparency mask",
    5: "CMYK",
    _YCBCR: "YCbCr",
    8: "CIELab",
    9: "ICCLab",
    10: "ITULab",
    32803: "a mosaic of colours (CFA)",
    32844: "LogL",
    32845: "LogLuv",
}


def is_inverted(page: Any, *, imagej: bool, labels: bool) -> tuple[bool, tuple[str, ...]]:
    """Return whether the samples of a page must be inverted, and what is to be said of their meaning.

    Labels are numbers, not intensities, and keep their values.
    """
    turned = page.tags.valueof(_ORIENTATION, 1)
    notes: tuple[str, ...] = ()
    if turned in range(2, 9):
        notes = (
            f"its tags say that the image is to be turned (Orientation {turned}); it is read as it is stored",
        )
    photometric = _YCBCR if page.compression == _APERIO else int(page.photometric)
    if photometric in _OTHERS and not (photometric == _YCBCR and page.compression in _JPEG):
        what = _OTHERS[photometric]
        return False, (*notes, f"its pixels are {what}, not gray or RGB; the samples are read as they are")
    if photometric != _WHITE_IS_ZERO or page.dtype is None:
        return False, notes
    if page.tags.valueof(_INTERPRETATION) is None:
        return False, (*notes, "it does not say whether 0 is black or white; the values are read as they are")
    if labels:
        return False, (*notes, "its tags say that 0 is white; labels are read as they are")
    if imagej:
        return False, (*notes, "ImageJ shows 0 as white, by a lookup table; the values are read as they are")
    if page.dtype.kind not in "ui":
        return False, (
            *notes,
            f"its tags say that 0 is white; pixels of type {page.dtype} are read as they are",
        )
    return True, (*notes, "its tags say that 0 is white: the pixels are read inverted, as viewers show them")


def invert(pixels: npt.NDArray[Any], bits: int) -> None:
    """Turn integers of `bits` bits over in place, so that the smallest value becomes the largest."""
    if pixels.dtype.kind == "i":
        np.invert(pixels, out=pixels)  # -1 - x: from -128 to 127 and back
    else:
        np.subtract(pixels.dtype.type(2**bits - 1), pixels, out=pixels)
