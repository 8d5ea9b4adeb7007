"""What every TIFF has, however its pixels are laid out: a header, and directories of tags.

Source: TIFF 6.0, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/
and the BigTIFF design, https://www.awaresystems.be/imaging/tiff/bigtiff.html
"""

import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How files begin: in both orders of bytes, TIFF and BigTIFF."""

SHORT, LONG, RATIONAL, LONG8 = 3, 4, 5, 16
"""Types of the numbers of a tag."""

NONE, INCH, CENTIMETRE = 1, 2, 3
"""Values of ResolutionUnit."""

Resolution = tuple[float | None, float | None, int]
"""Pixels per unit along X and Y, and the unit."""

Tag = tuple[int, int, Sequence[int]]
"""Code, type and numbers."""

LARGEST = 2**32 - 1
"""The largest number of pixels per unit that a tag holds; and the inverse of the smallest."""

_DEFLATE = 8
_FORMATS = {SHORT: "H", LONG: "I", LONG8: "Q", RATIONAL: "I"}
_SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}


def encode_header(big: bool) -> bytes:
    """Return the beginning of a file; the link to its first directory, still 0, is the last half."""
    return struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0) if big else struct.pack("<2sHI", b"II", 42, 0)


def deflate_level(dtype: np.dtype[Any]) -> int:
    """Return how hard zlib tries: deeper levels gain nothing on the noise of floats."""
    return 1 if dtype.kind == "f" else 6


def plane_tags(height: int, width: int, dtype: np.dtype[Any], resolution: Resolution) -> list[Tag]:
    """Return the tags that say what the pixels of a deflated plane are, and how large one is."""
    return [
        (256, LONG, [width]),
        (257, LONG, [height]),
        (258, SHORT, [dtype.itemsize * 8]),
        (259, SHORT, [_DEFLATE]),
        (262, SHORT, [1]),
        (277, SHORT, [1]),
        (339, SHORT, [_SAMPLE_FORMATS[dtype.kind]]),
        *_resolution_tags(resolution),
    ]


def colour_tag(colours: NDArray[np.uint8]) -> Tag:
    """Return the tag of a colour table, (256, 3), in 16 bits as TIFF has it."""
    return 320, SHORT, (colours.T.ravel().astype(int) * 257).tolist()


def encode_directory(tags: Sequence[Tag], description: str, position: int, big: bool) -> tuple[bytes, int]:
    """Return the bytes of a directory that will be at `position`, and where in them the link to the next is.

    Parameters
    ----------
    tags : sequence
        Code, type and numbers of each tag but the description.
    description : str
        ASCII; no tag where it is empty.
    position : int
        Byte of the file.
    big : bool
        For BigTIFF.
    """
    values = [(code, kind, len(numbers), _packed(kind, numbers)) for code, kind, numbers in tags]
    values = [(c, k, n // 2 if k == RATIONAL else n, data) for c, k, n, data in values]
    if description:
        text = description.encode("ascii") + b"\0"
        values.append((270, 2, len(text), text))
    values.sort()
    count, entry, cell = ("<Q", "<HHQ", 8) if big else ("<H", "<HHI", 4)
    link = struct.calcsize(count) + len(values) * (struct.calcsize(entry) + cell)
    directory, extra = struct.pack(count, len(values)), b""
    for code, kind, length, data in values:
        if len(data) > cell:
            place = position + link + cell + len(extra)
            extra += data + b"\0" * (len(data) % 2)
            data = struct.pack("<Q" if big else "<I", place)
        directory += struct.pack(entry, code, kind, length) + data.ljust(cell, b"\0")
    return directory + bytes(cell) + extra, link


def _resolution_tags(resolution: Resolution) -> list[Tag]:
    tags: list[Tag] = [(296, SHORT, [resolution[2]])]
    for code, pixels in zip((282, 283), resolution, strict=False):
        if pixels is not None:
            tags.append((code, RATIONAL, _rational(pixels)))
    return tags


def _packed(kind: int, numbers: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}{_FORMATS[kind]}", *numbers)


def _rational(value: float) -> tuple[int, int]:
    """Return the fraction of two 32 bit integers nearest to a positive value."""
    exact = Fraction(value)
    if exact >= LARGEST:
        return LARGEST, 1
    near = exact.limit_denominator(LARGEST)
    if near.numerator > LARGEST:
        near = exact.limit_denominator(max(1, int(LARGEST / value) - 1))
    if near == 0:
        return 1, LARGEST
    return near.numerator, near.denominator
