"""The directory of blocks of a CZI file, seen to be whole: Zeiss's library passes over what is lost of it.

Source: "ZISRAW (CZI) File Format", Carl Zeiss Microscopy: segments, SubBlockDirectory, DirectoryEntryDV.
"""

import math
import struct
from pathlib import Path
from typing import BinaryIO

from unet2015.errors import ImageReadError
from unet2015.safe_files import open_regular

_SEGMENT = struct.Struct("<16sqq")  # its name, and bytes that are there and used
_DIRECTORY_AT = 32 + 16 + 2 * 16 + 4  # within the file: behind version, two GUIDs and the number of the part
_ENTRY = struct.Struct("<2siqiiB5xi")
_DIMENSION = struct.Struct("<4siifi")
_HEAD = struct.Struct("<iiq")  # of a block: bytes of metadata, attachment and pixels
_LEAST_HEAD = 256
_BYTES = {0: 1, 1: 2, 2: 4, 3: 3, 4: 6, 8: 12, 9: 4, 12: 4, 13: 8}
"""Of a pixel, by its type."""


def check_directory(path: Path) -> None:
    """See that all blocks are listed, lie in the file, and have as many bytes as their pixels take.

    Raises
    ------
    ImageReadError
        They do not: a part of the file is lost.
    """
    with open_regular(path) as file:
        size = file.seek(0, 2)
        try:
            position = struct.unpack("<q", _at(file, _DIRECTORY_AT, 8))[0]
            name, _, _ = _SEGMENT.unpack(_at(file, position, _SEGMENT.size))
            if name.rstrip(b"\0") != b"ZISRAWDIRECTORY":
                raise _lost(path, f"no directory of blocks at byte {position}")
            (count,) = struct.unpack("<i", _at(file, position + _SEGMENT.size, 4))
            place = position + _SEGMENT.size + 128
            for number in range(count):
                entry = _ENTRY.unpack(_at(file, place, _ENTRY.size))
                if entry[0] != b"DV":
                    raise _lost(path, f"entry {number} of {count} in its directory of blocks is lost")
                dimensions = _at(file, place + _ENTRY.size, _DIMENSION.size * entry[-1])
                if entry[3] == 0:  # in this file
                    _check_block(file, path, number, entry, dimensions, size)
                place += _ENTRY.size + len(dimensions)
        except struct.error as error:
            raise _lost(path, "it ends within its directory of blocks") from error


def _check_block(
    file: BinaryIO, path: Path, number: int, entry: tuple[int, ...], dimensions: bytes, size: int
) -> None:
    kind, position, compression = entry[1], entry[2], entry[4]
    name, _, _ = _SEGMENT.unpack(_at(file, position, _SEGMENT.size))
    if name.rstrip(b"\0") != b"ZISRAWSUBBLOCK":
        raise _lost(path, f"block {number} is not at byte {position}")
    metadata, _, data = _HEAD.unpack(_at(file, position + _SEGMENT.size, _HEAD.size))
    head = max(_LEAST_HEAD, _HEAD.size + _ENTRY.size + len(dimensions))
    if position + _SEGMENT.size + head + metadata + data > size:
        raise _lost(path, f"block {number} goes on beyond its end")
    sizes = {name: stored or length for name, _, length, _, stored in _DIMENSION.iter_unpack(dimensions)}
    pixels = math.prod(sizes.get(axis, 1) for axis in (b"X\0\0\0", b"Y\0\0\0"))
    if compression == 0 and data < pixels * _BYTES.get(kind, 0):
        raise _lost(path, f"block {number} has {data} bytes, but its pixels take {pixels * _BYTES[kind]}")


def _at(file: BinaryIO, position: int, length: int) -> bytes:
    if position < 0:
        raise struct.error
    file.seek(position)
    return file.read(length)


def _lost(path: Path, what: str) -> ImageReadError:
    return ImageReadError(f"{path}: the CZI file is damaged: {what}: copy it again")
