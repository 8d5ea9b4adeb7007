"""Results as other libraries read them: pixels, axes and calibration."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile
import zarr

MICROMETRES = {
    "nm": 1e-3, "nanometer": 1e-3, "µm": 1.0, "um": 1.0, "micron": 1.0, "micrometer": 1.0,
    "mm": 1e3, "millimeter": 1e3, "cm": 1e4, "centimeter": 1e4,
}  # fmt: skip
SECONDS = {"ms": 1e-3, "millisecond": 1e-3, "s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "minute": 60.0}


@dataclass(frozen=True)
class Result:
    """An image that was written.

    Attributes
    ----------
    axes : str
        One letter for each axis of `pixels`.
    pixels : numpy.ndarray
    calibration : dict
        Steps along T, Z, Y and X that the file tells, in seconds and micrometres.
    """

    axes: str
    pixels: np.ndarray
    calibration: dict[str, float]


def read(path: Path, inside: str = "") -> Result:
    """Read a TIFF, or of an OME-Zarr folder the image called `inside`; "" is that of the folder itself."""
    if path.suffix == ".zarr":
        return _zarr(path / inside if inside else path)
    with tifffile.TiffFile(path) as tif:
        series = tif.series[0]
        pixels, axes = series.asarray(), series.axes.replace("Q", "I")
        if tif.is_ome:
            return Result(axes, pixels, _ome(tif.ome_metadata or ""))
        tags = tif.pages.first.tags
        if tif.is_imagej:
            return Result(axes, pixels, _imagej(tags, tif.imagej_metadata or {}))
        return Result(axes, pixels, _plain(tags) | _shaped(tif.shaped_metadata or ()))


def _ome(text: str) -> dict[str, float]:
    pixels = next(one for one in ElementTree.fromstring(text).iter() if one.tag.endswith("}Pixels"))
    found = {}
    for letter in "ZYX":
        if (size := pixels.get(f"PhysicalSize{letter}")) is not None:
            found[letter] = float(size) * MICROMETRES[pixels.get(f"PhysicalSize{letter}Unit", "µm")]
    if (interval := pixels.get("TimeIncrement")) is not None:
        found["T"] = float(interval) * SECONDS[pixels.get("TimeIncrementUnit", "s")]
    return found


def _step(tag: Any) -> float:
    above, below = tag.value
    return float(below / above)


def _imagej(tags: Any, said: dict[str, Any]) -> dict[str, float]:
    found = {}
    unit = re.sub(r"\\u00b5|\\u00B5", "µ", str(said.get("unit", "")))
    if unit:
        found |= {"Y": _step(tags["YResolution"]) * MICROMETRES[unit]}
        found |= {"X": _step(tags["XResolution"]) * MICROMETRES[unit]}
        if "spacing" in said:
            found["Z"] = said["spacing"] * MICROMETRES[unit]
    if said.get("finterval"):
        found["T"] = said["finterval"] * SECONDS[said.get("tunit", "s")]
    return found


def _plain(tags: Any) -> dict[str, float]:
    unit = tags["ResolutionUnit"].value if "ResolutionUnit" in tags else 1
    if unit not in (2, 3):
        return {}
    factor = {2: 25400.0, 3: 1e4}[unit]
    return {"Y": _step(tags["YResolution"]) * factor, "X": _step(tags["XResolution"]) * factor}


def _shaped(said: Sequence[dict[str, Any]]) -> dict[str, float]:
    found = {}
    for one in said[:1]:
        if "spacing" in one:
            found["Z"] = one["spacing"] * MICROMETRES[one["unit"]]
        if "finterval" in one:
            found["T"] = one["finterval"] * SECONDS[one.get("tunit", "s")]
    return found


def _zarr(path: Path) -> Result:
    group = zarr.open_group(path, mode="r")
    (said,) = group.attrs["ome"]["multiscales"]
    (first, *_) = said["datasets"]
    scale = next(one["scale"] for one in first["coordinateTransformations"] if one["type"] == "scale")
    found = {}
    for axis, step in zip(said["axes"], scale, strict=True):
        letter, unit = axis["name"].upper(), axis.get("unit")
        if unit is not None and letter in "TZYX":
            found[letter] = step * (SECONDS if letter == "T" else MICROMETRES)[unit]
    axes = "".join(axis["name"].upper() for axis in said["axes"])
    return Result(axes, np.asarray(group[first["path"]]), found)
