"""The metadata of OME-Zarr as they are read: 0.4 (Zarr 2) and 0.5 (Zarr 3).

Source: https://ngff.openmicroscopy.org/0.4/ and https://ngff.openmicroscopy.org/0.5/
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unet2015.errors import AxesError, ImageReadError
from unet2015.images.axes import UNCALIBRATED, Calibration, plain_unit, unit_factor
from unet2015.images.ngff_placement import read_placement, shortened
from unet2015.images.resolution import believed

VERSIONS = {"0.4": 2, "0.5": 3}
"""The versions that are read, and the format of Zarr in which each stands."""

SPATIAL = "ZYX"
"""The letters of the axes that are lengths."""

_BY_NAME = {"t": "T", "c": "C", "z": "Z", "y": "Y", "x": "X", "i": "I"}


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
    paths : tuple of str
        The arrays, from the full resolution downwards.
    translation : tuple of float
        Where the first pixel of the full resolution lies, on each axis, in the units of the calibration.
    calibration : Calibration
        Of the full resolution.
    notes : tuple of str
        Remarks on metadata that could not be used.
    channel_names : tuple of object
        The labels of the channels.
    """

    version: str
    names: tuple[str, ...]
    axes: str
    paths: tuple[str, ...]
    translation: tuple[float, ...]
    calibration: Calibration = UNCALIBRATED
    notes: tuple[str, ...] = ()
    channel_names: tuple[object, ...] = ()


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
    axes, datasets = _objects(declared, "axes", name), _objects(declared, "datasets", name)
    if not datasets:
        raise ImageReadError(f"{name}: the OME-Zarr metadata declare no array (datasets is empty)")
    names = tuple(str(axis.get("name")) for axis in axes)
    if not all(isinstance(axis.get("name"), str) for axis in axes):
        raise ImageReadError(
            f"{name}: the OME-Zarr metadata are damaged: axes: 'name' is missing, or no text"
        )
    letters = "".join(_letter(axis) for axis in axes)
    known = letters.replace("?", "")
    if len(set(known)) != len(known):
        raise AxesError(f"{name}: the OME-Zarr metadata name an axis twice: {', '.join(names)}")
    paths = tuple(_path(level.get("path"), name) for level in datasets)
    steps = datasets[0].get("coordinateTransformations")
    scale, translation, notes = read_placement(steps, declared, names, f"{name}: array {paths[0]}")
    units, more = _units(axes)
    calibration, translation, last = _calibration(letters, scale, translation, units)
    return Multiscale(
        metadata["version"],
        names,
        letters,
        paths,
        translation,
        calibration,
        (*notes, *more, *last),
        _channel_names(attributes.get("ome", attributes)),
    )


def _channel_names(metadata: Mapping[str, Any]) -> tuple[object, ...]:
    """Return the labels of the channels, where the optional metadata for viewers have them."""
    omero = metadata.get("omero")
    channels = omero.get("channels") if isinstance(omero, Mapping) else None
    if not isinstance(channels, list | tuple):
        return ()
    return tuple(one.get("label") if isinstance(one, Mapping) else None for one in channels)


def _objects(declared: Mapping[str, Any], key: str, name: str) -> list[Mapping[str, Any]]:
    """Return a list of objects that the metadata of an image must have."""
    found = declared.get(key)
    if isinstance(found, list | tuple) and all(isinstance(item, Mapping) for item in found):
        return list(found)
    what = f"{key!r} is missing" if found is None else f"{key} is no list of objects"
    raise ImageReadError(f"{name}: the OME-Zarr metadata are damaged: multiscales: {what}")


def _versioned(attributes: Mapping[str, Any], zarr_format: int, name: str) -> dict[str, Any]:
    """Return the metadata of one image and their version, or say what else the group is."""
    metadata = attributes.get("ome", attributes)
    if not isinstance(metadata, dict | Mapping):
        raise ImageReadError(f"{name}: the OME-Zarr metadata are damaged: ome is no object")
    images = metadata.get("multiscales")
    if images is None:
        raise ImageReadError(f"{name}: {_instead(metadata)}")
    if not isinstance(images, list | tuple) or not all(isinstance(image, Mapping) for image in images):
        raise ImageReadError(f"{name}: the OME-Zarr metadata are damaged: multiscales is no list of objects")
    if len(images) != 1:
        raise ImageReadError(
            f"{name}: expected one image, but the OME-Zarr metadata declare {len(images)}; save each to "
            "its own"
        )
    default = "0.4" if zarr_format == 2 else None
    version = metadata.get("version") if "ome" in attributes else images[0].get("version", default)
    if not isinstance(version, str) or version not in VERSIONS:
        shown = version if isinstance(version, str) and len(version) < 40 else shortened(version)
        raise ImageReadError(
            f"{name}: expected OME-Zarr {' or '.join(VERSIONS)}, but the metadata are of version {shown}; "
            "convert it, for example with ome2024-ngff-challenge or bioformats2raw"
        )
    if VERSIONS[version] != zarr_format or ("ome" in attributes) != (version == "0.5"):
        raise ImageReadError(
            f"{name}: the metadata contradict the file: OME-Zarr {version} stands in Zarr "
            f"{VERSIONS[version]}, but this is Zarr {zarr_format}"
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
    labels = metadata.get("labels")
    if isinstance(labels, list | tuple):
        return (
            f"this holds label images; give one of them: {shortened(', '.join(map(str, labels)) or 'none')}"
        )
    return "this Zarr group has no OME-Zarr metadata (no multiscales)"


def _letter(axis: Mapping[str, Any]) -> str:
    """Return the letter of an axis: by its type, for lengths and axes without a type by its name."""
    kind, name = axis.get("type"), str(axis["name"]).lower()
    by_type = {"time": "T", "channel": "C"}
    if isinstance(kind, str) and kind in by_type:
        return by_type[kind]
    letter = _BY_NAME.get(name, "?")
    if kind == "space":
        return letter if letter in SPATIAL else "?"
    return letter if kind is None else "?"


def _path(path: object, name: str) -> str:
    if not isinstance(path, str) or not path or ".." in path.split("/") or path.startswith("/"):
        raise ImageReadError(
            f"{name}: the OME-Zarr metadata name an array {shortened(path)} that is not in this image"
        )
    return path


def _units(axes: Sequence[Mapping[str, Any]]) -> tuple[list[str | None], tuple[str, ...]]:
    """Return the units of the axes, and remarks on those that are none."""
    given = [axis.get("unit") for axis in axes]
    units = [plain_unit(unit) for unit in given]
    return units, tuple(
        f"the unit of axis {axis['name']} is {shortened(unit)}, which is no unit: left out"
        for axis, unit, kept in zip(axes, given, units, strict=True)
        if unit not in (None, "") and kept is None
    )


def _calibration(
    letters: str, scale: Sequence[float | None], translation: Sequence[float], units: Sequence[str | None]
) -> tuple[Calibration, tuple[float, ...], tuple[str, ...]]:
    """Return the calibration, in one unit of length, where the pixels lie in its units, and remarks.

    A scale of 1 without a unit means that none is known.
    """
    found: dict[str, tuple[float, str | None]] = {
        letter: (size, unit)
        for letter, size, unit in zip(letters, scale, units, strict=True)
        if size is not None and (unit is not None or size != 1)
    }
    unit = next((found[letter][1] for letter in "XYZ" if letter in found), None)
    lengths: dict[str, float | None] = dict.fromkeys(SPATIAL)
    notes: tuple[str, ...] = ()
    shifts = list(translation)
    for letter in sorted(set(SPATIAL) & set(found)):
        (size, own), axis = found[letter], letters.index(letter)
        factor = unit_factor(own, unit)
        lengths[letter] = None if factor is None else size * factor
        shifts[axis] = 0.0 if factor is None else shifts[axis] * factor
        if factor is None:
            notes += (f"the scale of {letter} is in {own}, which is no number of {unit}: left out",)
    interval, time_unit = found.get("T", (None, None))
    calibration = Calibration(lengths["Y"], lengths["X"], lengths["Z"], interval, unit, time_unit)
    calibration, more = believed(calibration)
    return calibration, tuple(shifts), notes + more
