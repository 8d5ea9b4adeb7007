"""A TIFF written strip by strip, in any order of planes, so that a band of all channels suffices.

Bands arrive with all channels side by side while the file holds one plane after the other in its
directories; writing strips as they fill up and the directories last needs no spool file, and the
same pixels give the same bytes.
"""

from typing import Any, BinaryIO

import numpy.typing as npt

from unet2015.images.blocks import BlockFile, Blocks
from unet2015.images.display import Colours
from unet2015.images.encoding import LONG, Resolution

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
    colours : ndarray of uint8, shape (256, 3), or None
        A colour table, as of `unet2015.images.blocks.BlockFile`.

    Attributes
    ----------
    rows : int
        Rows of a strip.
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
        colours: Colours | None,
    ) -> None:
        self._out = BlockFile(file, dtype, big=big, colours=colours)
        self._size = (height, width)
        self.rows = max(1, min(height, _STRIP_BYTES // (width * self._out.dtype.itemsize)))
        self._planes = [Blocks() for _ in range(planes)]

    def write_strip(self, plane: int, rows: npt.NDArray[Any]) -> None:
        """Append the next strip of a plane: `self.rows` rows, the last one what is left."""
        self._out.append(rows, self._planes[plane])

    def finish(self, description: str, resolution: Resolution) -> None:
        """Write the directories; the first holds the description."""
        for plane, strips in enumerate(self._planes):
            tags = [
                (273, self._out.address, strips.offsets),
                (278, LONG, [self.rows]),
                (279, self._out.address, strips.counts),
            ]
            self._out.add_directory(self._size, resolution, tags, description if plane == 0 else "")
