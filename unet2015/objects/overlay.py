"""A preview of a segmentation: the image with the outlines of its objects in colours, as PNG or JPEG."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from unet2015.images.display import colours_of_labels, stretched
from unet2015.images.image import Image
from unet2015.objects.labelling import Labels
from unet2015.safe_files import Guard, atomic_path

LONGEST = 2000
"""Most pixels of a side; larger images are shown smaller."""
_DARKEST, _BRIGHTEST = 0.5, 99.5
_BAND_PIXELS = 2**20
_QUALITY = 90


def write_overlay(
    path: Path, image: Image, labels: Labels, longest: int = LONGEST, guard: Guard | None = None
) -> None:
    """Draw the outlines of the objects of the first page over the image.

    Image and labels are read strip by strip; what is kept has the size of the preview.

    Parameters
    ----------
    path : Path
        The PNG or, for a name in .jpg, the JPEG.
    image : Image
        Three channels are red, green and blue, as they are if they have 8 bits. Of other images the first
        channel is shown in gray, from the 0.5th to the 99.5th percentile of the preview.
    labels : Labels
        Its instance labels.
    longest : int
        Most pixels of a side of the preview.
    guard : callable, optional
        As of :func:`unet2015.safe_files.atomic_path`.

    Raises
    ------
    ImageWriteError
        The file cannot be written.
    """
    factor = -(-max(image.height, image.width) // longest)
    shown = _shown(_smaller(image, factor), image)
    marks = _marks(labels, factor)
    drawn = marks > 0
    shown[drawn] = colours_of_labels()[(marks[drawn] - 1) % 255 + 1]
    with atomic_path(path, guard) as temporary:
        temporary.write_bytes(_encoded(shown, path.suffix.lower()))


def _encoded(shown: NDArray[np.uint8], suffix: str) -> bytes:
    """Return a picture as the bytes of a file. In a JPEG colours are as fine as gray, for the outlines."""
    if suffix == ".jpg":
        return bytes(imagecodecs.jpeg8_encode(shown, level=_QUALITY, subsampling="444"))
    return bytes(imagecodecs.png_encode(shown, level=6))


def _smaller(image: Image, factor: int) -> NDArray[Any]:
    """Return means of `factor` x `factor` pixels of the first page, (height, width, 1 or 3).

    They are of single precision where all pixels are exact in it and none is too small, else of double.
    """
    work = np.float32 if image.dtype.itemsize <= 2 else np.float64
    channels = slice(None) if image.channels == 3 else slice(1)
    columns = np.arange(0, image.width, factor)
    rows, found = max(1, _BAND_PIXELS // image.width // factor) * factor, []
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        band = image.read(0, top, bottom, 0, image.width)[channels].astype(np.float64)
        starts = np.arange(0, bottom - top, factor)
        sums = np.add.reduceat(np.add.reduceat(band, starts, axis=1), columns, axis=2)
        counts = np.outer(np.diff(starts, append=bottom - top), np.diff(columns, append=image.width))
        found.append((sums / counts).transpose(1, 2, 0).astype(work))
    return np.concatenate(found)


def _shown(values: NDArray[Any], image: Image) -> NDArray[np.uint8]:
    """Return values as red, green and blue."""
    if values.shape[2] == 3 and image.dtype == np.uint8:
        scaled = values
    else:
        scaled = stretched(values, (_DARKEST, _BRIGHTEST))
        scaled *= 255
    gray = scaled.round().astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(gray, (*gray.shape[:2], 3)))


def _marks(labels: Labels, factor: int) -> NDArray[np.int64]:
    """Return the objects of whose outline a pixel lies in each square of `factor` x `factor`; 0 for none."""
    columns = np.arange(0, labels.width, factor)
    marks = np.zeros((-(-labels.height // factor), len(columns)), np.int64)
    nothing = np.zeros((1, labels.width), np.int64)
    rows, first = nothing, -1  # the rows whose neighbours have not all come, and where they begin
    for row, strip in labels.strips(0):
        end = [nothing] if row + len(strip) == labels.height else []
        rows = np.concatenate([rows, strip, *end])
        outlined = _outlined(rows)
        if len(outlined):
            squares = (first + 1 + np.arange(len(outlined))) // factor
            np.maximum.at(marks, squares, np.maximum.reduceat(outlined, columns, axis=1))
        first, rows = first + len(rows) - 2, rows[-2:]
    return marks


def _outlined(rows: NDArray[Any]) -> NDArray[Any]:
    """Return the rows but first and last, with only the pixels that have a neighbour of another object."""
    wide = np.pad(rows, ((0, 0), (1, 1)))
    inner = wide[1:-1, 1:-1]
    edge = (inner != wide[:-2, 1:-1]) | (inner != wide[2:, 1:-1])
    edge |= (inner != wide[1:-1, :-2]) | (inner != wide[1:-1, 2:])
    return np.where(edge, inner, 0)
