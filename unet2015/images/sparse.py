"""Strips and tiles of a TIFF that are not there, because they would hold nothing but the missing value.

GDAL leaves them out, as do scanners of whole slides: offset and byte count are 0.
Source: https://gdal.org/en/stable/drivers/raster/gtiff.html#sparse-files
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError
from unet2015.images.gdal import nodata_text

_LARGEST = 2**28  # bytes of one strip or tile: nothing in the file vouches for its size


def absent(plane: Any) -> npt.NDArray[np.bool_]:
    """Return which strips or tiles of a `Plane` are not there."""
    page = plane.page
    size = plane.rows * plane.columns * page.samplesperpixel * page.dtype.itemsize
    found: npt.NDArray[np.bool_] = (plane.offsets == 0) & (plane.counts == 0) & (size <= _LARGEST)
    return found


def missing_value(page: Any) -> Any:
    """Return what is read where nothing is there: the tag GDAL_NODATA, if pixels can have its value, or 0."""
    kind = page.dtype.newbyteorder("=").type
    try:
        number = float(nodata_text(page) or "0")
    except ValueError:
        return kind(0)
    if page.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return kind(number)
    low, high = (0, 1) if page.dtype.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
    return kind(int(number) if low <= number <= high and number.is_integer() else 0)


def describe_absent(planes: Sequence[Any], name: str) -> tuple[str, ...]:
    """Return a remark where strips or tiles of the planes of an image are not there.

    Raises
    ------
    ImageReadError
        None at all is there.
    """
    gone = [plane for plane in planes if not plane.counts.all()]
    missing = sum(int(absent(plane).sum()) for plane in gone)
    if not missing:
        return ()
    values = {id(plane.page): plane.page for plane in gone if absent(plane).any()}.values()
    value = " or ".join(dict.fromkeys(str(missing_value(page)) for page in values))
    every = sum(len(plane.counts) for plane in planes)
    if missing == every:
        raise ImageReadError(
            f"{name}: none of the {every} strips or tiles is there: it is nothing but {value}, or was not "
            "written to its end: copy it again"
        )
    return (
        f"{missing} of {every} strips or tiles are not there and read as {value}; if they were not left out "
        "on purpose, copy the file again",
    )
