"""What counts as an object: the settings of the step from probabilities to instance labels."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from unet2015.arguments import flag, integer, number
from unet2015.errors import ArgumentError
from unet2015.settings.frozen import Frozen, NotNegative
from unet2015.settings.reading import parse_settings

Probability = Annotated[float, Field(ge=0, le=1)]


class MarkerSettings(Frozen):
    """How centres are found, from which a watershed divides objects that touch (not in the paper)."""

    level: Probability = 0.8
    """A marker is a connected part in which the blurred probability is above this."""
    blur: NotNegative = 2.0
    """Standard deviation of the Gaussian blur, in pixels; 0 is none."""


class _Called(type(BaseModel)):  # type: ignore[misc]
    """Lets a call of the class refuse its arguments as the functions of this package do: in a line.

    Settings that are read from files do not come this way, but through `parse_settings`.
    """

    def __call__(cls, **given: Any) -> Any:
        """Return the settings; raise `SettingsError`, or `ArgumentError` for a wrong type."""
        checked = {name: _CHECKS[name](value) if name in _CHECKS else value for name, value in given.items()}
        return parse_settings(cls, checked, cls.__name__)


class ObjectSettings(Frozen, metaclass=_Called):
    """What counts as an object: from the probability map of a class to instance labels.

    What is not given is as the model has it, or as by default; see `over`.

    Attributes
    ----------
    threshold : float, optional
        A pixel belongs to an object if its probability is above this. Default: the model's own threshold.
    of_class : int, optional
        The class of objects; needed for a model of more than two classes. Default: class 1 of two.
    connectivity : {1, 2}
        1: neighbours share an edge. 2: they share an edge or a corner.
    fill_holes : bool
        Whether background that an object encloses becomes part of it.
    smallest : int
        Smaller objects are left out; area in pixels, after holes are filled.
    frame : int
        Objects that lie wholly within this distance of the border, in pixels, are left out.
    markers : Markers, optional
        Divide objects that touch, by a watershed. Default: they are one, as in the paper.

    Raises
    ------
    SettingsError
        A value is out of range, or there is no such setting.
    ArgumentError
        A value is of another type.
    """

    threshold: Probability | None = None
    """A pixel belongs to an object if its probability is above this. None: the model's own threshold."""
    of_class: int | None = Field(None, ge=1, le=254)
    """The class of objects; needed for a model of more than two classes. None: class 1 of two."""
    connectivity: Literal[1, 2] = 1
    """1: neighbours share an edge. 2: they share an edge or a corner."""
    fill_holes: bool = True
    """Whether background that an object encloses becomes part of it. Enclosed: no way of pixels that share an
    edge leads out. What several objects enclose belongs to the innermost."""
    smallest: int = Field(0, ge=0)
    """Smaller objects are left out; area in pixels, after holes are filled."""
    frame: int = Field(0, ge=0)
    """Objects that lie wholly within this distance of the border, in pixels, are left out."""
    markers: MarkerSettings | None = None
    """Divide connected parts that have two or more markers by a watershed of the blurred probability. None:
    objects that touch are one, as in the paper."""

    def describe(self) -> str:
        """Return in words what is not as by default."""
        markers = self.markers
        said = [
            None if self.threshold is None else f"threshold {self.threshold:g}",
            f"smaller than {self.smallest} px left out" if self.smallest else None,
            None if self.fill_holes else "holes kept",
            "pixels joined at corners" if self.connectivity == 2 else None,
            f"none within {self.frame} px of the border" if self.frame else None,
            None if self.of_class is None else f"of class {self.of_class}",
            None
            if markers is None
            else f"divided where they touch (markers above {markers.level:g}, blur {markers.blur:g} px)",
        ]
        return ", ".join(part for part in said if part) or "as in the paper"

    def over(self, other: ObjectSettings | None) -> ObjectSettings:
        """Return these settings; those that were not given are taken from `other`, such as a model's own."""
        if other is None:
            return self
        return other.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})


def _markers(value: Any) -> Any:
    """Return what has a level and a blur, such as `unet2015.Markers`, as values of settings."""
    if isinstance(value, MarkerSettings | dict):
        return value
    try:
        return {"level": value.level, "blur": value.blur}
    except Exception as error:  # whatever the object does
        raise ArgumentError(
            f"markers: expected Markers(level, blur) or None, got {type(value).__name__}"
        ) from error


def _or_none(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "threshold": _or_none(partial(number, name="threshold", low=0, high=1)),
    "of_class": _or_none(partial(integer, name="of_class")),
    "connectivity": partial(integer, name="connectivity"),
    "fill_holes": partial(flag, name="fill_holes"),
    "smallest": partial(integer, name="smallest"),
    "frame": partial(integer, name="frame"),
    "markers": _or_none(_markers),
}
ObjectSettings.__signature__ = inspect.Signature(  # what people read: the words of this file
    [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=ObjectSettings.__annotations__[name],
        )
        for name, field in ObjectSettings.model_fields.items()
    ]
)
