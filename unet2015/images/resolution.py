"""The resolution tags of a TIFF, and when they are no calibration.

Sources: TIFF 6.0, section 8 (XResolution, YResolution, ResolutionUnit); ``TiffDecoder.java`` of ImageJ,
where 72 pixels per inch mean that the size is not known.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from unet2015.images.axes import UNCALIBRATED, Calibration, unit_factor

MICROMETRES = {"in": 25_400.0, "cm": 10_000.0, "mm": 1_000.0, "µm": 1.0}
"""Micrometres in the units that ResolutionUnit has."""

_UNITS = {2: "in", 3: "cm", 4: "mm", 5: "µm"}  # the last two are not in TIFF 6.0, but are met
_INCH = 2

_SCREENS = (72.0, 96.0, 144.0, 192.0, 28 * 2.54, 38 * 2.54)
"""Pixels per inch of screens, also at twice the size; and 72 and 96 in whole pixels per centimetre."""

_PRINTERS = (100, 120, 150, 180, 200, 240, 250, 300, 350, 360, 400, 600, 720, 1200, 2400)
TOO_SMALL = 1e-3
"""Pixels are not smaller than this in the unit that a header names for them."""

_ROUNDING = 1e-3  # 96 pixels per inch are also written as 3,779 pixels per metre
_EXACT = 1e-9
_PICOMETRE = 1e-6


@dataclass(frozen=True)
class Resolution:
    """What the resolution tags say.

    Attributes
    ----------
    x, y : float or None
        Width and height of a pixel; None if the tag is absent or cannot be one.
    unit : {"in", "cm", "mm", "µm"} or None
        Their unit; None if the tags name none.
    notes : tuple of str
        What was left out.
    """

    x: float | None
    y: float | None
    unit: str | None
    notes: tuple[str, ...] = ()

    @property
    def of_a_screen(self) -> bool:
        """Whether these are the pixels of a screen, which say nothing of the image."""
        return _one_of(self._per_inch(), _SCREENS) is not None

    def calibration(self) -> tuple[Calibration, tuple[str, ...]]:
        """Return the size of a pixel in micrometres, and remarks on it.

        Without a unit there is no size, only a ratio. The resolution of a screen is no calibration, nor is a
        pixel of a centimetre or more; that of a printer is doubtful.
        """
        if self.unit is None or self.x is None or self.y is None:
            return UNCALIBRATED, self.notes
        factor = MICROMETRES[self.unit]
        found = Calibration(pixel_size_y=self.y * factor, pixel_size_x=self.x * factor, unit="µm")
        said = f"the resolution tags say {1 / self.x:g} pixels per {self.unit}"
        if self.of_a_screen:
            known = self.unit == "in" and self.x == self.y == 1 / 72
            why = f"{said}, as programs write for a screen: taken as no calibration"
            return UNCALIBRATED, self.notes if known else (*self.notes, why)
        if min(self.x, self.y) * factor >= MICROMETRES["cm"]:
            return UNCALIBRATED, (*self.notes, f"{said}: taken as no calibration")
        if _one_of(self._per_inch(), _PRINTERS) is not None:
            why = f"{said}, as programs write for printing: a pixel of {self.x * factor:g} µm is doubtful"
            return found, (*self.notes, why)
        return found, self.notes

    def _per_inch(self) -> float | None:
        """Return pixels per inch; None if they are not known or not the same in x and y."""
        if self.unit is None or not self.x or not self.y:
            return None
        return _dots(self.x * MICROMETRES[self.unit], self.y * MICROMETRES[self.unit])


def believed(
    found: Calibration, *, screens: bool = True, by: str = "the header"
) -> tuple[Calibration, tuple[str, ...]]:
    """Return what a header says, without pixels that are a screen's or too large; and remarks.

    Programs write the resolution tags of any file as lengths: Bio-Formats makes 352.778 µm of 72 pixels per
    inch. So these count as little there as in the tags; see `Resolution.calibration`. Without `screens` only
    the size is looked at.
    """
    factor, x, y = unit_factor(found.unit, "µm"), found.pixel_size_x, found.pixel_size_y
    sizes = [size for size in (x, y) if size is not None]
    if factor is None or not sizes:
        return found, ()
    per_inch = None if x is None or y is None or not screens else _dots(x * factor, y * factor)
    said = f"{by} says that a pixel is {sizes[0]:g} {found.unit} wide"
    screen, printer = (_one_of(per_inch, known) for known in (_SCREENS, _PRINTERS))
    if screen is not None:
        why = f"{said}; that is {screen:g} pixels per inch, as programs write for a screen"
    elif min(sizes) * factor > MICROMETRES["cm"] * (1 - _EXACT):
        why = said
    elif printer is not None:
        return found, (
            f"{said}; that is {printer:g} pixels per inch, as programs write for printing: doubtful",
        )
    elif min(sizes) * factor < _PICOMETRE:
        return found, (f"{said}, less than a picometre: its unit is doubtful",)
    else:
        return found, ()
    return replace(found, pixel_size_y=None, pixel_size_x=None), (f"{why}: taken as no calibration",)


def _dots(x: float, y: float) -> float | None:
    """Return pixels per inch of pixels in micrometres; None if they are not the same in x and y."""
    return MICROMETRES["in"] / x if math.isclose(x, y, rel_tol=_ROUNDING) else None


def _one_of(per_inch: float | None, known: Sequence[float]) -> float | None:
    """Return the known resolution that this one is, up to rounding; None if it is none of them."""
    if per_inch is None:
        return None
    return next((one for one in known if math.isclose(per_inch, one, rel_tol=_ROUNDING)), None)


def read_resolution(tags: Mapping[int, Any], default: int | None = _INCH) -> Resolution:
    """Return what the resolution tags say; never an error, as an image can be read without them.

    Parameters
    ----------
    tags : Mapping
        Values of the tags by their numbers.
    default : int or None
        What an absent ResolutionUnit stands for.
    """
    sizes: list[float | None] = []
    notes = []
    for code, name in ((282, "XResolution"), (283, "YResolution")):
        pixels = _number(tags.get(code))
        size = 1 / pixels if pixels and 0 < pixels < math.inf else None
        sizes.append(size if size and size < math.inf else None)
        if code in tags and sizes[-1] is None:
            notes.append(f"the tag {name} is {_shown(tags[code])}, not a number above 0: left out")
    unit = tags.get(296, default)
    if isinstance(unit, tuple) and len(unit) == 1:
        unit = unit[0]
    known = isinstance(unit, int) and (unit in _UNITS or unit == 1)
    if not known and unit is not None:
        notes.append(f"the tag ResolutionUnit is {_shown(unit)}, not 1, 2 or 3: left out")
    return Resolution(sizes[0], sizes[1], _UNITS.get(int(unit)) if known else None, tuple(notes))


def describe_screen(found: Resolution, unit: str) -> str:
    """Return the remark on the resolution of a screen beside a header's unit."""
    assert found.x is not None
    said = f"the resolution tags say {1 / found.x:g} pixels per {found.unit}, as programs write for a screen"
    return f"{said}, beside unit={unit}: taken as no pixel size"


def describe_spacing(spacing: float, unit: str) -> str:
    """Return the remark on a spacing in z that is taken in the unit of the pixel size."""
    return f"the header's spacing of {spacing:g} has no unit; taken in {unit} as the pixel size"


def describe_conflict(unit: str, found: Resolution, taken: float, other: float, *, by_tags: bool) -> str:
    """Return the remark on a header's unit that is not that of the tags: both widths of a pixel."""
    who = "the tags" if by_tags else "the header"
    return (
        f"the header's unit is {unit}, that of the resolution tags {found.unit}: the width of a pixel is "
        f"taken as {taken:g} {unit}, as {who} would have it, and not {other:g}"
    )


def _number(value: object) -> float | None:
    """Return a rational, or a number of another type, as a float; NaN if it is neither; None if absent."""
    if value is None:
        return None
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, int) for part in value):
        return value[0] / value[1] if value[1] else math.nan
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    return float(value) if isinstance(value, int | float) else math.nan


def _shown(value: object) -> str:
    """Return a tag's value in few letters."""
    if isinstance(value, tuple) and len(value) == 2:
        return f"{value[0]}/{value[1]}"
    return repr(value)[:40]
