"""A BigTIFF written tile by tile, with smaller copies of each plane where wanted, in bounded memory.

One row of tiles of each level is held at a time: full rows of pixels come in, from top to bottom of a
plane, and half as many go on to the level below. Smaller copies are SubIFDs (tag 330), as OME-TIFF
and Bio-Formats have them: https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/specification.html
"""

import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
import numpy.typing as npt

from unet2015.images.display import Colours
from unet2015.images.encoding import (
    LONG,
    LONG8,
    SHORT,
    Resolution,
    colour_tag,
    deflate_level,
    encode_directory,
    encode_header,
    plane_tags,
)

TILE = 256
"""Side of the tiles, in pixels."""


class TileWriter:
    """Writes planes of one size as deflated tiles.

    Parameters
    ----------
    file, planes, height, width, dtype
        As for `unet2015.images.strips.StripWriter`.
    pyramid : bool
        Write each plane also at half, a quarter, ... of its size, down to one tile.
    colours : ndarray of uint8, shape (256, 3), optional
        As for `StripWriter`; each size has the table.
    """

    rows = TILE

    def __init__(
        self,
        file: BinaryIO,
        planes: int,
        height: int,
        width: int,
        dtype: npt.DTypeLike,
        *,
        pyramid: bool,
        colours: Colours | None = None,
    ) -> None:
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self._file, self._colours = file, colours
        self._sizes = [(height, width)]
        while pyramid and max(self._sizes[-1]) > TILE:
            self._sizes.append(tuple(-(-side // 2) for side in self._sizes[-1]))  # type: ignore[arg-type]
        levels = range(len(self._sizes))
        self._offsets: list[list[list[int]]] = [[[] for _ in levels] for _ in range(planes)]
        self._counts: list[list[list[int]]] = [[[] for _ in levels] for _ in range(planes)]
        self._pending: dict[tuple[int, int], list[npt.NDArray[Any]]] = {}
        self._taken: dict[tuple[int, int], int] = {}  # rows that came, of planes that are not complete
        self._effort = deflate_level(self.dtype)
        file.write(encode_header(big=True))

    def write_strip(self, plane: int, rows: npt.NDArray[Any]) -> None:
        """Append the next rows of a plane: `self.rows` of them, the last time what is left."""
        self._push(plane, 0, np.ascontiguousarray(rows, self.dtype))

    def _push(self, plane: int, level: int, rows: npt.NDArray[Any]) -> None:
        key, height = (plane, level), self._sizes[level][0]
        pending = self._pending.setdefault(key, [])
        pending.append(rows)
        taken = self._taken[key] = self._taken.get(key, 0) + len(rows)
        if taken < height and sum(map(len, pending)) < TILE:
            return
        # Rows come by 256, and below by halves of it: a row of tiles never ends inside of what came.
        full = pending[0] if len(pending) == 1 else np.concatenate(pending)
        pending.clear()
        if taken == height:
            del self._pending[key], self._taken[key]
        self._write(plane, level, full)
        if level + 1 < len(self._sizes):
            self._push(plane, level + 1, halved(full))

    def _write(self, plane: int, level: int, rows: npt.NDArray[Any]) -> None:
        for left in range(0, rows.shape[1], TILE):
            tile = np.zeros((TILE, TILE), self.dtype)
            part = rows[:, left : left + TILE]
            tile[: part.shape[0], : part.shape[1]] = part
            data = imagecodecs.deflate_encode(tile.tobytes(), level=self._effort)
            self._offsets[plane][level].append(self._file.tell())
            self._counts[plane][level].append(len(data))
            self._file.write(data)

    def finish(self, description: str, resolution: Resolution) -> None:
        """Write the directories; the first holds the description."""
        pointer = 8
        for plane in range(len(self._offsets)):
            below = [
                self._directory(plane, level, [], "", resolution)[0] for level in range(1, len(self._sizes))
            ]
            position, link = self._directory(plane, 0, below, description if plane == 0 else "", resolution)
            self._file.seek(pointer)
            self._file.write(struct.pack("<Q", position))
            self._file.seek(0, 2)
            pointer = link

    def _directory(
        self, plane: int, level: int, below: Sequence[int], description: str, resolution: Resolution
    ) -> tuple[int, int]:
        """Write a directory; return where it is, and where its link to the next."""
        height, width = self._sizes[level]
        x, y, unit = resolution
        smaller = (None if x is None else x / 2**level, None if y is None else y / 2**level, unit)
        tags = [
            *plane_tags(height, width, self.dtype, smaller),
            (254, LONG, [1 if level else 0]),
            (322, SHORT, [TILE]),
            (323, SHORT, [TILE]),
            (324, LONG8, self._offsets[plane][level]),
            (325, LONG8, self._counts[plane][level]),
        ]
        if below:
            tags.append((330, LONG8, below))
        if self._colours is not None:
            tags.append(colour_tag(self._colours))
        self._file.write(b"\0" * (-self._file.tell() % 8))
        position = self._file.tell()
        directory, link = encode_directory(tags, description, position, True)
        self._file.write(directory)
        return position, position + link


def halved(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return rows at half their size; an odd last row or column counts twice.

    Of each 2 x 2 pixels floats give the mean, in their own type; integers, as classes, the most
    frequent value, the one first met (left to right, top to bottom) among equally frequent ones.
    """
    odd = [(0, side % 2) for side in rows.shape]
    even = np.pad(rows, odd, mode="edge") if any(after for _, after in odd) else rows
    a, b, c, d = even[::2, ::2], even[::2, 1::2], even[1::2, ::2], even[1::2, 1::2]
    if rows.dtype.kind == "f":
        mean: npt.NDArray[Any] = ((a + b) + (c + d)) * rows.dtype.type(0.25)
        return mean.astype(rows.dtype, copy=False)
    # The first value stands unless another has a pair and it has none.
    alone = (a != b) & (a != c) & (a != d)
    other = np.where((b == c) | (b == d), b, np.where(c == d, c, a))
    return np.where(alone, other, a)
