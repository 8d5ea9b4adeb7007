"""Masks where instance labels are meant, so that all cells of a page are one; and the other way round."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

MEANT = "one value, in several pieces, which count as one object a page"


def like_mask(labels: NDArray[Any]) -> bool:
    """Whether all pixels are 0 or one value that is usual in masks."""
    highest = int(labels.max())
    return highest in (0, 1, 255, 65535) and bool(((labels == 0) | (labels == highest)).all())


def in_pieces(labels: NDArray[Any]) -> bool:
    """Whether what is not 0 is in several pieces, which do not even touch at corners."""
    return bool(ndimage.label(labels, np.ones((3, 3)))[1] > 1)


def touching(labels: NDArray[Any]) -> int:
    """Return how many pixels of (H, W) differ from the next in row or column, where neither is 0."""
    found = 0
    for one, next_ in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        found += int(((one != next_) & (one != 0) & (next_ != 0)).sum())
    return found
