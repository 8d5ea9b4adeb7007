"""From probabilities to objects: connected parts above a threshold, filled, without what is too small."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label

from unet2015.errors import DataSetError, UsageError

FIELD_OF_INTEREST = 50
"""Width in pixels of the frame outside the field of interest, for both data sets of the paper."""


def label_objects(
    probability: NDArray[np.floating],
    threshold: float = 0.5,
    *,
    connectivity: int = 1,
    fill_holes: bool = True,
    smallest: int = 0,
    frame: int = 0,
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
        A pixel belongs to an object where its probability is above. At 0.5 it is the higher score.
    connectivity : {1, 2}
        Neighbours that share an edge, or an edge or a corner.
    fill_holes : bool
        Whether background that an object encloses becomes part of it.
    smallest : int
        Area in pixels below which an object is left out; counted after holes are filled.
    frame : int
        Objects wholly within so many pixels of the border are left out: 50 for the data sets of the
        paper, whose challenge does not count them.

    Returns
    -------
    ndarray of uint16, shape (height, width)
        0 is background; objects are 1, 2, ... from top to bottom.

    Raises
    ------
    UsageError
        The array has not two axes, or a threshold, connectivity, area or frame that cannot be.
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
        raise DataSetError(f"{count} objects are more than a label image of 16 bits holds; is it noise?")
    numbers = np.zeros(len(sizes), np.uint16)
    numbers[keep] = np.arange(1, count + 1)
    labelled: NDArray[np.uint16] = numbers[objects]
    return labelled


def _parts(inside: NDArray[np.bool_], connectivity: int) -> NDArray[np.int32]:
    return np.asarray(label(inside, connectivity=connectivity), np.int32)  # type: ignore[no-untyped-call]


def _fill(objects: NDArray[np.int32]) -> None:
    """Fill each object by itself, so that a cell in a ring of another stays apart from it."""
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
