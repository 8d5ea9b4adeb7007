"""What counts as an object: the settings of the step from probabilities to instance labels."""

from typing import Annotated, Literal

from pydantic import Field

from unet2015.settings.frozen import Frozen, NotNegative

Probability = Annotated[float, Field(ge=0, le=1)]


class MarkerSettings(Frozen):
    """How centres are found, from which a watershed divides objects that touch (not in the paper)."""

    level: Probability = 0.8
    """A marker is a connected part in which the blurred probability is above this."""
    blur: NotNegative = 2.0
    """Standard deviation of the Gaussian blur, in pixels; 0 is none."""


class ObjectSettings(Frozen):
    """From the probability map of class 1 to instance labels (open in the paper, but the threshold)."""

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

    def over(self, other: "ObjectSettings | None") -> "ObjectSettings":
        """Return these settings; those that were not given are taken from `other`, such as a model's own."""
        if other is None:
            return self
        return other.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})
