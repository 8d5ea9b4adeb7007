"""A TIFF into which deflated strips or tiles go as they fill up, and the directories that list them last."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
import numpy.typing as npt

from unet2015.images.display import Colours
from unet2015.images.encoding import (
    LONG,
    LONG8,
    Resolution,
    Tag,
    colour_tag,
    deflate_level,
    encode_directory,
    encode_header,
    plane_tags,
)


@dataclass
class Blocks:
    """Where the strips or tiles of a plane lie in a file, in their order.

    Attributes
    ----------
    offsets, counts : list of int
        First byte and number of bytes of each.
    """

    offsets: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)


class BlockFile:
    """A TIFF that grows at its end.

    Parameters
    ----------
    file : binary file
        Open for writing, at its beginning.
    dtype : dtype
        Type of the pixels.
    big : bool
        Write BigTIFF.
    colours : ndarray of uint8, shape (256, 3), optional
        A colour table. The photometric interpretation stays "black is zero", so that only programs that
        follow ImageJ's habit use it, and all others show and read the values. ImageJ takes one of 256
        entries for 16 bits, too, and stretches it over its display range.

    Attributes
    ----------
    dtype : dtype
        Type of the pixels, as they are written.
    address : int
        Type of a tag that holds places in the file.
    """

    def __init__(self, file: BinaryIO, dtype: npt.DTypeLike, *, big: bool, colours: Colours | None) -> None:
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.address = LONG8 if big else LONG
        self._file, self._big = file, big
        self._level = deflate_level(self.dtype)
        self._colours = [] if colours is None else [colour_tag(colours)]
        header = encode_header(big)
        file.write(header)
        self._link = len(header) // 2
        """Where the place of the next directory is to be written."""

    def append(self, pixels: npt.NDArray[Any], blocks: Blocks) -> None:
        """Append the pixels of a strip or tile, and list it."""
        data = imagecodecs.deflate_encode(
            np.ascontiguousarray(pixels, self.dtype).tobytes(), level=self._level
        )
        blocks.offsets.append(self._file.tell())
        blocks.counts.append(len(data))
        self._file.write(data)

    def add_directory(
        self,
        size: tuple[int, int],
        resolution: Resolution,
        tags: Sequence[Tag],
        description: str = "",
        *,
        linked: bool = True,
    ) -> int:
        """Append a directory; return its place.

        Parameters
        ----------
        size : (int, int)
            Rows and columns of its plane.
        resolution : Resolution
            Of its plane.
        tags : sequence
            Those that list the blocks, and others that a plane need not have.
        description : str
            ASCII.
        linked : bool
            It follows the last such directory. Otherwise another one must name its place.
        """
        self._file.write(b"\0" * (-self._file.tell() % 8))
        place = self._file.tell()
        every = [*plane_tags(*size, self.dtype, resolution), *tags, *self._colours]
        directory, link = encode_directory(every, description, place, self._big)
        self._file.write(directory)
        if linked:
            self._file.seek(self._link)
            self._file.write(struct.pack("<Q" if self._big else "<I", place))
            self._file.seek(0, 2)
            self._link = place + link
        return place
