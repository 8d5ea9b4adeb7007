"""Axis letters, calibration, and the units that lengths come in."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from unet2015.errors import AxesError

T = TypeVar("T")

LETTERS = "TZCYXI"
"""Time, depth, channel, row, column, and I: a sequence of pages without a declared meaning."""

_UNITS = (
    # OME's symbol, metres, other names
    ("pm", 1e-12, ("picometer",)),
    ("Å", 1e-10, ("angstrom",)),
    ("nm", 1e-9, ("nanometer", "nanometre", "nanometers")),
    ("µm", 1e-6, ("μm", "um", "micron", "microns", "micrometer", "micrometre", "micrometers", "micrometres")),
    ("mm", 1e-3, ("millimeter", "millimetre", "millimeters")),
    ("cm", 1e-2, ("centimeter", "centimetre")),
    ("in", 25.4e-3, ("inch", "inches")),
    ("m", 1.0, ("meter", "metre")),
)
_METRES = {name: metres for symbol, metres, others in _UNITS for name in (symbol, *others)}
_SYMBOLS = {name: symbol for symbol, _, others in _UNITS for name in (symbol, *others)}

_PREFIX_NAMES = (
    "yotta zetta exa peta tera giga mega kilo hecto deca deci centi milli micro nano pico femto atto"
)
_PREFIX_SYMBOLS = "Y Z E P T G M k h da d c m µ n p f a"
SI_PREFIXES = {"": ""} | dict(zip(_PREFIX_SYMBOLS.split(), _PREFIX_NAMES.split(), strict=True))
SI_PREFIXES |= {"z": "zepto", "y": "yocto"}
"""Names of the prefixes of units by their symbols."""

_TIMES = {f"{symbol}s": f"{name}second" for symbol, name in SI_PREFIXES.items()}
_TIMES |= {"min": "minute", "h": "hour", "d": "day"}
"""Names of units of time, as OME-Zarr has them, by their symbols, as OME has them."""
_ABBREVIATED = {"μs": "µs", "us": "µs", "usec": "µs", "msec": "ms", "nsec": "ns", "sec": "s", "secs": "s"}
_ABBREVIATED |= {"mins": "min", "hr": "h", "hrs": "h"}
_TIME_SYMBOLS = {symbol: symbol for symbol in _TIMES} | _ABBREVIATED
_TIME_SYMBOLS |= {name + end: symbol for symbol, name in _TIMES.items() for end in ("", "s")}
_TIME_NAMES = {one: _TIMES[symbol] for one, symbol in _TIME_SYMBOLS.items()}

_SMALLEST, _LARGEST = 1e-30, 1e30
"""Lengths beyond these are damage; their inverses would not fit into the tags of a TIFF."""

_LONGEST, _LONGEST_NAME = 64, 200


@dataclass(frozen=True)
class Calibration:
    """The size of a pixel; None if the file does not tell it.

    What comes from a file goes into the headers of our outputs. So this is the one place where it is made
    harmless: numbers that are no sizes become None, and of units only their plain text is kept.

    Attributes
    ----------
    pixel_size_y, pixel_size_x, z_spacing : float or None
        Lengths in `unit`.
    time_interval : float or None
        In `time_unit`.
    unit, time_unit : str or None
        As the file says: "micron", "µm", "nm"; "sec", "s".
    """

    pixel_size_y: float | None = None
    pixel_size_x: float | None = None
    z_spacing: float | None = None
    time_interval: float | None = None
    unit: str | None = None
    time_unit: str | None = None

    def __post_init__(self) -> None:
        for field in ("pixel_size_y", "pixel_size_x", "z_spacing", "time_interval"):
            value = getattr(self, field)
            if value is not None and not _SMALLEST < value < _LARGEST:
                object.__setattr__(self, field, None)
        for field in ("unit", "time_unit"):
            object.__setattr__(self, field, plain_unit(getattr(self, field)))


def plain_unit(unit: object) -> str | None:
    """Return a unit as one short line of plain text, or None if nothing of it is left.

    Control characters and what is no character (lone surrogates) are removed, as are "=" and the backslash,
    by which a unit could add entries to the header of an ImageJ TIFF. A text of more than 64 characters is
    no unit.
    """
    if not isinstance(unit, str):
        return None
    lines = unit[: 4 * _LONGEST].strip().splitlines() or [""]
    kept = "".join(c for c in lines[0] if unicodedata.category(c)[0] != "C" and c not in "=\\")
    kept = " ".join(kept.split())
    return kept if 0 < len(kept) <= _LONGEST else None


UNCALIBRATED = Calibration()


def plain_names(names: Sequence[object]) -> tuple[str, ...]:
    """Return names of channels as short lines of plain text; "" for one that is no text or too long.

    No name at all if all are "".
    """
    kept = []
    for name in names:
        text = name if isinstance(name, str) and len(name) <= _LONGEST_NAME else ""
        kept.append("".join(c for c in " ".join(text.split()) if unicodedata.category(c)[0] != "C"))
    return tuple(kept) if any(kept) else ()


def _looked_up(table: Mapping[str, T], unit: str | None) -> T | None:
    """Return what a table has for a unit; names, but not symbols, in any case: Micron, but not Mm for mm."""
    found = table.get(unit or "")
    return table.get(unit.lower()) if found is None and unit and len(unit) > 2 else found


def unit_factor(unit: str | None, other: str | None) -> float | None:
    """Return how many of `other` one `unit` is; None if either is not a known length."""
    if unit == other:
        return 1.0
    metres, others = (_looked_up(_METRES, one) for one in (unit, other))
    return None if metres is None or others is None else metres / others


def unit_symbol(unit: str | None) -> str | None:
    """Return the symbol that OME-XML has for a length unit: "micron" -> "µm"; None if it has none."""
    return _looked_up(_SYMBOLS, unit)


def time_symbol(unit: str | None) -> str | None:
    """Return the symbol that OME-XML has for a unit of time: "sec" -> "s"; None if it has none."""
    return _looked_up(_TIME_SYMBOLS, unit)


def time_name(unit: str | None) -> str | None:
    """Return the name that OME-Zarr has for a unit of time: "sec" -> "second"; None if it has none."""
    return _looked_up(_TIME_NAMES, unit)


def check_letters(axes: str, name: str) -> str:
    """Return `axes` in upper case with S (samples) as C, if they can be axes of an image.

    Raises
    ------
    AxesError
        A letter is unknown or repeated, Y or X is missing, or X comes before Y.
    """
    letters = axes.upper()
    unknown = sorted(set(letters) - set(LETTERS + "S"))
    letters = letters.replace("S", "C")
    if unknown or len(set(letters)) != len(letters) or not {"Y", "X"} <= set(letters):
        raise AxesError(
            f"{name}: axes {axes!r}: expected each of Y and X once and others of {LETTERS} at most once"
        )
    if letters.index("Y") > letters.index("X"):
        raise AxesError(f"{name}: axes {axes!r}: Y must come before X")
    return letters


def match_axes(axes: str, shape: Sequence[int], name: str) -> str:
    """Return checked `axes`, one letter for each length of `shape`."""
    letters = check_letters(axes, name)
    if len(letters) != len(shape):
        raise AxesError(f"{name}: axes {axes!r} name {len(letters)} axes, but the shape is {tuple(shape)}")
    return letters


def may_be_channels_last(shape: tuple[int, ...]) -> bool:
    """Whether the last axis of an array is as short as channels are, beside two that are longer."""
    return len(shape) > 2 and shape[-1] <= 4 < min(shape[-3:-1])


_NARROW, _MANY = 16, 16


def describe_narrow(axes: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return a note where X is so short that it may be channels, which the file does not say."""
    if (
        len(shape) < 3
        or axes[-1] != "X"
        or shape[-1] > _NARROW
        or min(shape[-3:-1]) < max(_MANY, 4 * shape[-1])
    ):
        return ()
    return (
        f"its {shape[-3]} planes of {shape[-2]} x {shape[-1]} px are very narrow: if these are {shape[-1]} "
        "channels, which were saved last, save the file with the channels first (CYX)",
    )
