"""What a TIFF header says about its image, in one form for all flavours."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from unet2015.errors import AxesError
from unet2015.images.axes import UNCALIBRATED, Calibration, check_letters
from unet2015.images.image import MetadataKind

_DIGITS = 3


def possible_bits(said: object, dtype: npt.DTypeLike) -> int | None:
    """Return how many bits of a pixel are used, from what a file says: a number or its digits.

    Returns
    -------
    int or None
        None where nothing is said or it cannot be, and for a type of pixel that is no whole number.
    """
    kind, digits = np.dtype(dtype), str(said)
    if kind.kind not in "ui" or len(digits) > _DIGITS or not (digits.isascii() and digits.isdecimal()):
        return None
    return int(digits) if 0 < int(digits) <= 8 * kind.itemsize else None


@dataclass(frozen=True)
class Declared:
    """The axes along which the planes of a file lie, slowest first.

    Attributes
    ----------
    kind : {"ome", "imagej", "plain"}
        The flavour.
    lead : str
        A letter for each axis of planes; "?" if the file gives none.
    sizes : tuple of int
        Their lengths.
    calibration : Calibration
        What a pixel measures.
    directories : tuple of int or None
        For each plane, the image file directory that holds it; None means in order.
    companion : str or None
        The SHA-256 of the other file from which this comes, if it does.
    notes : tuple of str
        Remarks on the header that are not errors.
    channel_names : tuple of str
        What it calls the channels; perhaps not all of them.
    page_axes : str
        The axes of one page with the samples of its pixels, where the header says them: YXC, ZYX.
    significant_bits : int or None
        How many bits of a pixel are used, where the header says that.
    stage : mapping
        Where the stage stood along Y and X for the first plane, in micrometres, where the header says that.
    """

    kind: MetadataKind
    lead: str
    sizes: tuple[int, ...]
    calibration: Calibration = UNCALIBRATED
    directories: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    companion: str | None = None
    channel_names: tuple[str, ...] = ()
    page_axes: str = ""
    significant_bits: int | None = None
    stage: Mapping[str, float] = field(default_factory=dict)

    @property
    def planes(self) -> int:
        """Number of planes."""
        return math.prod(self.sizes)

    def named(self, within: str, axes: str | None, name: str) -> "Declared":
        """Return the same with every axis named. Axes of length 1 are dropped, except those named in `axes`.

        Parameters
        ----------
        within : str
            The axes of one plane in the file: YX, YXC or CYX, or with another letter for C.
        axes : str or None
            What the user says the axes are, with or without those of length 1.
        name : str
            The file.

        Raises
        ------
        AxesError
            The letters do not fit, or are needed and missing.
        """
        long = tuple(i for i, size in enumerate(self.sizes) if size > 1)
        if axes is not None:
            return self._overridden(within, axes, long, name)
        shape = tuple(self.sizes[i] for i in long)
        lead = "".join(self.lead[i] for i in long)
        if lead.count("?") == 1 and "I" not in lead:
            lead = lead.replace("?", "I")
        if "?" in lead or len(set(lead)) != len(lead):
            free = [letter for letter in "ITZC" if letter not in within]
            advice = f"name them, for example --axes {''.join(free[-len(shape) :])}{within}"
            others = [letter for letter in free if letter != "C"]
            if "C" in free and len(shape) <= len(others):  # labels, for one, have no channels
                advice += f", or {''.join(others[-len(shape) :])}{within} where none are channels"
            if len(shape) > len(free):
                advice = "there are no letters for so many: save it with fewer axes (numpy: reshape)"
            raise AxesError(
                f"{name}: the file has planes in the shape {shape} and does not say along which axes; "
                f"{advice}"
            )
        return replace(self, lead=lead, sizes=shape)

    def _overridden(self, within: str, axes: str, long: tuple[int, ...], name: str) -> "Declared":
        letters = check_letters(axes, name)
        lead, tail = letters[: -len(within)], letters[-len(within) :]
        if tail != within:
            other = ", or another letter for C where that is no channel" if "C" in within else ""
            raise AxesError(f"{name}: --axes {axes}: in this file they must end in {within}{other}")
        shape = tuple(self.sizes[i] for i in long)
        own = "".join(self.lead[i] for i in long)
        if len(lead) == len(shape):
            return replace(self, lead=lead, sizes=shape, notes=(*self.notes, *_contradicted(own, lead)))
        if len(lead) == len(self.sizes):
            notes = (*self.notes, *_contradicted(own, "".join(lead[i] for i in long)))
            return replace(self, lead=lead, notes=notes)
        if self.planes == 1:
            return replace(self, lead=lead, sizes=(1,) * len(lead))
        raise AxesError(
            f"{name}: --axes {axes} name {len(lead)} axes of planes, but the file has planes in the shape "
            f"{shape}; give {len(shape)} letters and then {within}"
        )


def _contradicted(own: str, given: str) -> Iterator[str]:
    """Say that the axes along which a file has several planes, by itself, are not those that were given."""
    if any(mine not in ("?", "I", other) for mine, other in zip(own, given, strict=True)):
        yield (
            f"the file says that its planes lie along {own}, and is read along {given}, as --axes has it: "
            "where the file is right, leave out --axes, and save with its axes what does not say them"
        )


def as_number(value: object) -> float | None:
    """Return `value` as a finite number above zero, or None."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0 < number < math.inf else None


def magnitude(value: object, what: str) -> tuple[float | None, tuple[str, ...]]:
    """Return a distance in z or time without its sign, and a remark if it has one or is no distance.

    The sign is the direction in which the planes were taken; ImageJ leaves it out as well.
    """
    if value is None:
        return None, ()
    number = as_number(value)
    if number is not None:
        return number, ()
    number = as_number(str(value).strip().removeprefix("-"))
    if number is None:
        return None, (f"the header's {what} is {str(value)[:40]!r}, not a number other than 0: left out",)
    return number, (f"the header's {what} is {value}; taken as {number:g}",)
