"""Images written some rows at a time."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from unet2015.images.image import Image
from unet2015.images.writer import ImageWriter, Layout


def write_in_bands(
    path: Path,
    like: Image,
    array: NDArray[Any],
    channels: int | None,
    bands: Sequence[int],
    layout: Layout = Layout(),  # noqa: B008
) -> bytes:
    """Write an array (channels or 1, rows of all pages, width) in bands; return the bytes of the file.

    `bands` are the rows where one ends and the next begins, the first and the last row included.
    """
    with ImageWriter(path, like, array.dtype, channels, layout) as out:
        for start, stop in pairwise(bands):
            rows = array[:, start:stop]
            out.write(rows[0] if channels is None else rows)
    return path.read_bytes()
