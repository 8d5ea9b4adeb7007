"""The header of OME-TIFF: what OME-XML declares of the planes of one file.

Source: https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/specification.html
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError
from unet2015.images.axes import Calibration, unit_factor
from unet2015.images.declared import Declared, magnitude, possible_bits
from unet2015.images.ome_metadata import OmeMetadata, own_images
from unet2015.images.ome_positions import stage_position
from unet2015.images.resolution import believed

_UNNAMED, _ELSEWHERE, _MISSING = -1, -2, -3
"""Instead of the directory of a plane: no TiffData names it, it lies in another file, or it should be in
this one, but is not."""

_TYPES = {"float": "float32", "double": "float64", "bit": "bool"}
"""The types that numpy calls otherwise."""

_MOST_PLANES = 2**24
"""Planes of a set of files, of which a file need not hold as many."""


_INCOMPLETE = "it was cut short: copy it again; or it is one of several files: save the image in one file"

_OTHERS = "give the files that it names, or give it the name back that it had"


def read_ome(
    metadata: OmeMetadata,
    directories: int,
    samples: Sequence[int],
    page: tuple[int, int],
    dtype: str,
    path: Path,
) -> Declared:
    """Return what OME-XML declares of the image in a TIFF.

    Of an image whose planes lie in several files, it is the block of planes in this file.

    Parameters
    ----------
    metadata : OmeMetadata
        With at least one image.
    directories : int
        How many the file has.
    samples : sequence of int
        How many samples of a pixel may be counted as its channels: with and without alpha. They are one
        plane.
    page : tuple of int
        Height and width of the first page.
    dtype : str
        The type of its pixels.
    path : Path
        The file.

    Raises
    ------
    ImageReadError
        The metadata are damaged, have several images, contradict the file, or name other files alone.
    """
    name = str(path)
    images = own_images(metadata, path)
    if len(images) != 1:
        count = len(images) or len(metadata.images)
        what = "expected one image" if images else "it is not among the files that the OME-XML names"
        advice = "save each to its own" if images else _OTHERS
        raise ImageReadError(f"{name}: {what}, but the OME-XML declares {count}; {advice}")
    ((image, here),) = images
    pixels = image.find("{*}Pixels")
    if pixels is None:
        raise ImageReadError(f"{name}: the OME-XML has no Pixels, so it is damaged: copy the file again")
    try:
        lead, sizes, channel_step = _sizes(pixels, samples, page, name)
        calibration, notes = _calibration(image, pixels)
        notes += _describe_type(pixels, dtype)
        held = _directories(pixels, here, (lead, sizes, channel_step), directories, name)
    except (KeyError, ValueError, OverflowError) as error:
        if isinstance(error, ImageReadError):
            raise
        problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ImageReadError(f"{name}: the OME-XML is damaged: {problem}; copy the file again") from error
    every, names = sizes, _channel_names(pixels)
    if (held == _ELSEWHERE).any():
        held, sizes, first = _own_block(held, lead, sizes, name)
        place = lead.index("C")
        names = names[first[place] * channel_step :][: sizes[place] * channel_step]
        notes += (
            f"one of several files: the OME-XML declares {_shown(lead, every)}; of these planes, this file "
            f"has {_shown(lead, sizes)}, and only they are read",
        )
    missing = int((held < 0).sum())
    if missing:
        raise ImageReadError(
            f"{name}: the OME-XML declares {held.size} planes ({_shown(lead, sizes)}), but the file holds "
            f"only {held.size - missing} of them; {_INCOMPLETE}"
        )
    planes, every_note = tuple(held.tolist()), metadata.notes + notes
    declared = Declared("ome", lead, sizes, calibration, planes, every_note, metadata.companion, names)
    bits = possible_bits(pixels.get("SignificantBits"), dtype)
    return replace(declared, significant_bits=bits, stage=stage_position(pixels))


def _sizes(
    pixels: ElementTree.Element, samples: Sequence[int], page: tuple[int, int], name: str
) -> tuple[str, tuple[int, ...], int]:
    """Return axes and lengths of the planes, slowest first, and how many channels a plane has."""
    order = pixels.attrib["DimensionOrder"]
    size = {letter: int(pixels.attrib[f"Size{letter}"]) for letter in "XYZCT"}
    if sorted(order) != sorted(size) or order[:2] != "XY" or min(size.values()) < 1:
        raise ImageReadError(
            f"{name}: the OME-XML declares dimensions {order} of sizes {size}; copy it again"
        )
    if (size["Y"], size["X"]) != page:
        raise ImageReadError(
            f"{name}: the OME-XML declares planes of {size['Y']} x {size['X']}, but the file holds "
            f"planes of {page[0]} x {page[1]}; save it again from where it comes"
        )
    step = next((count for count in samples if size["C"] % count == 0), 1)
    size["C"] //= step
    lead = order[:1:-1]
    return lead, tuple(size[letter] for letter in lead), step


def _describe_type(pixels: ElementTree.Element, dtype: str) -> tuple[str, ...]:
    """Return a note if the OME-XML declares pixels of another type; until 2003-FC it is PixelType."""
    said = pixels.get("Type") or pixels.get("PixelType") or ""
    if not said or _TYPES.get(said.lower(), said.lower()) == dtype:
        return ()
    return (
        f"the OME-XML declares pixels of type {said[:40]!r}, but those in the file are {dtype}: read "
        "as they are",
    )


def _shown(lead: str, sizes: tuple[int, ...]) -> str:
    return ", ".join(f"Size{letter}={size}" for letter, size in zip(lead, sizes, strict=True))


def _directories(
    pixels: ElementTree.Element,
    here: Sequence[bool],
    declared: tuple[str, tuple[int, ...], int],
    directories: int,
    name: str,
) -> npt.NDArray[np.int64]:
    """Return for each plane the directory that holds it, or why there is none."""
    lead, sizes, channel_step = declared
    planes = math.prod(sizes)
    # Said before there is memory for them.
    if planes > (directories if all(here) else _MOST_PLANES):
        raise ImageReadError(
            f"{name}: the OME-XML declares {planes} planes ({_shown(lead, sizes)}), but the file holds only "
            f"{directories} of them; {_INCOMPLETE}"
        )
    held = np.full(planes, _UNNAMED, np.int64)
    blocks = pixels.findall("{*}TiffData")
    if not blocks:
        held[:directories] = np.arange(min(planes, directories))
    steps = {letter: channel_step if letter == "C" else 1 for letter in lead}
    # What this file holds stands, whatever the other files hold.
    for mine, block in sorted(zip(here, blocks, strict=True), key=lambda pair: pair[0]):
        first = int(block.get("IFD", 0))
        place = [int(block.get(f"First{letter}", 0)) // steps[letter] for letter in lead]
        plane = int(np.ravel_multi_index(place, sizes))
        every = planes if not mine else directories - first
        told = block.get("PlaneCount", block.get("NumPlanes"))  # its name in the schemas until 2008
        count = int(told) if told is not None else 1 if "IFD" in block.attrib else max(0, every)
        if first < 0 or count < 0:
            raise ValueError(f"TiffData with IFD {first} and PlaneCount {count}")
        end = min(plane + count, planes)
        given = min(count, directories - first)
        if mine and told is not None and plane + given > planes:
            raise ImageReadError(
                f"{name}: the OME-XML contradicts itself: it declares {planes} planes "
                f"({_shown(lead, sizes)}), but a TiffData names pages {first} to {first + given - 1} here "
                f"for planes {plane} to {plane + given - 1}; save it again from where it comes"
            )
        there = np.arange(first, first + end - plane)
        held[plane:end] = np.where(there < directories, there, _MISSING) if mine else _ELSEWHERE
    return held


def _own_block(
    held: npt.NDArray[np.int64], lead: str, sizes: tuple[int, ...], name: str
) -> tuple[npt.NDArray[np.int64], tuple[int, ...], list[int]]:
    """Return the planes in this file of an image in several; how many and from which on, along each axis.

    Planes that this file should hold, but does not, are among them.
    """
    grid = held.reshape(sizes)
    places = np.argwhere((grid >= 0) | (grid == _MISSING))
    low, high = (places.min(0), places.max(0) + 1) if len(places) else (np.zeros(grid.ndim, int),) * 2
    block = grid[tuple(map(slice, low, high))]
    if len(places) == 0 or ((block == _ELSEWHERE) | (block == _UNNAMED)).any():
        raise ImageReadError(
            f"{name}: the OME-XML declares an image of several files ({_shown(lead, sizes)}), and the planes "
            "in this one are no complete block of it; save the image in one file"
        )
    return block.ravel(), block.shape, low.tolist()


def _channel_names(pixels: ElementTree.Element) -> tuple[str, ...]:
    """Return the names of the channels; the samples of a colour have none of their own."""
    names: list[str] = []
    for channel in pixels.findall("{*}Channel"):
        samples = channel.get("SamplesPerPixel", "1")
        if samples == "1":
            names.append(channel.get("Name", ""))
        elif len(samples) < 4 and samples.isdecimal():
            names += [""] * int(samples)
        else:
            return ()
    return tuple(names)


def _calibration(
    image: ElementTree.Element, pixels: ElementTree.Element
) -> tuple[Calibration, tuple[str, ...]]:
    """Return the calibration, and remarks on what of it cannot be used."""
    notes: tuple[str, ...] = ()
    lengths: dict[str, float | None] = {}
    units: dict[str, str] = {}
    for letter in "XYZ":
        # Until 2003-FC the image had them, in micrometres.
        old = image.get(f"PixelSize{letter}")
        value = pixels.get(f"PhysicalSize{letter}") or old or None
        lengths[letter], more = magnitude(value, f"PhysicalSize{letter}")
        units[letter] = _unit(pixels.get(f"PhysicalSize{letter}Unit", "µm"))
        notes += more
    unit = next((units[letter] for letter in "XYZ" if lengths[letter] is not None), None)
    for letter, length in lengths.items():
        factor = unit_factor(units[letter], unit)
        if length is not None and factor is None:
            notes += (
                f"PhysicalSize{letter} is in {units[letter]!r}, which is no number of {unit!r}: left out",
            )
        lengths[letter] = None if length is None or factor is None else length * factor
    value = pixels.get("TimeIncrement") or image.get("TimeIncrement") or None
    interval, more = magnitude(value, "TimeIncrement")
    time_unit = _unit(pixels.get("TimeIncrementUnit", "s")) if interval is not None else None
    calibration = Calibration(lengths["Y"], lengths["X"], lengths["Z"], interval, unit, time_unit)
    calibration, others = believed(calibration)
    return calibration, notes + more + others


def _unit(unit: str) -> str:
    """Return a unit; UTF-8 that a program took for Windows-1252 is put right ("Âµm")."""
    try:
        return unit.encode("cp1252").decode("utf-8")
    except ValueError:
        return unit
