"""The size that a coded picture declares of itself, read before it is decoded.

Strips and tiles of a TIFF may be whole pictures: JPEG, JPEG 2000, JPEG XL, JPEG XR, PNG, WebP, LERC. Decoders
take memory for the size in the picture's own header, whatever the TIFF says: a few bytes may declare 65,535 x
65,535 pixels. All other codecs are told how many bytes may come out.

Sources: ITU-T T.81 (JPEG), T.800 (JPEG 2000), T.832 (JPEG XR); ISO/IEC 18181-1 (JPEG XL); RFC 2083 (PNG);
RFC 9649 (WebP); https://github.com/Esri/lerc/blob/master/src/LercLib/Lerc2.h
"""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from unet2015.images.jpeg_markers import begins_frame, segments

_ROUNDED = 16
"""A picture may be padded to whole blocks."""
_JPEG_LS = 0xF7
"""The marker of its frame."""


class PictureSize(NamedTuple):
    """What a picture says of itself: columns, rows, and samples of a pixel (0: not read here)."""

    width: int
    height: int
    samples: int = 0


def declared_size(compression: int, data: bytes) -> PictureSize | None:
    """Return what a coded picture declares; None if the compression of the TIFF is not one of pictures.

    Raises
    ------
    ValueError
        No size can be found.
    """
    read = _READERS.get(compression)
    if read is None:
        return None
    try:
        found = read(data)
    except (struct.error, IndexError) as error:
        raise ValueError("its header ends too early") from error
    if found is None:
        raise ValueError("it has no header that declares a size")
    return found


def is_larger(found: PictureSize, width: int, height: int, samples: int) -> bool:
    """Whether a picture is larger than a strip or tile, but for padding and a few samples such as alpha."""
    return (
        found.width > width + _ROUNDED or found.height > height + _ROUNDED or found.samples > max(4, samples)
    )


def _jpeg(data: bytes) -> PictureSize | None:
    for marker, place in segments(data):
        if begins_frame(marker) or marker == _JPEG_LS:
            height, width, samples = struct.unpack_from(">HHB", data, place + 3)
            return PictureSize(width, height, samples)
    return None


def _jpeg2000(data: bytes) -> PictureSize | None:
    start = jpeg2000_start(data)
    if start is None or data[start : start + 4] != b"\xff\x4f\xff\x51":
        return None
    right, bottom, left, top = struct.unpack_from(">IIII", data, start + 8)
    (samples,) = struct.unpack_from(">H", data, start + 40)
    return PictureSize(right - left, bottom - top, samples)


def jpeg2000_start(data: bytes) -> int | None:
    """Return where the code stream of a JPEG 2000 begins, which may lie in a file of boxes."""
    return 0 if data[:2] == b"\xff\x4f" else _box(data, (b"jp2c",))


def _jpeg_xl(data: bytes) -> PictureSize | None:
    start = 0 if data[:2] == b"\xff\x0a" else _box(data, (b"jxlc", b"jxlp"))
    if start is None:
        return None
    if data[start : start + 2] != b"\xff\x0a":  # the number of a part comes first
        start += 4
    if data[start : start + 2] != b"\xff\x0a":
        return None
    bits = _bits(data[start + 2 : start + 34])
    found = _jpeg_xl_size(bits)
    # More than one frame, or a preview, would come on top of the size.
    if not bits(1) and bits(1):
        bits(3)  # the orientation
        if bits(1):
            _jpeg_xl_size(bits)  # that at which it is shown
        if bits(1) or bits(1):
            raise ValueError("it is an animation or has a preview, which is not supported")
    return found


def _jpeg_xl_size(bits: Callable[[int], int]) -> PictureSize:
    small = bits(1)

    def length() -> int:
        return 8 * (1 + bits(5)) if small else 1 + bits((9, 13, 18, 30)[bits(2)])

    height, ratio = length(), bits(3)
    if not ratio:
        return PictureSize(length(), height)
    over, under = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
    return PictureSize(height * over // under, height)


def _bits(data: bytes) -> Callable[[int], int]:
    """Return a function that reads the next so many bits, the lowest first."""
    left = int.from_bytes(data, "little")

    def read(count: int) -> int:
        nonlocal left
        value = left & ((1 << count) - 1)
        left >>= count
        return value

    return read


def _jpeg_xr(data: bytes) -> PictureSize | None:
    sizes = jpeg_xr_entries(data)
    return PictureSize(sizes[0xBC80], sizes[0xBC81]) if {0xBC80, 0xBC81} <= sizes.keys() else None


def jpeg_xr_entries(data: bytes) -> dict[int, int]:
    """Return the numbers in the header of a JPEG XR, by their tags; none if it is no such."""
    if data[:3] != b"II\xbc":
        return {}
    (start,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, start)
    sizes = {}
    for entry in range(entries):
        code, kind, _ = struct.unpack_from("<HHI", data, start + 2 + 12 * entry)
        form = {1: "<B", 3: "<H", 4: "<I"}.get(kind)
        if form is not None:
            (sizes[code],) = struct.unpack_from(form, data, start + 10 + 12 * entry)
    return sizes


def _png(data: bytes) -> PictureSize | None:
    return PictureSize(*struct.unpack_from(">II", data, 16)) if data[12:16] == b"IHDR" else None


def _webp(data: bytes) -> PictureSize | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return PictureSize(width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (both,) = struct.unpack_from("<I", data, 21)
        return PictureSize(1 + (both & 0x3FFF), 1 + (both >> 14 & 0x3FFF))
    if kind == b"VP8X":
        return PictureSize(*(1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27)))
    return None


def _lerc(data: bytes) -> PictureSize | None:
    if data[:6] == b"Lerc2 ":
        (version,) = struct.unpack_from("<i", data, 6)
        height, width, samples = struct.unpack_from("<III", data, 14 if version >= 3 else 10)
        return PictureSize(width, height, samples if version >= 4 else 1)
    if data[:10] == b"CntZImage ":
        height, width = struct.unpack_from("<II", data, 18)
        return PictureSize(width, height)
    return None


def _box(data: bytes, kinds: tuple[bytes, ...]) -> int | None:
    """Return where the contents of the first box of one of these kinds begin."""
    return next((start for kind, start in _boxes(data) if kind in kinds), None)


def _boxes(data: bytes) -> Iterator[tuple[bytes, int]]:
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        yield kind, start
        if length < start - position:  # 0: to the end
            return
        position += length


_READERS: dict[int, Callable[[bytes], PictureSize | None]] = {
    **dict.fromkeys((6, 7, 99, 33007, 34892), _jpeg),
    **dict.fromkeys((33003, 33004, 33005, 34712), _jpeg2000),
    **dict.fromkeys((50002, 52546), _jpeg_xl),
    **dict.fromkeys((22610, 34934), _jpeg_xr),
    **dict.fromkeys((34927, 50001), _webp),
    34887: _lerc,
    34933: _png,
}
