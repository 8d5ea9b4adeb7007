"""From probabilities to objects: connected parts above a threshold, filled, without what is too small.

Objects that touch are one part, as in the paper. Markers, which are not in the paper, can divide such parts.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.arguments import flag, integer, number, pixels, probability_advice
from unet2015.errors import ArgumentError, ImageValueError, UsageError
from unet2015.objects.doubts import describe_covering_array
from unet2015.objects.numbering import label_type, number_page
from unet2015.settings.objects import MarkerSettings, ObjectSettings

_ROUNDING = 1e-3

_log = logging.getLogger("unet2015")


@dataclass(frozen=True)
class Markers:
    """How the centres of objects are found, from which a watershed divides objects that touch.

    Attributes
    ----------
    level : float
        A marker is a connected part in which the blurred probability is above this, from 0 to 1.
    blur : float
        Standard deviation in pixels of the Gaussian blur; 0 is none.

    Raises
    ------
    UsageError
        Level or blur is out of range.
    """

    level: float = 0.8
    blur: float = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", number(self.level, "level", nan=True))
        object.__setattr__(self, "blur", number(self.blur, "blur", nan=True))
        if not 0 <= self.level <= 1 or not 0 <= self.blur < np.inf:
            raise UsageError(
                "markers need a level from 0 to 1 and a blur of 0 px or more, got "
                f"{self.level} and {self.blur}"
            )


def label_objects(
    probability: NDArray[np.floating],
    threshold: float = 0.5,
    *,
    connectivity: int = 1,
    fill_holes: bool = True,
    smallest: int = 0,
    frame: int = 0,
    markers: Markers | None = None,
) -> NDArray[Any]:
    """Return the objects of one page as instance labels.

    The steps of the authors' release on the scores of its four flips (which
    ``segment(..., average="flips")`` gives): the class with the higher score, its connected parts, and
    no part that lies wholly outside the field of interest. Connectivity, holes and the smallest object
    are open; these are the choices made here.

    Parameters
    ----------
    probability : ndarray of float, shape (height, width)
        Of class 1, 0 to 1.
    threshold : float
        A pixel belongs to an object if its probability is above this. At 0.5, class 1 has the higher score.
    connectivity : {1, 2}
        1: neighbours share an edge. 2: they share an edge or a corner.
    fill_holes : bool
        Whether background that an object encloses becomes part of it.
    smallest : int
        Smaller objects are left out; area in pixels, after holes are filled.
    frame : int
        Objects that lie wholly within this distance of the border, in pixels, are left out. 50 for the data
        sets of the paper, whose challenge does not count such objects.
    markers : Markers, optional
        Divide connected parts with two or more markers by a watershed of the blurred probability; parts
        with one marker or none do not change. Not in the paper. Default: objects that touch are one.

    Returns
    -------
    ndarray of uint16 or, with more than 65,535 objects, uint32, shape (height, width)
        0 is background; objects are 1, 2, ... in the order of their first pixels, row by row.

    Raises
    ------
    ImageValueError
        A probability is not from 0 to 1, or NaN.
    UsageError
        The array does not have two axes, or threshold, connectivity, area or frame is out of range.
    """
    probability = _probabilities(probability)
    threshold, connectivity = number(threshold, "threshold", nan=True), integer(connectivity, "connectivity")
    smallest, frame = integer(smallest, "smallest"), integer(frame, "frame")
    fill_holes = flag(fill_holes, "fill_holes")
    if markers is not None and not isinstance(markers, Markers | MarkerSettings):
        raise ArgumentError(f"markers: expected Markers(level, blur) or None, got {type(markers).__name__}")
    if probability.ndim != 2 or not probability.size:
        raise UsageError(f"expected one page, axes YX, got an array of shape {probability.shape}")
    if not 0 <= threshold <= 1 or connectivity not in (1, 2) or smallest < 0 or frame < 0:
        raise UsageError(
            "expected a threshold from 0 to 1, connectivity 1 or 2, and smallest and frame from 0 on, got "
            f"{threshold}, {connectivity}, {smallest}, {frame}"
        )
    settings = ObjectSettings(
        connectivity=connectivity,
        fill_holes=fill_holes,
        smallest=smallest,
        frame=frame,
        markers=None if markers is None else MarkerSettings(level=markers.level, blur=markers.blur),
    )
    labels = label_page(probability, threshold, settings)
    if note := describe_covering_array(labels):
        _log.warning("probability: %s", note)
    return labels


def label_page(probability: NDArray[np.floating], threshold: float, settings: ObjectSettings) -> NDArray[Any]:
    """Return the objects of one page as `label_objects` does; the threshold of the settings is not used."""
    page = ArrayPage(probability, threshold)
    numbers = number_page(page, settings, max(page.height, 1))
    return numbers.labels(0, np.empty((page.height, page.width), label_type(numbers.objects)))


def _probabilities(value: object) -> NDArray[np.floating]:
    """Return probabilities as floats; raise `ImageValueError` if they are not from 0 to 1."""
    given = pixels(value, "probability")
    # Half precision is widened: a threshold would be rounded to it.
    found = given if given.dtype.kind == "f" and given.itemsize > 2 else given.astype(np.float32)
    if unknown := int(np.isnan(found).sum()):
        raise ImageValueError(
            f"probability: expected numbers from 0 to 1, got NaN in {unknown} of {found.size} pixels; where "
            "nothing is known, put 0 for background (numpy.nan_to_num(probability, nan=0))"
        )
    # A mean of rounded probabilities may be above 1 by a little.
    if bool((found < -_ROUNDING).any()) or bool((found > 1 + _ROUNDING).any()):
        raise ImageValueError(
            f"probability: expected numbers from 0 to 1, got {found.min()} to {found.max()}; "
            f"{probability_advice(given.dtype)}"
        )
    return found


@dataclass(frozen=True, eq=False)
class ArrayPage:
    """A page in memory, for :func:`unet2015.objects.numbering.number_page`.

    Attributes
    ----------
    values : ndarray of float, shape (height, width)
        Probabilities of class 1.
    threshold : float
        A pixel belongs to an object if its probability is above this.
    """

    values: NDArray[np.floating]
    threshold: float

    @property
    def height(self) -> int:
        """Rows."""
        return len(self.values)

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.values.shape[1])

    def probability(self, top: int, bottom: int, left: int, right: int) -> NDArray[np.floating]:
        """Return the probabilities of a region."""
        return self.values[top:bottom, left:right]

    def inside(self, top: int, bottom: int, left: int, right: int) -> NDArray[np.bool_]:
        """Return which pixels of a region belong to objects."""
        return self.values[top:bottom, left:right] > self.threshold
