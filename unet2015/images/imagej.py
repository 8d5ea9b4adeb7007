r"""The header of ImageJ's TIFFs: lines of ``key=value`` in ImageDescription.

Sources: ``ij/io/FileInfo.java``, ``FileSaver.java``, ``TiffDecoder.java`` and ``Opener.java`` of
ImageJ 1.x. ImageJ follows the directories of a compressed stack, so outputs can be compressed.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from unet2015.errors import ImageReadError
from unet2015.images.axes import Calibration, unit_factor
from unet2015.images.declared import Declared, magnitude
from unet2015.images.display import Display
from unet2015.images.resolution import (
    TOO_SMALL,
    believed,
    describe_conflict,
    describe_screen,
    describe_spacing,
    read_resolution,
)
from unet2015.wording import counted

ORDER = "TZC"
"""The order of planes in a hyperstack, slowest first."""

_KEYS = ("frames", "slices", "channels")
_NO_UNIT = {"", "pixel", "pixels"}
_METADATA, _LONGEST = 50839, 2**20
_PLACE = re.compile(r"^(?:[czt]:\d+/\d+\s*)+(?:-\s*)?")


def is_imagej(description: str) -> bool:
    """Whether this ImageDescription is ImageJ's."""
    return description.startswith(("ImageJ=", "SCIFIO="))


def read_imagej(
    description: str,
    tags: Mapping[int, Any],
    directories: int,
    samples: int,
    name: str,
    axes: str | None = None,
) -> Declared:
    """Return what the header of an ImageJ TIFF declares.

    Parameters
    ----------
    description : str
        The ImageDescription.
    tags : Mapping
        The first directory's tags.
    directories : int
        How many there are.
    samples : int
        Samples per pixel: RGB counts as one plane.
    name : str
        The file.
    axes : str or None
        What the user says the axes are; then numbers of planes that contradict each other are left aside.

    Raises
    ------
    ImageReadError
        A number in the header is none, or its numbers contradict each other.
    """
    lines = (line.split("=", 1) for line in description.splitlines() if "=" in line)
    values = {key.strip(): value.strip() for key, value in lines}
    counts = {letter: _count(values, key, name) for letter, key in zip(ORDER, _KEYS, strict=True)}
    images = _count(values, "images", name)
    planes = math.prod(counts.values())
    # The samples of a pixel may be declared as channels; not where there is a directory for each plane.
    if counts["C"] == samples and not (samples > 1 and images == directories == planes):
        counts["C"] = 1
        if images == samples * math.prod(counts.values()):
            images //= samples
    order = values.get("order", "czt").upper()
    order = order[::-1] if sorted(order) == sorted(ORDER) else ORDER
    sizes = tuple(counts[letter] for letter in order)
    known = math.prod(sizes)
    notes: tuple[str, ...] = ()
    # A stack that is not a hyperstack may declare only the number of its images.
    images = directories if images == known and directories > known == 1 else images
    if images != known > 1 and "images" in values and not _leaves_open(description, values, images, known):
        said = _contradiction(values, directories)
        if known != directories:
            order, sizes = "?", (directories if directories > 1 else images,)
        if axes is None:
            given = "".join(letter for letter, size in zip(order, sizes, strict=True) if size > 1)
            raise ImageReadError(
                f"{name}: {said}; it contradicts itself: save the stack again from where it comes, or, if "
                f"its pages are whole and in order, give --axes such as {given.replace('?', 'I')}YX"
            )
        notes = (f"not used: {said}",)
    elif images > known and images % known == 0:
        order, sizes = "?" + order, (images // known, *sizes)
    calibration, more = _calibration(values, tags)
    notes += more
    if {"cf", "c0", "c1"} <= set(values):
        notes += (
            "its header calibrates the values of pixels (cf, c0, c1); they are read as they are stored",
        )
    return Declared("imagej", order, sizes, calibration, notes=notes)


def _leaves_open(description: str, values: Mapping[str, str], images: int, known: int) -> bool:
    """Whether a header counts planes along one axis less than there are: along the others it says no number.

    That is so of our own pages of no known kind with channels, and of SCIFIO, which has more axes than three.
    """
    alone = "channels" in values and not {"slices", "frames"} & set(values)
    return images > known and images % known == 0 and (alone or description.startswith("SCIFIO="))


def _contradiction(values: Mapping[str, str], directories: int) -> str:
    """Say that a header counts other planes than images, and how many pages there are."""
    sizes = " x ".join(f"{key}={values[key]}" for key in reversed(_KEYS) if key in values)
    return (
        f"the ImageJ header says images={values['images']}, but {sizes}, and the file has "
        f"{counted(directories, 'page')}"
    )


def slice_labels(page: Any) -> tuple[str, ...]:
    """Return the labels of the planes of an ImageJ stack, of its first directory; none where it has none.

    They are an optional tag, so one that cannot be read, or is longer than `_LONGEST`, is left out.
    """
    try:
        tag = page.tags.get(_METADATA)
        labels = tag.value.get("Labels", ()) if tag is not None and tag.count <= _LONGEST else ()
        return tuple(label for label in labels if isinstance(label, str))
    except Exception:  # whatever tifffile stumbles over
        return ()


def channel_names(labels: Sequence[str], order: str, sizes: Sequence[int]) -> tuple[str, ...]:
    """Return a name for each channel where all its planes have one label, and no other channel has it.

    What ImageJ puts before a label when it joins channels (``c:1/3 z:2/5 - ``) does not count.
    """
    if "C" not in order or len(labels) != math.prod(sizes):
        return ()
    at = np.indices(sizes)[order.index("C")].ravel()
    groups: list[set[str]] = [set() for _ in range(sizes[order.index("C")])]
    for channel, label in zip(at, labels, strict=True):
        groups[channel].add(_PLACE.sub("", label).strip())
    names = [name for group in groups if len(group) == 1 for name in group if name]
    return tuple(names) if len(set(names)) == len(groups) else ()


def describe_imagej(
    axes: str, shape: tuple[int, ...], calibration: Calibration, display: Display | None = None
) -> str:
    """Return the ImageDescription of a stack whose planes lie along TZC, or I, in this order.

    Without height and width of a pixel there is no unit, in which ImageJ would take both to be 1; the
    spacing has one of its own then.
    """
    sizes = dict(zip(axes, shape, strict=True))
    lines = ["ImageJ=1.11a", f"images={math.prod(shape[:-2])}"]
    lines += [
        f"{key}={sizes[letter]}" for letter, key in zip("CZT", _KEYS[::-1], strict=True) if letter in sizes
    ]
    if len(set(axes) & set(ORDER)) > 1 or "T" in axes or "C" in axes:
        lines += ["hyperstack=true", "mode=grayscale"]
    sized = None not in (calibration.pixel_size_x, calibration.pixel_size_y)
    found = {
        "unit": calibration.unit if sized else None,
        "zunit": None if sized or calibration.z_spacing is None else calibration.unit,
        "spacing": calibration.z_spacing,
        "finterval": calibration.time_interval,
        "tunit": calibration.time_unit,
        "loop": "false",
        "min": None if display is None else float(display.low),
        "max": None if display is None else float(display.high),
    }
    lines += [f"{key}={_escape(str(value))}" for key, value in found.items() if value is not None]
    return "\n".join(lines) + "\n"


def _count(values: Mapping[str, str], key: str, name: str) -> int:
    text = values.get(key, "1")
    if not re.fullmatch(r"0*[1-9]\d{0,9}(\.0*)?", text):
        raise ImageReadError(f"{name}: the ImageJ header says {key}={text}; expected a number above 0")
    return int(text.split(".")[0])


def _calibration(values: Mapping[str, str], tags: Mapping[int, Any]) -> tuple[Calibration, tuple[str, ...]]:
    interval, notes = magnitude(values.get("finterval"), "finterval")
    time_unit = _unescape(values.get("tunit", "sec")) if interval is not None else None
    spacing, more = magnitude(values.get("spacing"), "spacing")
    unit = _unescape(values.get("unit", ""))
    notes += more
    if unit in _NO_UNIT:
        found, more = read_resolution(tags).calibration()
        own = _unescape(values.get("zunit", ""))
        if spacing is not None and own not in _NO_UNIT:
            found = replace(found, unit=found.unit or own)
            spacing = _converted(spacing, own, found.unit or own)
        elif spacing is not None and found.unit:
            more += (describe_spacing(spacing, found.unit),)
        found = replace(found, z_spacing=spacing, time_interval=interval, time_unit=time_unit)
        return found, (*notes, *more)
    x, y, more = _sizes(tags, unit, values.get("yunit"))
    spacing = _converted(spacing, values.get("zunit"), unit)
    found, others = believed(Calibration(y, x, spacing, interval, unit, time_unit))
    return found, (*notes, *more, *others)


def _sizes(
    tags: Mapping[int, Any], unit: str, yunit: str | None
) -> tuple[float | None, float | None, tuple[str, ...]]:
    """Return width and height of a pixel in the header's `unit`, and remarks.

    The two units may differ: old versions of tifffile wrote "inch" into the tags beside sizes in the
    header's unit, and other programs write pixels per centimetre beside ``unit=um``. ImageJ takes the
    header's unit, except for this last pair (``FileOpener.decodeDescriptionString``). Here the tags' unit is
    also taken where the header's would make a pixel smaller than a thousandth of it.
    """
    found = read_resolution(tags, default=None)
    in_header = found.x, _converted(found.y, yunit, unit)
    factor = unit_factor(found.unit, unit) if found.unit else None
    if factor is None or found.x is None:
        return *in_header, found.notes
    if found.of_a_screen:
        return None, None, (*found.notes, describe_screen(found, unit))
    if factor == 1:
        return *in_header, found.notes
    in_tags = found.x * factor, None if found.y is None else found.y * factor
    by_tags = (found.unit, unit) == ("cm", "um") or found.x < TOO_SMALL
    taken, other = (in_tags, in_header) if by_tags else (in_header, in_tags)
    assert taken[0] is not None
    assert other[0] is not None
    said = describe_conflict(unit, found, taken[0], other[0], by_tags=by_tags)
    return *taken, (*found.notes, said)


def _converted(length: float | None, unit: str | None, to: str) -> float | None:
    """Return a length for which the header has a unit of its own; None if the unit is not known."""
    if length is None or unit is None:
        return length
    factor = unit_factor(_unescape(unit), to)
    return None if factor is None else length * factor


def _escape(text: str) -> str:
    # As Java does: a letter beyond 16 bits is two of them.
    units = text.encode("utf-16-be").hex().upper()
    codes = (units[i : i + 4] for i in range(0, len(units), 4))
    return "".join(chr(int(code, 16)) if code < "0080" else f"\\u{code}" for code in codes)


def _unescape(text: str) -> str:
    plain = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
