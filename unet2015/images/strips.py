"""A TIFF written strip by strip, in any order of planes, so that a band of all channels suffices.

Bands arrive with all channels side by side while the file holds one plane after the other in its
directories; writing strips as they fill up and the directories last needs no spool file, and the
same pixels give the same bytes. Source: TIFF 6.0, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/
and the BigTIFF design, https://www.awaresystems.be/imaging/tiff/bigtiff.html
"""

import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
import numpy.typing as npt

_STRIP_BYTES = 2**18
_DEFLATE, _LARGEST = 8, 2**32 - 1
_SHORT, _LONG, _RATIONAL, _LONG8 = 3, 4, 5, 16
_FORMATS = {_SHORT: "H", _LONG: "I", _LONG8: "Q", _RATIONAL: "I"}
_SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}

NONE, INCH, CENTIMETRE = 1, 2, 3
"""Values of ResolutionUnit."""

Resolution = tuple[float | None, float | None, int]
"""Pixels per unit along X and Y, and the unit."""


class StripWriter:
    """Writes planes of one size as deflated strips.

    Parameters
    ----------
    file : binary file
        Open for writing, at its beginning.
    planes, height, width : int
        What will come.
    dtype : dtype
        Type of the pixels.
    big : bool
        Write BigTIFF.
    """

    def __init__(
        self, file: BinaryIO, planes: int, height: int, width: int, dtype: npt.DTypeLike, *, big: bool
    ) -> None:
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.height, self.width = height, width
        self.rows = max(1, min(height, _STRIP_BYTES // (width * self.dtype.itemsize)))
        self._file, self._big = file, big
        self._offsets: list[list[int]] = [[] for _ in range(planes)]
        self._counts: list[list[int]] = [[] for _ in range(planes)]
        # Deeper levels gain nothing on the noise of floats.
        self._level = 1 if self.dtype.kind == "f" else 6
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0) if big else struct.pack("<2sHI", b"II", 42, 0))

    def write_strip(self, plane: int, rows: npt.NDArray[Any]) -> None:
        """Append the next strip of a plane: `self.rows` rows, the last one what is left."""
        data = imagecodecs.deflate_encode(np.ascontiguousarray(rows, self.dtype).tobytes(), level=self._level)
        self._offsets[plane].append(self._file.tell())
        self._counts[plane].append(len(data))
        self._file.write(data)

    def finish(self, description: str, resolution: Resolution) -> None:
        """Write the directories; the first holds the description."""
        pointer = 8 if self._big else 4
        for plane in range(len(self._offsets)):
            self._file.write(b"\0" * (-self._file.tell() % 8))
            position = self._file.tell()
            self._file.seek(pointer)
            self._file.write(struct.pack("<Q" if self._big else "<I", position))
            self._file.seek(position)
            directory, inside = self._directory(
                plane, description if plane == 0 else "", resolution, position
            )
            self._file.write(directory)
            pointer = position + inside

    def _directory(
        self, plane: int, description: str, resolution: Resolution, position: int
    ) -> tuple[bytes, int]:
        """Return the bytes of a directory at `position` and where in them the link to the next is."""
        wide = _LONG8 if self._big else _LONG
        tags: list[tuple[int, int, Sequence[int]]] = [
            (256, _LONG, [self.width]),
            (257, _LONG, [self.height]),
            (258, _SHORT, [self.dtype.itemsize * 8]),
            (259, _SHORT, [_DEFLATE]),
            (262, _SHORT, [1]),
            (273, wide, self._offsets[plane]),
            (277, _SHORT, [1]),
            (278, _LONG, [self.rows]),
            (279, wide, self._counts[plane]),
            (339, _SHORT, [_SAMPLE_FORMATS[self.dtype.kind]]),
        ]
        tags += resolution_tags(resolution)
        return encode_directory(tags, description, position, self._big)


def encode_directory(
    tags: Sequence[tuple[int, int, Sequence[int]]], description: str, position: int, big: bool
) -> tuple[bytes, int]:
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
    values = [(c, k, n // 2 if k == _RATIONAL else n, data) for c, k, n, data in values]
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


def resolution_tags(resolution: Resolution) -> list[tuple[int, int, Sequence[int]]]:
    """Return the tags that say how large a pixel is."""
    tags: list[tuple[int, int, Sequence[int]]] = [(296, _SHORT, [resolution[2]])]
    for code, pixels in zip((282, 283), resolution, strict=False):
        if pixels is not None:
            tags.append((code, _RATIONAL, _rational(pixels)))
    return tags


def _packed(kind: int, numbers: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}{_FORMATS[kind]}", *numbers)


def _rational(value: float) -> tuple[int, int]:
    """Return the fraction of two 32 bit integers nearest to a positive value."""
    exact = Fraction(value)
    if exact >= _LARGEST:
        return _LARGEST, 1
    near = exact.limit_denominator(_LARGEST)
    if near.numerator > _LARGEST:
        near = exact.limit_denominator(max(1, int(_LARGEST / value) - 1))
    if near == 0:
        return 1, _LARGEST
    return near.numerator, near.denominator
