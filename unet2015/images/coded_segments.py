"""One strip or tile of a TIFF decoded: seen to be whole and of its size before, and in its own colours."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

from unet2015.images.codestreams import declared_size, is_larger
from unet2015.images.directories import Plane
from unet2015.images.fax import FAX, GROUP_3, decode_fax
from unet2015.images.jpeg_damage import check_restarts, strip_ends_early
from unet2015.images.jpeg_markers import SCAN, segments
from unet2015.images.jpeg_scans import scans_of
from unet2015.images.stream_ends import describe_lost_end

_JPEG = 7
"""A compression in which decoders fill what is missing."""
_OF_JPEG = (6, 7, 33007, 34892)
_WHOLE_JPEG = (7, 33007, 34892)
_WEBP = 50001
_LERC = 34887
_ROWS_PER_STRIP = 278
_PACKBITS = 32773
_T4_OPTIONS, _T6_OPTIONS = 292, 293
_LOW_BIT_FIRST = 2
"""A value of FillOrder."""
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
    if compression in FAX and (plane.separate or samples == 1):
        return _fax(_in_order(data, page), plane, index)
    if compression == _PACKBITS and page.bitspersample < 8 * page.dtype.itemsize:
        _check_length(_in_order(data, page), plane, samples)
    found = declared_size(compression, data)
    inside = 1 if plane.separate else samples
    if found is not None and is_larger(found, plane.columns, plane.rows, samples):
        raise ValueError(_other_size((found.height, found.width, found.samples), plane, inside))
    # Parts of one JPEG, as Hamamatsu has them, end at a restart marker.
    if page.jpegheader is None and (lost := describe_lost_end(compression, data)):
        raise ValueError(lost)
    scans = scans_of(data) if compression in _WHOLE_JPEG and page.jpegheader is None else ()
    check_restarts(scans)
    if compression in _OF_JPEG:
        if found is not None and page.jpegheader is None:
            _check_size((found.height, found.width, found.samples), plane, index, inside)
        decode = _decoder(plane, index, data)
    elif found is not None and _is_read(page):
        decode = _picture_decoder(plane, index, inside)
    else:
        decode = _by_tifffile(plane, index)
    segment = decode(data)
    if compression == _JPEG and strip_ends_early(data, scans, segment, decode):
        raise ValueError("its data end before its last pixel")
    pixels: npt.NDArray[Any] = segment[0]
    _check_type(pixels.dtype, page.dtype)
    return pixels


def _fax(data: bytes, plane: Plane, index: int) -> npt.NDArray[Any]:
    """Return the pixels of a segment of a fax compression, whose decoders fill what is missing."""
    page, compression = plane.page, int(plane.page.compression)
    options = page.tags.valueof(_T4_OPTIONS if compression == GROUP_3 else _T6_OPTIONS) or 0
    return decode_fax(data, compression, _rows(plane, index), plane.columns, options)[..., np.newaxis]


def _in_order(data: bytes, page: Any) -> bytes:
    """Return bytes with the highest bit first."""
    if page.fillorder != _LOW_BIT_FIRST:
        return data
    return np.packbits(np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")).tobytes()


def _check_length(data: bytes, plane: Plane, samples: int) -> None:
    """Raise `ValueError` if PackBits are longer than a full strip or tile, as writers pad the last strip.

    tifffile sees it itself, but where a pixel takes less of the file than of memory.
    """
    found = len(imagecodecs.packbits_decode(data))
    bits = plane.columns * (1 if plane.separate else samples) * plane.page.bitspersample
    if found > (most := -(-bits // 8) * plane.rows):
        raise ValueError(f"it holds {found} bytes of pixels, but has {most} at most")


def _rows(plane: Plane, index: int) -> int:
    """Return the rows of a strip or tile: the last strip has those that are left."""
    if plane.page.is_tiled:
        return plane.rows
    return min(plane.rows, int(plane.page.imagelength) - index % plane.down * plane.rows)


def _check_type(found: np.dtype[Any], wanted: np.dtype[Any]) -> None:
    """Raise `ValueError` if pixels have another type than the TIFF declares; a bit may come as a byte."""
    if (found.kind, found.itemsize) != (wanted.kind, wanted.itemsize) and wanted.kind != "b":
        raise ValueError(f"it holds pixels of type {found.name}, but the TIFF declares {wanted.name}")


def _check_size(found: tuple[int, int, int], plane: Plane, index: int, samples: int) -> None:
    """Raise `ValueError` if a picture has another height, width or number of samples than it should.

    The last strip may have all rows of a strip, as some programs write it.
    """
    said = plane.page.tags.valueof(_ROWS_PER_STRIP)  # tifffile's own number ends with the page
    rows = {_rows(plane, index), plane.rows} | (set() if plane.page.is_tiled else {said})
    if found[0] not in rows or found[1:] != (plane.columns, samples):
        raise ValueError(_other_size(found, plane, samples))


def _other_size(found: tuple[int, int, int], plane: Plane, samples: int) -> str:
    height, width, inside = found
    return (
        f"it holds a picture of {height} x {width} px and {inside or 'some'} samples, but has "
        f"{plane.rows} x {plane.columns} px of {samples}"
    )


def _is_read(page: Any) -> bool:
    """Whether tifffile would decode a picture by its codec alone; else it says what is not supported."""
    lerc = int(page.compression) == _LERC and page.predictor == 1
    return bool(page.decode.__name__ == ("decode_other" if lerc else "decode_image"))


def _by_tifffile(plane: Plane, index: int) -> Callable[[bytes], npt.NDArray[Any]]:
    page, last = plane.page, index % plane.down == plane.down - 1

    def decode(coded: bytes) -> npt.NDArray[Any]:
        try:
            return np.asarray(page.decode(coded, index, jpegtables=page.jpegtables)[0])
        except Exception:
            if page.is_tiled or plane.down == 1 or not last:
                raise
            with suppress(Exception):  # some programs fill the last strip up to all rows of a strip
                found = np.asarray(page.decode(coded, 0, jpegtables=page.jpegtables)[0])
                return found[:, : _rows(plane, index)]
            raise

    return decode


def _picture_decoder(plane: Plane, index: int, samples: int) -> Callable[[bytes], npt.NDArray[Any]]:
    """Return what decodes a picture that is no JPEG, and sees that it has the size of the strip or tile.

    tifffile takes a picture of other columns or samples, too, where the number of its values fits.
    """
    compression, rows = int(plane.page.compression), _rows(plane, index)
    # WebP leaves out alpha that is opaque everywhere.
    more = {"hasalpha": True} if compression == _WEBP and samples == 4 else {}

    def decode(coded: bytes) -> npt.NDArray[Any]:
        found = np.asarray(tifffile.TIFF.DECOMPRESSORS[compression](coded, **more))
        size = (*found.shape, 1)[:3]
        _check_size(size, plane, index, samples)
        return found.reshape(1, *size)[:, :rows]

    return decode


def _decoder(plane: Plane, index: int, data: bytes) -> Callable[[bytes], npt.NDArray[Any]]:
    """Return what decodes a segment into an array of shape (1, rows, columns, samples).

    The tag PhotometricInterpretation says whether a JPEG has colours, as for libtiff, unless the JPEG says it
    itself. tifffile leaves three gray channels to libjpeg, which takes them for YCbCr, and cannot read the
    colours of planes that lie one by one.
    """
    page = plane.page
    jpeg, together = int(page.compression) == _JPEG, page.planarconfig == 1
    three = together and page.samplesperpixel == 3 and page.photometric not in (_RGB, _YCBCR)
    gray = jpeg and three and not _says_colours(data)
    if gray or (jpeg and not together and page.photometric == _RGB):
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

    return _by_tifffile(plane, index)


def _says_colours(data: bytes) -> bool:
    """Whether a JPEG has the mark of JFIF, whose three components are YCbCr, or of Adobe, which says it."""
    for marker, place in segments(data):
        if data[place + 2 : place + 7] in (b"JFIF\0", b"Adobe"):
            return True
        if marker == SCAN:
            break
    return False
