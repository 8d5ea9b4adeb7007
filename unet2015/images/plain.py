"""TIFFs without a microscopy header, and tifffile's JSON header, in which ours name their axes."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from unet2015.images.axes import Calibration, unit_factor
from unet2015.images.declared import Declared, as_number, pixel_sizes, tag_calibration

_KNOWN = "TZCYXSI"


def read_plain(
    descriptions: list[str], tags: Mapping[int, Any], directories: int, page: tuple[int, ...], name: str
) -> Declared:
    """Return what the header of a TIFF declares that is neither ImageJ's nor OME's.

    Parameters
    ----------
    descriptions : list of str
        Every ImageDescription of the first directory.
    tags : Mapping
        Its tags.
    directories : int
        How many there are.
    page : tuple of int
        The shape of the first page: YX, and samples if there are several.
    name : str
        The file.
    """
    header = next(filter(None, map(_json_header, descriptions)), {})
    calibration = _calibration(header, tags)
    shape = tuple(header.get("shape", ()))
    lead = _lead(shape, page)
    # Images of the same size written one after the other each have a header of their own.
    if lead is None or (math.prod(lead) == 1 and directories > 1):
        return Declared("plain", "?", (directories,), calibration)
    letters = str(header.get("axes", "")).upper()
    if len(letters) == len(shape) and len(set(letters) - {"Q"}) == len(letters.replace("Q", "")):
        named = "".join(letter if letter in _KNOWN else "?" for letter in letters[: len(lead)])
        return Declared("plain", named.replace("S", "C"), lead, calibration)
    return Declared("plain", "?" * len(lead), lead, calibration)


def describe_plain(axes: str, shape: tuple[int, ...], calibration: Calibration) -> str:
    """Return tifffile's JSON header with axes, unit, spacing and interval."""
    header = {
        "shape": shape,
        "axes": axes,
        "unit": calibration.unit,
        "spacing": calibration.z_spacing,
        "finterval": calibration.time_interval,
        "tunit": calibration.time_unit,
    }
    return json.dumps({key: value for key, value in header.items() if value is not None})


def _json_header(description: str) -> dict[str, Any] | None:
    """Return tifffile's header, also in its old form ``shape=(1, 2, 3)``; None if there is none."""
    old = re.match(r"shape=\(([\d, ]+)\)", description)
    if old:
        return {"shape": [int(size) for size in old[1].split(",") if size.strip()]}
    if not description.startswith("{"):
        return None
    try:
        header = json.loads(description.rstrip("\0 \n"))
    except ValueError:
        return None
    shape = header.get("shape")
    valid = isinstance(shape, list) and all(isinstance(size, int) and size > 0 for size in shape)
    return header if valid else None


def _lead(shape: tuple[int, ...], page: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the lengths before those of one page; None if the shape does not end with those of the page."""
    padded = list(shape)
    if tuple(padded[-len(page) :]) == page:
        return tuple(padded[: -len(page)])
    while padded and padded[-1] == 1:
        padded.pop()
    return tuple(padded[: -len(page)]) if tuple(padded[-len(page) :]) == page else None


def _calibration(header: Mapping[str, Any], tags: Mapping[int, Any]) -> Calibration:
    found = tag_calibration(tags)
    unit = header.get("unit") if isinstance(header.get("unit"), str) else None
    y, x = found.pixel_size_y, found.pixel_size_x
    if unit is not None:
        factor = unit_factor(found.unit, unit) if found.unit else None
        if factor is not None and y is not None and x is not None:
            y, x = y * factor, x * factor
        elif tags.get(296) == 1 and header.get("axes"):
            x, y = pixel_sizes(tags)
    interval = as_number(header.get("finterval"))
    return Calibration(
        y,
        x,
        as_number(header.get("spacing")),
        interval,
        unit or found.unit,
        header.get("tunit", "sec") if interval is not None else None,
    )
