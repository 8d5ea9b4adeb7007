"""The metadata of OME-Zarr 0.5 (Zarr 3) as they are written: axes, calibration and levels of an image.

Source: https://ngff.openmicroscopy.org/0.5/
"""

from collections.abc import Mapping, Sequence
from typing import Any

from unet2015.errors import AxesError
from unet2015.images.axes import SI_PREFIXES, Calibration, time_name, unit_symbol
from unet2015.images.ngff import SPATIAL

WRITTEN = "0.5"

_ORDER = "TCIZYX"
"""The order that OME-Zarr asks for; I is an axis of no declared type, which stands where C may."""

_UNITS = {f"{symbol}m": f"{name}meter" for symbol, name in SI_PREFIXES.items()}
_UNITS |= {"Å": "angstrom", "in": "inch", "ft": "foot", "yd": "yard", "mi": "mile", "pc": "parsec"}


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
            "--axes whether the pages are T or Z, or write TIFF"
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
            unit = time_name(calibration.time_unit) or calibration.time_unit
        elif letter in SPATIAL and _scale(letter, calibration) is not None and calibration.unit:
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
    return _UNITS.get(unit_symbol(unit) or unit, unit)


def _scale(letter: str, calibration: Calibration) -> float | None:
    return {
        "T": calibration.time_interval,
        "Z": calibration.z_spacing,
        "Y": calibration.pixel_size_y,
        "X": calibration.pixel_size_x,
    }.get(letter)
