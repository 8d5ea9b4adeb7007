"""TIFFs without a microscopy header, and tifffile's JSON header, in which ours name their axes."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from unet2015.images.axes import Calibration, unit_factor
from unet2015.images.declared import Declared, magnitude
from unet2015.images.resolution import (
    MICROMETRES,
    TOO_SMALL,
    Resolution,
    describe_conflict,
    describe_screen,
    read_resolution,
)

_KNOWN = "TZCYXSI"
_ROUNDING = 1e-9


def read_plain(
    descriptions: list[str], tags: Mapping[int, Any], directories: int, page: tuple[int, ...]
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
    if unit is not None and resolution.unit is not None:
        y, x, unit, notes = _sizes(resolution, unit)
    elif unit is not None:
        known = tags.get(296) == 1 and header.get("axes")
        y, x, notes = *((resolution.y, resolution.x) if known else (None, None)), resolution.notes
    y, x, more = _without_large(y, x, unit)
    notes += more
    spacing, more = magnitude(header.get("spacing"), "spacing")
    interval, others = magnitude(header.get("finterval"), "finterval")
    time_unit = header.get("tunit", "sec") if interval is not None else None
    return Calibration(y, x, spacing, interval, unit or found.unit, time_unit), (*notes, *more, *others)


def _sizes(found: Resolution, unit: str) -> tuple[float | None, float | None, str, tuple[str, ...]]:
    """Return height and width of a pixel, their unit, and remarks, where header and tags both name a unit.

    Who names a unit in the tags means them, as our own files do, which have centimetres whatever the unit
    of the header. But tifffile writes inch where it is given none; so beside inch the header's unit is
    taken, unless a pixel would be smaller than a thousandth of it; and beside any unit, if the tags would
    make a pixel of a centimetre. Where both readings may be meant, both are said.
    """
    assert found.unit is not None
    factor = unit_factor("µm", unit)
    scale = MICROMETRES[found.unit] * (1 if factor is None else factor)
    in_tags = found.y and found.y * scale, found.x and found.x * scale
    widths = [size for size in (found.x, found.y) if size is not None]
    if factor is None or not widths or math.isclose(scale, 1):
        return *in_tags, "µm" if factor is None else unit, found.notes
    inch = found.unit == "in"
    if inch and found.of_a_screen:
        return None, None, unit, (*found.notes, describe_screen(found, unit))
    if widths[0] < TOO_SMALL:
        return *in_tags, unit, found.notes
    by_tags = not inch and min(widths) * MICROMETRES[found.unit] < MICROMETRES["cm"]
    taken, other = (widths[0] * scale, widths[0]) if by_tags else (widths[0], widths[0] * scale)
    said = describe_conflict(unit, found, taken, other, by_tags=by_tags)
    return *(in_tags if by_tags else (found.y, found.x)), unit, (*found.notes, said)


def _without_large(
    y: float | None, x: float | None, unit: str | None
) -> tuple[float | None, float | None, tuple[str, ...]]:
    """Return height and width of a pixel; if they are a centimetre or more, None, and a remark."""
    sizes, factor = [size for size in (y, x) if size is not None], unit_factor(unit, "cm")
    if unit is None or factor is None or not sizes or min(sizes) * factor < 1 - _ROUNDING:
        return y, x, ()
    said = f"header and resolution tags say that a pixel is {min(sizes):g} {unit} wide"
    return None, None, (f"{said}: taken as no calibration",)
