"""TIFFs without a microscopy header, and tifffile's JSON header, in which ours name their axes."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from unet2015.images.axes import Calibration, unit_factor
from unet2015.images.declared import Declared, magnitude
from unet2015.images.resolution import MICROMETRES, read_resolution

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
    calibration, notes = _calibration(header, tags)
    shape = tuple(header.get("shape", ()))
    lead = _lead(shape, page)
    # Images of the same size written one after the other each have a header of their own.
    if lead is None or (math.prod(lead) == 1 and directories > 1):
        return Declared("plain", "?", (directories,), calibration, notes=notes)
    letters = str(header.get("axes", "")).upper()
    if len(letters) == len(shape) and len(set(letters) - {"Q"}) == len(letters.replace("Q", "")):
        named = "".join(letter if letter in _KNOWN else "?" for letter in letters).replace("S", "C")
        within = named[len(lead) : len(lead) + len(page)]
        return Declared("plain", named[: len(lead)], lead, calibration, notes=notes, page_axes=within)
    return Declared("plain", "?" * len(lead), lead, calibration, notes=notes)


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


def _calibration(header: Mapping[str, Any], tags: Mapping[int, Any]) -> tuple[Calibration, tuple[str, ...]]:
    resolution = read_resolution(tags)
    found, notes = resolution.calibration()
    unit = header.get("unit") if isinstance(header.get("unit"), str) else None
    y, x = found.pixel_size_y, found.pixel_size_x
    if unit is not None:
        # Who names a unit in the header means the tags, whatever their numbers are.
        y, x, notes = resolution.y, resolution.x, resolution.notes
        factor = unit_factor("µm", unit)
        if resolution.unit is None:
            y, x = (y, x) if tags.get(296) == 1 and header.get("axes") else (None, None)
        else:
            scale = MICROMETRES[resolution.unit] * (1 if factor is None else factor)
            y, x = y and y * scale, x and x * scale
            unit = "µm" if factor is None else unit
    spacing, more = magnitude(header.get("spacing"), "spacing")
    interval, others = magnitude(header.get("finterval"), "finterval")
    time_unit = header.get("tunit", "sec") if interval is not None else None
    return Calibration(y, x, spacing, interval, unit or found.unit, time_unit), (*notes, *more, *others)
