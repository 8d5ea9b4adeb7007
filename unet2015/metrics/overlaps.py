"""Which objects of two label images share pixels, and how well they fit: SEG and matching rest on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unet2015.errors import LabelError
from unet2015.metrics.contingency import contingency_table


@dataclass(frozen=True)
class ObjectOverlaps:
    """The objects of two label images, and the pairs of them that share pixels.

    Attributes
    ----------
    true_labels : (T,) int array
        The labels of the true objects, rising.
    found_labels : (P,) int array
        Those of the other image.
    true, found : (K,) int64 arrays
        Of each pair the place of its objects in these; no pair comes twice.
    iou : (K,) float64 array
        Pixels in both objects of a pair / pixels in either; above 0.
    covers : (K,) bool array
        Whether the pair shares more than half of the pixels of its true object.
    unknown : (P,) bool array
        Whether more than half of the pixels of an object of the other image are where nobody annotated.
    """

    true_labels: NDArray[np.integer]
    found_labels: NDArray[np.integer]
    true: NDArray[np.int64]
    found: NDArray[np.int64]
    iou: NDArray[np.float64]
    covers: NDArray[np.bool_]
    unknown: NDArray[np.bool_]


def object_overlaps(
    truth: ArrayLike, found: ArrayLike, annotated: NDArray[np.bool_] | None = None
) -> ObjectOverlaps:
    """Return the objects of two label images and how they overlap.

    Parameters
    ----------
    truth, found : int arrays of one shape
        Labels, any numbers from 0 on; 0 is background.
    annotated : bool array of their shape, optional
        Where the truth is known; all other pixels belong to no object. Default: everywhere.

    Raises
    ------
    DataSetError
        When the shapes differ.
    LabelError
        When labels are not integers from 0 on.
    """
    images = [_checked(truth), _checked(found)]
    if annotated is not None:
        hidden = dict(zip(*np.unique(images[1][~annotated], return_counts=True), strict=True))
        images = [image[annotated] for image in images]
    table = contingency_table(*images)
    # Ranks, so that a label of nine digits costs no memory; of the table, which is smaller than the image.
    true_labels, i = np.unique(table.truth, return_inverse=True)
    found_labels, j = np.unique(table.prediction, return_inverse=True)
    true_sizes, found_sizes = np.bincount(i, table.pixels), np.bincount(j, table.pixels)
    both = (true_labels[i] != 0) & (found_labels[j] != 0)
    i, j, shared = i[both], j[both], table.pixels[both]
    # Background, where there is any, is the lowest label.
    first_true, first_found = (int(labels[:1].tolist() == [0]) for labels in (true_labels, found_labels))
    labels = found_labels[first_found:]
    unknown = np.zeros(len(labels), bool)
    if annotated is not None:
        lost = np.array([hidden.get(label, 0) for label in labels.tolist()])
        unknown = lost > found_sizes[first_found:]
    return ObjectOverlaps(
        true_labels[first_true:].astype(images[0].dtype),
        labels.astype(images[1].dtype),
        (i - first_true).astype(np.int64),
        (j - first_found).astype(np.int64),
        shared / (true_sizes[i] + found_sizes[j] - shared),
        2 * shared > true_sizes[i],
        unknown,
    )


def _checked(labels: ArrayLike) -> NDArray[Any]:
    array = np.asarray(labels)
    if array.dtype.kind not in "iu" or (array.size and array.min() < 0):
        lowest = f" (lowest {array.min()})" if array.size and array.dtype.kind != "b" else ""
        advice = "; number the objects of a mask first, as skimage.measure.label does"
        mask = advice if array.dtype.kind == "b" else ""
        raise LabelError(f"expected integer labels from 0 on, got {array.dtype}{lowest}{mask}")
    return array
