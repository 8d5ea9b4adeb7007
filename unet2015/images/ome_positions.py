"""Where the stage stood for an image, as OME-XML tells it of its planes."""

import math
from xml.etree import ElementTree

from unet2015.images.axes import unit_factor

_MICROMETRE = "µm"
_MOST = 2**20
"""Planes in which the first one is looked for."""


def stage_position(pixels: ElementTree.Element) -> dict[str, float]:
    """Return the position of the stage along Y and X for the first plane, in micrometres.

    What is not there, or in no unit of length, is left out: the default unit of OME-XML, "reference frame",
    is none, as nobody knows how long it is.
    """
    for number, plane in enumerate(pixels.iterfind("{*}Plane")):
        if number == _MOST:
            break
        if all(plane.get(f"The{letter}") == "0" for letter in "ZCT"):
            found = {letter: _position(plane, letter) for letter in "YX"}
            return {letter: place for letter, place in found.items() if place is not None}
    return {}


def _position(plane: ElementTree.Element, letter: str) -> float | None:
    factor = unit_factor(plane.get(f"Position{letter}Unit"), _MICROMETRE)
    try:
        place = float(plane.get(f"Position{letter}", ""))
    except ValueError:
        return None
    return None if factor is None or not math.isfinite(place) else place * factor
