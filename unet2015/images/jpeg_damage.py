"""Damage within the coded pixels of a JPEG, which has no checksum: what shows although decoders say nothing.

- Restart markers, where the header declares them, come in order, and as many as the picture needs.
- Codes of other lengths make the pixels end before the data do, or after. A decoder fills what is missing, so
  bytes put behind the end of the data change nothing only where the data suffice. And it leaves what is too
  much, so other bytes at their end change the picture where all are used.

A change that keeps the length of all codes cannot be seen.

Source: ITU-T T.81, annexes A, B, F; https://www.w3.org/Graphics/JPEG/itu-t81.pdf
"""

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unet2015.images.jpeg_markers import SCAN, segments

MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
"""Where the coded pixels of a scan end: FF is followed by 0 in them, or restarts them."""
_JUNK = b"\x5a\x3c\x96" * 20
_CORNER = 16
"""Rows and columns of the last coded block, at most."""

Decode = Callable[[bytes], npt.NDArray[Any]]


class Scan(NamedTuple):
    """Where the coded pixels of a scan lie, and their restart markers: how many are there, and are due."""

    start: int
    end: int
    restarts: int
    due: int
    ordered: bool


def restarts_due(
    size: tuple[int, int], sampling: Mapping[int, tuple[int, int]], parts: Sequence[int], interval: int
) -> int:
    """Return how many restart markers a scan has.

    Parameters
    ----------
    size : tuple of int
        Height and width of the picture.
    sampling : mapping
        Vertical and horizontal sampling of each component.
    parts : sequence of int
        The components in the scan.
    interval : int
        Blocks between two markers; 0 for none.
    """
    if not interval:
        return 0
    most = [max(factors[axis] for factors in sampling.values()) for axis in (0, 1)]
    if len(parts) == 1:  # a component alone has blocks of its own, without padding
        lengths = [-(-length * sampling[parts[0]][axis] // most[axis]) for axis, length in enumerate(size)]
        blocks = -(-lengths[0] // 8) * -(-lengths[1] // 8)
    else:
        blocks = -(-size[0] // (8 * most[0])) * -(-size[1] // (8 * most[1]))
    return -(-blocks // interval) - 1


def check_restarts(scans: Sequence[Scan]) -> None:
    """Raise `ValueError` unless each scan has its restart markers in order."""
    for number, scan in enumerate(scans):
        if scan.restarts != scan.due or not scan.ordered:
            order = "" if scan.ordered else ", and not in order"
            raise ValueError(
                f"expected {scan.due} restart markers in scan {number}, in order, but it has "
                f"{scan.restarts}{order}"
            )


def ends_early(data: bytes, scans: Sequence[Scan], pixels: npt.NDArray[np.uint8], decode: Decode) -> bool:
    """Whether the data of a scan, or of a part between restart markers, end before their pixels do."""
    return _digest(decode(_lengthened(data, scans))) != _digest(pixels)


def strip_ends_early(data: bytes, scans: Sequence[Scan], pixels: npt.NDArray[Any], decode: Decode) -> bool:
    """Whether the data of a strip or tile of a TIFF end before its pixels do, as in `ends_early`.

    Where its scans are not known, the end of the first alone is looked at.
    """
    if scans:
        longer = _lengthened(data, scans)
    else:
        end = _end_of_scan(data)
        longer = data[:end] + _JUNK + (data[end:] or b"\xff\xd9")
    try:
        other = decode(longer)
    except Exception:  # a decoder that does not skip them says by itself what is missing
        return False
    return other.shape != pixels.shape or bool((other != pixels).any())


def _lengthened(data: bytes, scans: Sequence[Scan]) -> bytes:
    """Return a JPEG with more bytes behind the data of each scan, and of each part of it."""
    pieces, position = [], 0
    for scan in scans:
        coded = data[scan.start : scan.end]
        for marker in range(0xD0, 0xD8) if scan.due else ():
            coded = coded.replace(bytes([0xFF, marker]), _JUNK + bytes([0xFF, marker]))
        pieces += [data[position : scan.start], coded, _JUNK]
        position = scan.end
    return b"".join([*pieces, data[position:]])


def _end_of_scan(data: bytes) -> int:
    """Return where the coded pixels of the first scan end."""
    with suppress(IndexError, struct.error):
        for marker, place in segments(data):
            if marker == SCAN:
                found = MARKER.search(data, place + int.from_bytes(data[place : place + 2], "big"))
                return found.start() if found else len(data)
    return len(data)


def has_more(data: bytes, scans: Sequence[Scan], pixels: npt.NDArray[np.uint8], decode: Decode) -> bool:
    """Whether the last byte of a picture of one scan is not needed for its pixels."""
    corner = pixels[-_CORNER:, -_CORNER:]
    if len(scans) > 1 or scans[0].end - scans[0].start < 2 or (corner == corner[-1, -1]).all():
        return False  # in a dark or bright corner other bytes may mean the same
    coded, rest = data[: scans[0].end], data[scans[0].end :]
    stuffed = coded.endswith(b"\xff\0")
    head, last = (coded[:-2], 0xFF) if stuffed else (coded[:-1], coded[-1])
    wanted = _digest(pixels)
    for bit in range(7, -1, -1):
        other = last ^ (1 << bit)
        changed = bytes([other]) + (b"\0" if other == 0xFF else b"")
        if _digest(decode(head + changed + rest)) != wanted:
            return False
    return True


def _digest(pixels: npt.NDArray[np.uint8]) -> bytes:
    return blake2b(np.ascontiguousarray(pixels).data, digest_size=16).digest()
