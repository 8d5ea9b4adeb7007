"""A BigTIFF written tile by tile, with smaller copies of each plane where wanted, in bounded memory.

One row of tiles of each level is held at a time: full rows of pixels come in, from top to bottom of a
plane, and half as many go on to the level below. Smaller copies are SubIFDs (tag 330), as OME-TIFF
and Bio-Formats have them: https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/specification.html
"""

import json
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from unet2015.images.blocks import BlockFile, Blocks
from unet2015.images.display import Colours
from unet2015.images.encoding import LONG, LONG8, SHORT, Resolution, Tag

TILE = 256
"""Side of the tiles, in pixels."""
_OF_TIFFFILE = '{"shape": '
"""How descriptions begin that tifffile reads as its own."""


class TileWriter:
    """Writes planes of one size as deflated tiles.

    Parameters
    ----------
    file, planes, height, width, dtype
        As for `unet2015.images.strips.StripWriter`.
    pyramid : bool
        Write each plane also at half, a quarter, ... of its size, down to one tile.
    colours : ndarray of uint8, shape (256, 3), or None
        A colour table, as of `unet2015.images.blocks.BlockFile`; each size has it.
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
        colours: Colours | None,
    ) -> None:
        self._out = BlockFile(file, dtype, big=True, colours=colours)
        self._sizes = [(height, width)]
        while pyramid and max(self._sizes[-1]) > TILE:
            self._sizes.append(tuple(-(-side // 2) for side in self._sizes[-1]))  # type: ignore[arg-type]
        self._planes = [[Blocks() for _ in self._sizes] for _ in range(planes)]
        self._pending: dict[tuple[int, int], list[npt.NDArray[Any]]] = {}
        self._taken: dict[tuple[int, int], int] = {}  # rows that came, of planes that are not complete

    def write_strip(self, plane: int, rows: npt.NDArray[Any]) -> None:
        """Append the next rows of a plane: `self.rows` of them, the last time what is left."""
        self._push(plane, 0, np.ascontiguousarray(rows, self._out.dtype))

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
            tile = np.zeros((TILE, TILE), self._out.dtype)
            part = rows[:, left : left + TILE]
            tile[: part.shape[0], : part.shape[1]] = part
            self._out.append(tile, self._planes[plane][level])

    def finish(self, description: str, resolution: Resolution) -> None:
        """Write the directories; the first holds the description."""
        x, y, unit = resolution
        for plane, levels in enumerate(self._planes):
            below = []
            for level in range(1, len(levels)):
                smaller = (None if x is None else x / 2**level, None if y is None else y / 2**level, unit)
                tags = _tags(levels[level], reduced=True)
                said = _of_copy(description, self._sizes[level]) if plane == 0 else ""
                below.append(self._out.add_directory(self._sizes[level], smaller, tags, said, linked=False))
            whole = [*_tags(levels[0], reduced=False), *([(330, LONG8, below)] if below else [])]
            self._out.add_directory(self._sizes[0], resolution, whole, description if plane == 0 else "")


def _of_copy(description: str, size: tuple[int, int]) -> str:
    """Return the description of smaller copies: tifffile's form has shape and axes of each, others have none.

    Without the shape tifffile takes the whole image for damaged and its axes for unknown, without the axes
    the copies for other images.
    """
    if not description.startswith(_OF_TIFFFILE):
        return ""
    whole = json.loads(description)
    return json.dumps({"shape": [*whole["shape"][:-2], *size], "axes": whole["axes"]})


def _tags(tiles: Blocks, *, reduced: bool) -> list[Tag]:
    """Return the tags that list the tiles of a plane, or of a smaller copy of one."""
    return [
        (254, LONG, [1 if reduced else 0]),
        (322, SHORT, [TILE]),
        (323, SHORT, [TILE]),
        (324, LONG8, tiles.offsets),
        (325, LONG8, tiles.counts),
    ]


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
