"""Masks where instance labels are meant, so that all cells of a page are one; and the other way round."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unet2015.errors import DataSetError

MEANT = "one value, or few, in several pieces, which count as one object a page"
MASK_VALUES = (1, 255, 65535)
"""What is not 0 in a mask."""
_MOST_CLASSES, _PIECES = 8, 3
_FEW, _SCATTERED = 4, 4
"""More values than these are looked at, and pieces of a value that are more than those of a cell."""


def like_mask(labels: NDArray[Any]) -> bool:
    """Whether all pixels are 0 or one value that is usual in masks, or are as in a map of several classes."""
    highest = int(labels.max())
    if highest in (0, *MASK_VALUES) and bool(((labels == 0) | (labels == highest)).all()):
        return True
    return _like_class_map(labels)


def _like_class_map(labels: NDArray[Any]) -> bool:
    """Whether there are few values, each in so many pieces that they are hardly those of cells."""
    if not 1 < int(labels.max()) <= _MOST_CLASSES:
        return False
    values = [value for value in range(1, int(labels.max()) + 1) if (labels == value).any()]
    pieces = [int(ndimage.label(labels == value, np.ones((3, 3)))[1]) for value in values]
    return sum(pieces) >= _PIECES * len(values) and min(pieces) > 1


def check_no_image(labels: NDArray[Any], what: str) -> None:
    """Raise `DataSetError` where most values of instance labels (H, W) are in many pieces, as in an image.

    `what` is truth or result, for the message.
    """
    # In labels, most pixels are beside pixels of the same cell; that is known at once.
    if not 4 * touching(labels) > np.count_nonzero(labels):
        return
    from skimage.measure import label

    parts = label(labels, background=0, connectivity=2)  # type: ignore[no-untyped-call]
    owners = np.zeros(int(parts.max()) + 1, labels.dtype)
    owners[parts.ravel()] = labels.ravel()
    counts = np.unique(owners[1:], return_counts=True)[1]
    if len(counts) > _FEW and (counts > _SCATTERED).mean() > 0.5:
        raise DataSetError(
            f"most of the {len(counts)} values of the {what} are scattered over many pieces; is it an image? "
            "Give the file in which every cell has one number"
        )


def in_pieces(labels: NDArray[Any]) -> bool:
    """Whether what is not 0 is in several pieces, which do not even touch at corners."""
    return bool(ndimage.label(labels != 0, np.ones((3, 3)))[1] > 1)


def touching(labels: NDArray[Any]) -> int:
    """Return how many pixels of (H, W) differ from the next in row or column, where neither is 0."""
    found = 0
    for one, next_ in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        found += int(((one != next_) & (one != 0) & (next_ != 0)).sum())
    return found
