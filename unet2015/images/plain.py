"""TIFFs without a microscopy header, and tifffile's JSON header, in which ours name their axes."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from unet2015.images.axes import Calibration, unit_factor
from unet2015.images.declared import Declared, magnitude
from unet2015.images.resolution import (
    MICROMETRES,
    TOO_SMALL,
    Resolution,
    believed,
    describe_conflict,
    describe_screen,
    describe_spacing,
    read_resolution,
)

_KNOWN = "TZCYXSI"


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
    if header and lead is None:
        sizes, own = (" x ".join(map(str, lengths)) for lengths in (shape, page))
        notes += (f"not used: tifffile's header declares the shape {sizes}, but a page is {own}",)
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
    unit = header.get("unit") if isinstance(header.get("unit"), str) else None
    spacing, more = magnitude(header.get("spacing"), "spacing")
    interval, others = magnitude(header.get("finterval"), "finterval")
    time_unit = header.get("tunit", "sec") if interval is not None else None
    lengths, notes = Calibration(z_spacing=spacing, unit=unit), resolution.notes
    if resolution.unit is not None and unit_factor(unit, "µm") is None:
        lengths, notes = _by_tags(resolution, lengths)
    elif resolution.unit is not None:
        lengths, notes = _sizes(resolution, lengths)
    elif tags.get(296) == 1 and header.get("axes") and unit is not None:
        lengths, said = believed(replace(lengths, pixel_size_y=resolution.y, pixel_size_x=resolution.x))
        notes += said
    return replace(lengths, time_interval=interval, time_unit=time_unit), (*notes, *more, *others)


def _by_tags(found: Resolution, lengths: Calibration) -> tuple[Calibration, tuple[str, ...]]:
    """Return the lengths with the size of a pixel in the tags, where the header has no unit that is known."""
    sized, notes = found.calibration()
    spacing, unit = lengths.z_spacing, lengths.unit
    if spacing is not None and sized.unit is not None:
        if unit is None:
            notes += (describe_spacing(spacing, sized.unit),)
        else:
            notes += (f"the header's spacing, {spacing:g} {unit}, is in no known unit of length: left out",)
            spacing = None
    return replace(sized, z_spacing=spacing, unit=sized.unit or unit), notes


def _sizes(found: Resolution, lengths: Calibration) -> tuple[Calibration, tuple[str, ...]]:
    """Return the lengths with the size of a pixel, and remarks, where header and tags both name a unit.

    Who names a unit in the tags means them, as our own files do, which have centimetres whatever the unit
    of the header. But tifffile writes inch where it is given none; so beside inch the header's unit is
    taken, unless a pixel would be smaller than a thousandth of it; and beside any unit, if the tags would
    make a pixel of a centimetre. Where both readings may be meant, both are said.
    """
    unit, factor, inch = lengths.unit, unit_factor("µm", lengths.unit), found.unit == "in"
    assert found.unit is not None
    assert unit is not None
    assert factor is not None
    scale = MICROMETRES[found.unit] * factor
    widths = [size for size in (found.x, found.y) if size is not None]
    in_header = replace(lengths, pixel_size_y=found.y, pixel_size_x=found.x)
    in_tags = replace(
        lengths, pixel_size_y=found.y and found.y * scale, pixel_size_x=found.x and found.x * scale
    )
    notes, taken = found.notes, in_tags
    if inch and found.of_a_screen:
        return lengths, (*notes, describe_screen(found, unit))
    if widths and not math.isclose(scale, 1) and widths[0] >= TOO_SMALL:
        by_tags = not inch and min(widths) * MICROMETRES[found.unit] < MICROMETRES["cm"]
        taken = in_tags if by_tags else in_header
        both = (widths[0] * scale, widths[0])
        notes += (describe_conflict(unit, found, *(both if by_tags else both[::-1]), by_tags=by_tags),)
    taken, said = believed(taken, screens=inch or taken is in_header)
    return taken, (*notes, *said)
