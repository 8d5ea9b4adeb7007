"""The metadata of OME-Zarr as they are read: 0.4 (Zarr 2) and 0.5 (Zarr 3).

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

SPATIAL = "ZYX"
"""The letters of the axes that are lengths."""

_BY_NAME = {"t": "T", "c": "C", "z": "Z", "y": "Y", "x": "X", "i": "I"}


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
        return letter if letter in SPATIAL else "?"
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
    lengths: dict[str, float | None] = dict.fromkeys(SPATIAL)
    for letter in set(SPATIAL) & set(found):
        size, own = found[letter]
        factor = unit_factor(own, unit)
        lengths[letter] = None if factor is None else size * factor
    interval, time_unit = found.get("T", (None, None))
    return Calibration(lengths["Y"], lengths["X"], lengths["Z"], interval, unit, time_unit)
