"""A TIFF written strip by strip, in any order of planes, so that a band of all channels suffices.

Bands arrive with all channels side by side while the file holds one plane after the other in its
directories; writing strips as they fill up and the directories last needs no spool file, and the
same pixels give the same bytes.
"""

import struct
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
import numpy.typing as npt

from unet2015.images.display import Colours
from unet2015.images.encoding import (
    LONG,
    LONG8,
    Resolution,
    colour_tag,
    deflate_level,
    encode_directory,
    encode_header,
    plane_tags,
)

_STRIP_BYTES = 2**18


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
    colours : ndarray of uint8, shape (256, 3), optional
        A colour table. The photometric interpretation stays "black is zero", so that only programs that
        follow ImageJ's habit use it, and all others show and read the values. ImageJ takes one of 256
        entries for 16 bits, too, and stretches it over its display range.
    """

    def __init__(
        self,
        file: BinaryIO,
        planes: int,
        height: int,
        width: int,
        dtype: npt.DTypeLike,
        *,
        big: bool,
        colours: Colours | None = None,
    ) -> None:
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.height, self.width = height, width
        self.rows = max(1, min(height, _STRIP_BYTES // (width * self.dtype.itemsize)))
        self._file, self._big, self._colours = file, big, colours
        self._offsets: list[list[int]] = [[] for _ in range(planes)]
        self._counts: list[list[int]] = [[] for _ in range(planes)]
        self._level = deflate_level(self.dtype)
        file.write(encode_header(big))

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
        wide = LONG8 if self._big else LONG
        tags = [
            *plane_tags(self.height, self.width, self.dtype, resolution),
            (273, wide, self._offsets[plane]),
            (278, LONG, [self.rows]),
            (279, wide, self._counts[plane]),
        ]
        if self._colours is not None:
            tags.append(colour_tag(self._colours))
        return encode_directory(tags, description, position, self._big)
