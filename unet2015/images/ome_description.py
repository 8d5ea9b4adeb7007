"""OME-XML as it is written into the ImageDescription of a TIFF.

Source: https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/specification.html
"""

import math
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from unet2015.images.axes import SI_PREFIXES, Calibration, time_symbol, unit_symbol

_SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_TYPES = {
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "uint8": "uint8",
    "uint16": "uint16",
    "uint32": "uint32",
    "float32": "float",
    "float64": "double",
}
_OTHERS = ("Å", "thou", "li", "in", "ft", "yd", "mi", "ua", "ly", "pc", "pt", "pixel", "reference frame")
_LENGTHS = frozenset(_OTHERS) | {prefix + "m" for prefix in SI_PREFIXES}


def can_describe(lead: str, dtype: npt.DTypeLike) -> bool:
    """Whether OME-XML has these axes of planes and this type of pixels."""
    return set(lead) <= set("TZC") and np.dtype(dtype).name in _TYPES


def describe_ome(axes: str, shape: tuple[int, ...], dtype: npt.DTypeLike, calibration: Calibration) -> str:
    """Return the OME-XML, in ASCII, of an image whose planes lie along `axes` without YX, in this order.

    A unit of length that OME does not know becomes its "reference frame". Of time there is no such: an
    interval in a unit that `time_symbol` does not have is left out.
    """
    sizes = dict(zip(axes, shape, strict=True))
    lead = axes[:-2]
    missing = "".join(letter for letter in "TZC" if letter not in lead)
    pixels = {
        "ID": "Pixels:0",
        "DimensionOrder": "XY" + (missing + lead)[::-1],
        "Type": _TYPES[np.dtype(dtype).name],
    }
    pixels |= {f"Size{letter}": str(sizes.get(letter, 1)) for letter in "XYZCT"}
    lengths = {"X": calibration.pixel_size_x, "Y": calibration.pixel_size_y, "Z": calibration.z_spacing}
    unit = calibration.unit if calibration.unit in _LENGTHS else unit_symbol(calibration.unit)
    for letter, length in lengths.items():
        if length is not None:
            pixels |= {
                f"PhysicalSize{letter}": repr(length),
                f"PhysicalSize{letter}Unit": unit or "reference frame",
            }
    symbol = time_symbol(calibration.time_unit)
    if calibration.time_interval is not None and symbol is not None:
        pixels |= {"TimeIncrement": repr(calibration.time_interval), "TimeIncrementUnit": symbol}
    root = ElementTree.Element("OME", {"xmlns": _SCHEMA})
    parent = ElementTree.SubElement(
        ElementTree.SubElement(root, "Image", {"ID": "Image:0"}), "Pixels", pixels
    )
    for channel in range(sizes.get("C", 1)):
        ElementTree.SubElement(parent, "Channel", {"ID": f"Channel:0:{channel}", "SamplesPerPixel": "1"})
    planes = math.prod(shape[:-2])
    ElementTree.SubElement(parent, "TiffData", {"IFD": "0", "PlaneCount": str(planes)})
    xml: bytes = ElementTree.tostring(root, encoding="us-ascii", xml_declaration=True)
    return xml.decode("ascii")
