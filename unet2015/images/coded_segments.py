"""One strip or tile of a TIFF decoded: seen to be whole and of its size before, and in its own colours."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.images.codestreams import declared_size, is_larger
from unet2015.images.directories import Plane
from unet2015.images.jpeg_damage import strip_ends_early
from unet2015.images.jpeg_markers import SCAN, segments
from unet2015.images.stream_ends import describe_lost_end

_JPEG = 7
"""A compression in which decoders fill what is missing."""
_RGB, _YCBCR = 2, 6
"""Values of PhotometricInterpretation; the first is what imagecodecs calls these colours, too."""


def decode_segment(data: bytes, plane: Plane, index: int, samples: int) -> npt.NDArray[Any]:
    """Return the pixels of a strip or tile, shape (rows, columns, samples).

    Parameters
    ----------
    data : bytes
        As they are stored.
    plane : Plane
        Whose they are.
    index : int
        The number of the strip or tile.
    samples : int
        Of a pixel.

    Raises
    ------
    NotImplementedError
        The compression is not supported.
    Exception
        The data are damaged; of what kind depends on the codec.
    """
    page, compression = plane.page, int(plane.page.compression)
    found = declared_size(compression, data)
    if found is not None and is_larger(found, plane.columns, plane.rows, samples):
        raise ValueError(
            f"it holds a picture of {found.height} x {found.width} px and {found.samples or 'some'} "
            f"samples, but has {plane.rows} x {plane.columns} px of {samples}"
        )
    # Parts of one JPEG, as Hamamatsu has them, end at a restart marker.
    if page.jpegheader is None and (lost := describe_lost_end(compression, data)):
        raise ValueError(lost)
    decode = _decoder(page, index, data)
    segment = decode(data)
    if compression == _JPEG and strip_ends_early(data, segment, decode):
        raise ValueError("its data end before its last pixel")
    pixels: npt.NDArray[Any] = segment[0]
    return pixels


def _decoder(page: Any, index: int, data: bytes) -> Callable[[bytes], npt.NDArray[Any]]:
    """Return what decodes a segment into an array of shape (1, rows, columns, samples).

    The tag PhotometricInterpretation says whether a JPEG has colours, as for libtiff, unless the JPEG says it
    itself. tifffile leaves three gray channels to libjpeg, which takes them for YCbCr, and cannot read the
    colours of planes that lie one by one.
    """
    jpeg, together = int(page.compression) == _JPEG, page.planarconfig == 1
    three = together and page.samplesperpixel == 3 and page.photometric not in (_RGB, _YCBCR)
    gray = jpeg and three and not _says_colours(data)
    if gray or (jpeg and not together and page.photometric == _RGB):
        import imagecodecs

        colours = _RGB if gray else None  # of both sides, so that nothing is converted

        def decode(coded: bytes) -> npt.NDArray[Any]:
            found = imagecodecs.jpeg_decode(
                coded,
                bitspersample=page.bitspersample,
                tables=page.jpegtables,
                colorspace=colours,
                outcolorspace=colours,
            )
            return found.reshape(1, *found.shape[:2], -1)

        return decode

    def by_tifffile(coded: bytes) -> npt.NDArray[Any]:
        return np.asarray(page.decode(coded, index, jpegtables=page.jpegtables)[0])

    return by_tifffile


def _says_colours(data: bytes) -> bool:
    """Whether a JPEG has the mark of JFIF, whose three components are YCbCr, or of Adobe, which says it."""
    for marker, place in segments(data):
        if data[place + 2 : place + 7] in (b"JFIF\0", b"Adobe"):
            return True
        if marker == SCAN:
            break
    return False
