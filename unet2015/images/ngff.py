"""The metadata of OME-Zarr: 0.4 (Zarr 2, read) and 0.5 (Zarr 3, read and written).

Source: https://ngff.openmicroscopy.org/0.4/ and https://ngff.openmicroscopy.org/0.5/
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unet2015.errors import AxesError, ImageReadError
from unet2015.images.axes import UNCALIBRATED, Calibration, unit_factor

VERSIONS = {"0.4": 2, "0.5": 3}
"""The versions that are read, and the format of Zarr in which each stands."""

WRITTEN = "0.5"

_SPATIAL = "ZYX"
_ORDER = "TCIZYX"
"""The order that OME-Zarr asks for; I is an axis of no declared type, which stands where C may."""

_BY_NAME = {"t": "T", "c": "C", "z": "Z", "y": "Y", "x": "X", "i": "I"}
_UNITS = {"pm": "picometer", "Å": "angstrom", "nm": "nanometer", "µm": "micrometer", "mm": "millimeter"} | {
    "cm": "centimeter",
    "in": "inch",
    "m": "meter",
}
_TIME_UNITS = {
    "s": "second",
    "sec": "second",
    "seconds": "second",
    "ms": "millisecond",
    "msec": "millisecond",
}
_TIME_UNITS |= {"min": "minute", "minutes": "minute", "h": "hour", "hours": "hour", "us": "microsecond"}
_TIME_UNITS |= {"µs": "microsecond"}


@dataclass(frozen=True)
class Level:
    """One array of a multiscale image: its path, and where its pixels lie."""

    path: str
    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True)
class Multiscale:
    """What the metadata of an image declares.

    Attributes
    ----------
    version : str
        Of OME-Zarr.
    names : tuple of str
        The axes as the file calls them, slowest first.
    axes : str
        A letter for each; "?" where its type says none.
    levels : tuple of Level
        From the full resolution downwards.
    calibration : Calibration
        Of the full resolution.
    """

    version: str
    names: tuple[str, ...]
    axes: str
    levels: tuple[Level, ...]
    calibration: Calibration = field(default=UNCALIBRATED)


def read_multiscale(attributes: Mapping[str, Any], zarr_format: int, name: str) -> Multiscale:
    """Return what the attributes of a group declare.

    Parameters
    ----------
    attributes : mapping
        Of the group.
    zarr_format : int
        2 or 3.
    name : str
        The image.

    Raises
    ------
    ImageReadError
        They are no metadata of one image, of another version, damaged, or contradict themselves.
    AxesError
        The axes are not those of an image.
    """
    metadata = _versioned(attributes, zarr_format, name)
    (declared,) = metadata["multiscales"]
    try:
        axes = declared["axes"]
        names = tuple(str(axis["name"]) for axis in axes)
        letters = "".join(_letter(axis) for axis in axes)
        outer = declared.get("coordinateTransformations") or ()
        levels = tuple(
            _level(level["path"], level["coordinateTransformations"], outer, len(names), name)
            for level in declared["datasets"]
        )
        units = [axis.get("unit") for axis in axes]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, ImageReadError):
            raise
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ImageReadError(f"{name}: the OME-Zarr metadata are damaged: multiscales: {what}") from error
    if not levels:
        raise ImageReadError(f"{name}: the OME-Zarr metadata declare no array (datasets is empty)")
    known = letters.replace("?", "")
    if len(set(known)) != len(known):
        raise AxesError(f"{name}: the OME-Zarr metadata name an axis twice: {', '.join(names)}")
    calibration = _calibration(letters, levels[0].scale, units)
    return Multiscale(metadata["version"], names, letters, levels, calibration)


def _versioned(attributes: Mapping[str, Any], zarr_format: int, name: str) -> dict[str, Any]:
    """Return the metadata of one image and their version, or say what else the group is."""
    metadata = attributes.get("ome", attributes)
    if not isinstance(metadata, dict | Mapping):
        raise ImageReadError(f"{name}: the OME-Zarr metadata are damaged: ome is no object")
    images = metadata.get("multiscales")
    if images is None:
        raise ImageReadError(f"{name}: {_instead(metadata)}")
    if not isinstance(images, Sequence) or not all(isinstance(image, Mapping) for image in images):
        raise ImageReadError(f"{name}: the OME-Zarr metadata are damaged: multiscales is no list of objects")
    if len(images) != 1:
        raise ImageReadError(
            f"{name}: expected one image, but the OME-Zarr metadata declare {len(images)}; save each to "
            "its own"
        )
    default = "0.4" if zarr_format == 2 else None
    version = metadata.get("version") if "ome" in attributes else images[0].get("version", default)
    if version not in VERSIONS:
        raise ImageReadError(
            f"{name}: expected OME-Zarr {' or '.join(VERSIONS)}, but the metadata are of version {version}; "
            "convert it, for example with ome2024-ngff-challenge or bioformats2raw"
        )
    if VERSIONS[version] != zarr_format or ("ome" in attributes) != (version == "0.5"):
        raise ImageReadError(
            f"{name}: the metadata contradict the file: OME-Zarr {version} stands in Zarr "
            f"{VERSIONS[version]}, "
            f"but this is Zarr {zarr_format}"
        )
    return {"multiscales": images, "version": version}


def _instead(metadata: Mapping[str, Any]) -> str:
    """Say what a group without an image of its own is, and what to give instead."""
    if "plate" in metadata:
        return "this is a plate of many images; give one field of a well, such as PLATE.zarr/A/1/0"
    if "well" in metadata:
        return "this is a well of several images; give one field, such as PLATE.zarr/A/1/0"
    if "bioformats2raw.layout" in metadata:
        return "this is a collection of images; give one of them, such as IMAGE.zarr/0"
    if "labels" in metadata:
        return (
            f"this holds label images; give one of them: {', '.join(map(str, metadata['labels'])) or 'none'}"
        )
    return "this Zarr group has no OME-Zarr metadata (no multiscales)"


def _letter(axis: Mapping[str, Any]) -> str:
    """Return the letter of an axis: by its type, for lengths and axes without a type by its name."""
    kind, name = axis.get("type"), str(axis["name"]).lower()
    by_type = {"time": "T", "channel": "C"}
    if kind in by_type:
        return by_type[kind]
    letter = _BY_NAME.get(name, "?")
    if kind == "space":
        return letter if letter in _SPATIAL else "?"
    return letter if kind is None else "?"


def _level(path: object, inner: Sequence[Any], outer: Sequence[Any], dimensions: int, name: str) -> Level:
    if not isinstance(path, str) or not path or ".." in path.split("/") or path.startswith("/"):
        raise ImageReadError(
            f"{name}: the OME-Zarr metadata name an array {path!r} that is not in this image"
        )
    scale, translation = (1.0,) * dimensions, (0.0,) * dimensions
    for step in (*inner, *outer):
        kind = step["type"]
        if kind not in ("scale", "translation") or kind not in step:
            raise ImageReadError(
                f"{name}: array {path}: expected coordinateTransformations of scale and translation, but "
                f"{kind} came"
            )
        values = tuple(float(value) for value in step[kind])
        good = all(math.isfinite(value) and (kind == "translation" or value > 0) for value in values)
        if len(values) != dimensions or not good:
            raise ImageReadError(
                f"{name}: array {path}: expected {dimensions} numbers{' above zero' * (kind == 'scale')} as "
                f"{kind}, one for each axis, but {list(step[kind])} came"
            )
        if kind == "scale":
            scale = tuple(a * b for a, b in zip(scale, values, strict=True))
            translation = tuple(a * b for a, b in zip(translation, values, strict=True))
        else:
            translation = tuple(a + b for a, b in zip(translation, values, strict=True))
    return Level(path, scale, translation)


def _calibration(letters: str, scale: Sequence[float], units: Sequence[str | None]) -> Calibration:
    """Return the calibration; a scale of 1 without a unit means that none is known."""
    found: dict[str, tuple[float, str | None]] = {
        letter: (size, unit)
        for letter, size, unit in zip(letters, scale, units, strict=True)
        if unit is not None or size != 1
    }
    unit = next((found[letter][1] for letter in "XYZ" if letter in found), None)
    lengths: dict[str, float | None] = dict.fromkeys(_SPATIAL)
    for letter in set(_SPATIAL) & set(found):
        size, own = found[letter]
        factor = unit_factor(own, unit)
        lengths[letter] = None if factor is None else size * factor
    interval, time_unit = found.get("T", (None, None))
    return Calibration(lengths["Y"], lengths["X"], lengths["Z"], interval, unit, time_unit)


def ordered_axes(axes: str, name: str) -> str:
    """Return axes in the order that OME-Zarr asks for.

    Raises
    ------
    AxesError
        OME-Zarr cannot have these: it allows one axis beside time and space.
    """
    if {"I", "C"} <= set(axes):
        raise AxesError(
            f"{name}: OME-Zarr cannot hold both channels and pages of no declared meaning (I); say with "
            "--axes "
            "whether the pages are T or Z, or write TIFF"
        )
    return "".join(letter for letter in _ORDER if letter in axes)


def describe_axes(axes: str, calibration: Calibration) -> list[dict[str, str]]:
    """Return the metadata of axes; units that OME-Zarr does not name are kept as they are."""
    kinds = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
    described = []
    for letter in axes:
        axis = {"name": letter.lower()}
        if letter in kinds:
            axis["type"] = kinds[letter]
        unit = None
        if letter == "T" and calibration.time_interval is not None and calibration.time_unit:
            unit = _TIME_UNITS.get(calibration.time_unit, calibration.time_unit)
        elif letter in _SPATIAL and _scale(letter, calibration) is not None and calibration.unit:
            unit = _unit(calibration.unit)
        described.append(axis | ({"unit": unit} if unit else {}))
    return described


def describe_multiscale(
    name: str,
    axes: str,
    calibration: Calibration,
    paths: Sequence[str],
    *,
    mean: bool,
    origin: Mapping[str, float],
) -> dict[str, Any]:
    """Return the metadata of a multiscale image whose levels halve Y and X.

    Parameters
    ----------
    name : str
        What it is called.
    axes : str
        Letters, in the order of the arrays.
    calibration : Calibration
        Of the full resolution.
    paths : sequence of str
        The arrays, full resolution first.
    mean : bool
        Whether a pixel is the mean of those that it stands for, and so lies in their middle; else
        it is the first of them.
    origin : mapping
        Where the first pixel of the full resolution lies, for each letter; 0 where it is absent.
    """
    base = [_scale(letter, calibration) or 1.0 for letter in axes]
    datasets = []
    for level, path in enumerate(paths):
        factors = [2**level if letter in "YX" else 1 for letter in axes]
        scale = [size * factor for size, factor in zip(base, factors, strict=True)]
        shift = [
            origin.get(letter, 0.0) + (size * (factor - 1) / 2 if mean else 0.0)
            for letter, size, factor in zip(axes, base, factors, strict=True)
        ]
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if any(shift):
            steps.append({"type": "translation", "translation": shift})
        datasets.append({"path": path, "coordinateTransformations": steps})
    return {
        "name": name,
        "type": "mean" if mean else "nearest",
        "axes": describe_axes(axes, calibration),
        "datasets": datasets,
    }


def _unit(unit: str) -> str:
    from unet2015.images.axes import unit_symbol

    return _UNITS.get(unit_symbol(unit) or "", unit)


def _scale(letter: str, calibration: Calibration) -> float | None:
    return {
        "T": calibration.time_interval,
        "Z": calibration.z_spacing,
        "Y": calibration.pixel_size_y,
        "X": calibration.pixel_size_x,
    }.get(letter)
