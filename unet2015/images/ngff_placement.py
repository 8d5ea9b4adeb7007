"""Where the pixels of an OME-Zarr image lie: the scale and translation of each axis.

Source: https://ngff.openmicroscopy.org/0.5/#trafo-md
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from unet2015.errors import ImageReadError
from unet2015.wording import cut

_KINDS = ("scale", "translation")
_LONGEST = 60

Placement = tuple[tuple[float | None, ...], tuple[float, ...], tuple[str, ...]]
"""Scale and translation of each axis, and remarks. A scale is None where it is not known."""


def read_placement(steps: object, declared: Mapping[str, Any], names: Sequence[str], where: str) -> Placement:
    """Return where the pixels of an array lie.

    Numbers that say nothing are left out, each with a remark: pixels can be read without them. Converters
    write a scale of 0 where an interval is not known.

    Parameters
    ----------
    steps : object
        The coordinateTransformations of the array.
    declared : Mapping
        The metadata of the image, whose own coordinateTransformations follow.
    names : sequence of str
        Its axes.
    where : str
        Image and array, for messages.

    Raises
    ------
    ImageReadError
        The transformations of the array are of another kind, or have another number of axes.
    """
    scale: list[float | None] = [1.0] * len(names)
    translation = [0.0] * len(names)
    notes: list[str] = []
    before = _checked(steps, len(names), where)
    if "scale" not in dict(before):
        notes.append("the pixel size is not known: its coordinateTransformations have no scale")
        scale = [None] * len(names)
    for kind, values in before:
        _apply(kind, values, names, scale, translation, notes)
    try:
        after = _checked(declared.get("coordinateTransformations"), len(names), where)
    except ImageReadError as error:
        problem = str(error).removeprefix(f"{where}: ")
        nothing: list[float | None] = [None] * len(names)
        return tuple(nothing), (0.0,) * len(names), (f"the pixel size is not known: of the image, {problem}",)
    for kind, values in after:
        _apply(kind, values, names, scale, translation, notes)
    # Without a scale it is not known what a translation is in.
    shifts = (shift if size is not None else 0.0 for size, shift in zip(scale, translation, strict=True))
    return tuple(scale), tuple(shifts), tuple(dict.fromkeys(notes))


def _checked(steps: object, dimensions: int, where: str) -> list[tuple[str, Sequence[Any]]]:
    """Return kind and values of each step; the values may be anything."""
    if steps is None:
        return []
    if not isinstance(steps, list | tuple):
        raise ImageReadError(
            f"{where}: expected coordinateTransformations, a list of steps, but {shortened(steps)} came"
        )
    found: list[tuple[str, Sequence[Any]]] = []
    for step in steps:
        kind = step.get("type") if isinstance(step, Mapping) else step
        if kind not in _KINDS or kind not in step:
            raise ImageReadError(
                f"{where}: expected coordinateTransformations of scale and translation, but "
                f"{kind if isinstance(kind, str) and len(kind) < _LONGEST else shortened(kind)} came"
            )
        values = step[kind]
        if not isinstance(values, list | tuple) or len(values) != dimensions:
            raise ImageReadError(
                f"{where}: expected {dimensions} numbers{' above zero' * (kind == 'scale')} as {kind}, one "
                f"for each axis, but {shortened(values)} came"
            )
        found.append((kind, values))
    return found


def _apply(
    kind: str,
    values: Sequence[Any],
    names: Sequence[str],
    scale: list[float | None],
    translation: list[float],
    notes: list[str],
) -> None:
    """Apply a step to scale and translation, in place."""
    for axis, value in enumerate(values):
        number = _number(value)
        if number is None or (kind == "scale" and number <= 0):
            notes.append(
                f"the {kind} of axis {names[axis]} is {shortened(value)}, which says nothing: left out"
            )
            number = None
        before = scale[axis]
        if kind == "translation":
            translation[axis] += number or 0.0
        elif number is None or before is None:
            scale[axis] = None
        else:
            scale[axis], translation[axis] = before * number, translation[axis] * number


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def shortened(value: object) -> str:
    """Return what came, for a message, in one short line."""
    return cut(value if isinstance(value, str) and value.isprintable() else ascii(value), _LONGEST)
