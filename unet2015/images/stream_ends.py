"""Coded pictures within a TIFF that were cut short or whose end is lost, where decoders fill what is missing.

A strip that a disk or a copy has lost in part has its length and is zeros from somewhere on, its end marker
with it. WebP has no such marker and no checksum: of it this cannot be seen.

Sources: ITU-T T.81, annex B (JPEG); T.800, annex A (JPEG 2000); T.832, annex A (JPEG XR)
"""

import struct
from collections.abc import Callable

from unet2015.images.codestreams import jpeg2000_start, jpeg_xr_entries
from unet2015.images.jpeg_markers import SCAN, segments

_END = b"\xff\xd9"
"""The end marker of JPEG and of JPEG 2000."""
_TILE_PART = b"\xff\x90"
_XR_PLACE, _XR_BYTES = 0xBCC0, 0xBCC1
_NO_MARKER = "it ends without its end marker"


def describe_lost_end(compression: int, data: bytes) -> str | None:
    """Return in words that a coded picture lacks its end; None where it has it, or that cannot be seen.

    Parameters
    ----------
    compression : int
        Of the TIFF.
    data : bytes
        A strip or tile.

    Raises
    ------
    ValueError, struct.error, IndexError
        Its header ends too early.
    """
    look = _LOOKS.get(compression)
    return None if look is None else look(data)


def _jpeg(data: bytes) -> str | None:
    for marker, place in segments(data):
        if marker == SCAN:
            return None if data.find(_END, place) >= 0 else _NO_MARKER
    return None


def _jpeg2000(data: bytes) -> str | None:
    start = jpeg2000_start(data)
    if start is None:
        return None
    position = start + 2
    while data[position : position + 2] not in (_TILE_PART, _END):  # the main header
        position += 2 + int(struct.unpack_from(">H", data, position + 2)[0])
    while data[position : position + 2] == _TILE_PART:
        (length,) = struct.unpack_from(">I", data, position + 6)
        if not length:  # the last one, up to the end marker
            return None if _END in data[position + 12 :] else _NO_MARKER
        position += length
    return None if data[position : position + 2] == _END else _NO_MARKER


def _jpeg_xr(data: bytes) -> str | None:
    entries = jpeg_xr_entries(data)
    end = entries.get(_XR_PLACE, 0) + entries.get(_XR_BYTES, 0)
    return f"it has {len(data)} bytes, but its header declares {end}" if end > len(data) else None


_LOOKS: dict[int, Callable[[bytes], str | None]] = {
    **dict.fromkeys((7, 33007, 34892), _jpeg),
    **dict.fromkeys((33003, 33004, 33005, 34712), _jpeg2000),
    **dict.fromkeys((22610, 34934), _jpeg_xr),
}
