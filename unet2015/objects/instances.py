"""From probabilities to objects: connected parts above a threshold, filled, without what is too small.

Objects that touch are one part, as in the paper. Markers, which are not in the paper, can divide such parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label
from skimage.segmentation import watershed

from unet2015.errors import DataSetError, UsageError

FIELD_OF_INTEREST = 50
"""Width in pixels of the frame outside the field of interest, for both data sets of the paper."""


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
) -> NDArray[np.uint16]:
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
    ndarray of uint16, shape (height, width)
        0 is background; objects are 1, 2, ... from top to bottom.

    Raises
    ------
    UsageError
        The array does not have two axes, or threshold, connectivity, area or frame is out of range.
    DataSetError
        There are more than 65,535 objects.
    """
    if probability.ndim != 2:
        raise UsageError(f"expected one page, axes YX, got an array of shape {probability.shape}")
    if not 0 <= threshold <= 1 or connectivity not in (1, 2) or smallest < 0 or frame < 0:
        raise UsageError(
            "expected a threshold from 0 to 1, connectivity 1 or 2, and smallest and frame from 0 on, got "
            f"{threshold}, {connectivity}, {smallest}, {frame}"
        )
    inside = probability > threshold
    objects = _parts(inside, connectivity)
    if markers is not None:
        objects = _divided(objects, probability, markers, connectivity)
    if fill_holes:
        _fill(objects)
    sizes = np.bincount(objects.ravel())
    keep = sizes >= smallest
    if frame:
        seen = np.zeros(len(sizes), bool)
        seen[np.unique(objects[frame : objects.shape[0] - frame, frame : objects.shape[1] - frame])] = True
        keep &= seen
    keep[0] = False
    if (count := int(np.count_nonzero(keep))) > np.iinfo(np.uint16).max:
        raise DataSetError(f"{count} objects are too many for a label image of 16 bits; is it noise?")
    numbers = np.zeros(len(sizes), np.uint16)
    numbers[keep] = np.arange(1, count + 1)
    labelled: NDArray[np.uint16] = numbers[objects]
    return labelled


def _parts(inside: NDArray[np.bool_], connectivity: int) -> NDArray[np.int32]:
    return np.asarray(label(inside, connectivity=connectivity), np.int32)  # type: ignore[no-untyped-call]


def _divided(
    parts: NDArray[np.int32], probability: NDArray[np.floating], markers: Markers, connectivity: int
) -> NDArray[np.int32]:
    """Divide parts among their markers, with new numbers from top to bottom."""
    # NaN is not part of an object, and must not spread by the blur.
    smooth = ndimage.gaussian_filter(np.nan_to_num(probability).astype(np.float32), markers.blur)
    inside = parts > 0
    seeds = _parts(inside & (smooth > markers.level), connectivity)
    found = np.asarray(watershed(-smooth, seeds, connectivity=connectivity, mask=inside), np.int32)  # type: ignore[no-untyped-call]
    found[inside & (found == 0)] = (parts + seeds.max(initial=0))[inside & (found == 0)]  # without a marker
    numbers, first, at = np.unique(found, return_index=True, return_inverse=True)
    known = np.flatnonzero(numbers)
    anew = np.zeros(len(numbers), np.int32)
    anew[known[np.argsort(first[known])]] = np.arange(1, len(known) + 1)
    divided: NDArray[np.int32] = anew[at].reshape(parts.shape)
    return divided


def _fill(objects: NDArray[np.int32]) -> None:
    """Fill each object by itself, so that a cell inside a ring-shaped cell stays separate."""
    background = _parts(objects == 0, 1)  # as binary_fill_holes: a diagonal gap is none
    edge = np.concatenate([background[[0, -1]].ravel(), background[:, [0, -1]].ravel()])
    enclosed = (background > 0) & ~np.isin(background, edge)
    if not enclosed.any():
        return
    places = ndimage.find_objects(objects)
    for number in np.unique(objects[ndimage.binary_dilation(enclosed, np.ones((3, 3)))]):
        if number:
            window = objects[places[number - 1]]
            window[ndimage.binary_fill_holes(window == number) & (window == 0)] = number
