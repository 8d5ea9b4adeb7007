"""Compressions that change the values of pixels: labels in them are not those that were drawn.

Sources: ITU-T T.81, table B.1 (frames of JPEG); ITU-T T.800, A.6.1 (transformation of JPEG 2000);
RFC 9649 (WebP); https://github.com/Esri/lerc/blob/master/src/LercLib/Lerc2.h (the largest error)
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any

from unet2015.errors import LossyLabelsError
from unet2015.images.jpeg_markers import begins_frame, segments
from unet2015.wording import pages_listed

_HALF = 0.5
"""The largest error of LERC where whole numbers do not change."""
_FIRST = 2**12
"""Bytes of a strip or tile that are read first."""
_ADVICE = "labels in it are not those that were drawn; export them again without it (LZW, deflate or none)"


def describe_lossy(planes: Sequence[Any], handle: Any, name: str) -> tuple[str, ...]:
    """Return a note on labels in a compression that may change values.

    Parameters
    ----------
    planes : sequence of Plane
        All of a TIFF, each of which is asked: its first strip or tile that is there tells how all of it are
        compressed.
    handle : tifffile.FileHandle
        The open file.
    name : str
        The file.

    Raises
    ------
    LossyLabelsError
        It has changed values.
    """
    notes: dict[str, list[int]] = {}
    for plane in planes:
        found = _KINDS.get(int(plane.page.compression))
        if found is None or not plane.counts.any():
            continue
        kind, changes = found
        lossy = _changed(plane, handle, changes)
        if lossy:
            page = f"page {plane.page.index}: " if len(planes) > 1 else ""
            raise LossyLabelsError(
                f"{name}: {page}{kind}, as this file has it, changes the values of pixels: {_ADVICE}; to "
                "train on a mask that there is like this alone, cut it at half with --label-threshold, such "
                "as 128 of 255"
            )
        if lossy is None:
            notes.setdefault(kind, []).append(int(plane.page.index))
    return tuple(
        f"{'' if len(pages) == len(planes) else pages_listed(pages) + ': '}{kind} may have changed the "
        f"values of pixels, which is not known; if so, {_ADVICE}"
        for kind, pages in notes.items()
    )


def _changed(plane: Any, handle: Any, changes: Callable[[bytes], bool | None]) -> bool | None:
    """Whether coded data of a plane have changed values: their first part mostly tells."""
    there = int(plane.counts.argmax())
    length = int(plane.counts[there])
    for most in (_FIRST, length):
        handle.seek(int(plane.offsets[there]))
        try:
            lossy = changes(handle.read(min(most, length)))
        except (struct.error, IndexError):
            lossy = None
        if lossy is not None or changes is _unknown:
            return lossy
    return None


def _jpeg(data: bytes) -> bool | None:
    """Whether the frame is not one of the lossless ones."""
    frame = next((marker for marker, _ in segments(data) if begins_frame(marker)), None)
    return None if frame is None else frame not in (0xC3, 0xC7, 0xCB, 0xCF)


def _jpeg2000(data: bytes) -> bool | None:
    place = data.find(b"\xff\x52")
    return None if place < 0 else data[place + 13] == 0


def _webp(data: bytes) -> bool | None:
    return {b"VP8 ": True, b"VP8L": False}.get(data[12:16])


def _lerc(data: bytes) -> bool | None:
    if data[:6] != b"Lerc2 ":
        return None
    (version,) = struct.unpack_from("<i", data, 6)
    place = {2: 34, 3: 38}.get(version, 42)
    return float(struct.unpack_from("<d", data, place)[0]) > _HALF


def _unknown(_data: bytes) -> bool | None:
    return None


_KINDS: dict[int, tuple[str, Callable[[bytes], bool | None]]] = {
    **dict.fromkeys((6, 7, 99, 33007, 34892), ("JPEG", _jpeg)),
    **dict.fromkeys((33003, 33004, 33005, 34712), ("JPEG 2000", _jpeg2000)),
    **dict.fromkeys((34927, 50001), ("WebP", _webp)),
    **dict.fromkeys((50002, 52546), ("JPEG XL", _unknown)),
    **dict.fromkeys((22610, 34934), ("JPEG XR", _unknown)),
    34887: ("LERC", _lerc),
}
"""By its number in a TIFF: name of a compression; whether coded data have changed values, None: not known."""
