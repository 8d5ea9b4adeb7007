"""The header of OME-TIFF: OME-XML in ImageDescription.

Source: https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/specification.html
"""

import math
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError
from unet2015.images.axes import Calibration, unit_factor, unit_symbol
from unet2015.images.declared import Declared, as_number

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
_PREFIXES = (
    "Y",
    "Z",
    "E",
    "P",
    "T",
    "G",
    "M",
    "k",
    "h",
    "da",
    "",
    "d",
    "c",
    "m",
    "µ",
    "n",
    "p",
    "f",
    "a",
    "z",
    "y",
)
_OTHERS = ("Å", "thou", "li", "in", "ft", "yd", "mi", "ua", "ly", "pc", "pt", "pixel", "reference frame")
_LENGTHS = frozenset(_OTHERS) | {prefix + "m" for prefix in _PREFIXES}
_TIME_SYMBOLS = {"sec": "s", "second": "s", "seconds": "s", "msec": "ms", "minute": "min", "hour": "h"}


def is_ome(description: str) -> bool:
    """Whether this ImageDescription is OME-XML."""
    return description.rstrip(" \n\r\t\0").endswith("OME>") and "<Pixels" in description


def read_ome(
    description: str, directories: int, samples: int, page: tuple[int, int], name: str, file_name: str
) -> Declared:
    """Return what the OME-XML of a TIFF declares.

    Parameters
    ----------
    description : str
        The ImageDescription.
    directories : int
        How many there are.
    samples : int
        Samples per pixel: they count as one plane.
    page : tuple of int
        Height and width of the first page.
    name, file_name : str
        The path of the file, and its last part.

    Raises
    ------
    ImageReadError
        The XML is damaged, has several images, contradicts the file, or leaves planes to other files.
    """
    try:
        root = ElementTree.fromstring(description.strip(" \n\r\t\0").encode())
        images = root.findall("{*}Image")
        if len(images) != 1:
            raise ImageReadError(
                f"{name}: expected one image, but the OME-XML declares {len(images)}; save each to its own"
            )
        pixels = images[0].find("{*}Pixels")
        if pixels is None:
            raise ImageReadError(f"{name}: the OME-XML has no Pixels")
        order = pixels.attrib["DimensionOrder"]
        size = {letter: int(pixels.attrib[f"Size{letter}"]) for letter in "XYZCT"}
        if sorted(order) != sorted(size) or order[:2] != "XY" or min(size.values()) < 1:
            raise ImageReadError(f"{name}: the OME-XML declares dimensions {order} of sizes {size}")
        if (size["Y"], size["X"]) != page:
            raise ImageReadError(
                f"{name}: the OME-XML declares planes of {size['Y']} x {size['X']}, but the file holds "
                f"planes of {page[0]} x {page[1]}"
            )
        if size["C"] % samples == 0:
            size["C"] //= samples
        lead = order[:1:-1]
        sizes = tuple(size[letter] for letter in lead)
        calibration = _calibration(pixels)
        held = _directories(root, pixels, lead, sizes, directories, name, file_name)
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        if isinstance(error, ImageReadError):
            raise
        raise ImageReadError(f"{name}: the OME-XML is damaged: {error}") from error
    missing = int((held < 0).sum())
    if missing:
        raise ImageReadError(
            f"{name}: the OME-XML declares {held.size} planes ({_sizes(lead, sizes)}), but the file holds "
            f"only {held.size - missing} of them; it was cut short or is one of several files"
        )
    return Declared("ome", lead, sizes, calibration, tuple(held.tolist()))


def _sizes(lead: str, sizes: tuple[int, ...]) -> str:
    return ", ".join(f"Size{letter}={size}" for letter, size in zip(lead, sizes, strict=True))


def _directories(
    root: ElementTree.Element,
    pixels: ElementTree.Element,
    lead: str,
    sizes: tuple[int, ...],
    directories: int,
    name: str,
    file_name: str,
) -> npt.NDArray[np.int64]:
    """Return for each plane the directory that holds it, or -1."""
    planes = math.prod(sizes)
    if planes > directories:  # said before there is memory for them
        raise ImageReadError(
            f"{name}: the OME-XML declares {planes} planes ({_sizes(lead, sizes)}), but the file holds only "
            f"{directories} of them; it was cut short or is one of several files"
        )
    held = np.full(planes, -1, np.int64)
    blocks = pixels.findall("{*}TiffData")
    if not blocks:
        held[:directories] = np.arange(min(planes, directories))
    for block in blocks:
        if not _in_this_file(root, block, file_name):
            continue
        first = int(block.get("IFD", 0))
        count = int(block.get("PlaneCount", 1 if "IFD" in block.attrib else directories))
        place = [int(block.get(f"First{letter}", 0)) for letter in lead]
        plane = int(np.ravel_multi_index(place, sizes))
        for i in range(min(count, planes - plane, directories - first)):
            held[plane + i] = first + i
    return held


def _in_this_file(root: ElementTree.Element, block: ElementTree.Element, file_name: str) -> bool:
    uuid = block.find("{*}UUID")
    if uuid is None:
        return True
    if "UUID" in root.attrib:
        return uuid.text == root.attrib["UUID"]
    return uuid.get("FileName", file_name) == file_name


def _calibration(pixels: ElementTree.Element) -> Calibration:
    unit = next(
        (pixels.get(f"PhysicalSize{a}Unit", "µm") for a in "XYZ" if pixels.get(f"PhysicalSize{a}")), None
    )
    found: dict[str, float | None] = {}
    for letter in "XYZ":
        length = as_number(pixels.get(f"PhysicalSize{letter}"))
        factor = unit_factor(pixels.get(f"PhysicalSize{letter}Unit", "µm"), unit)
        found[letter] = None if length is None or factor is None else length * factor
    interval = as_number(pixels.get("TimeIncrement"))
    time_unit = pixels.get("TimeIncrementUnit", "s") if interval is not None else None
    return Calibration(found["Y"], found["X"], found["Z"], interval, unit, time_unit)


def can_describe(lead: str, dtype: npt.DTypeLike) -> bool:
    """Whether OME-XML has these axes of planes and this type of pixels."""
    return set(lead) <= set("TZC") and np.dtype(dtype).name in _TYPES


def describe_ome(axes: str, shape: tuple[int, ...], dtype: npt.DTypeLike, calibration: Calibration) -> str:
    """Return the OME-XML, in ASCII, of an image whose planes lie along `axes` without YX, in this order.

    A unit that OME does not know becomes its "reference frame".
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
    if calibration.time_interval is not None:
        time_unit = calibration.time_unit or "s"
        pixels |= {
            "TimeIncrement": repr(calibration.time_interval),
            "TimeIncrementUnit": _TIME_SYMBOLS.get(time_unit, time_unit),
        }
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
