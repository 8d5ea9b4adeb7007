"""Masks where instance labels are meant, so that all cells of a page are one; and the other way round."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unet2015.errors import DataSetError

MEANT = "one value, or few, in several pieces, which count as one object a page"
FULL_VALUES = (255, 65535)
"""The highest values of 8 and 16 bits: what is not 0 in a mask, or what nobody annotated beside classes."""
TOP_VALUES = (*FULL_VALUES, 2**15 - 1, 2**31 - 1, 2**32 - 1)
"""The highest values of types, of which many programs mark with one what nobody annotated ("void")."""
MASK_VALUES = (1, *FULL_VALUES)
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
    counts = _pieces_of_values(labels)
    if len(counts) > _FEW and (counts > _SCATTERED).mean() > 0.5:
        raise DataSetError(
            f"most of the {len(counts)} values of the {what} are scattered over many pieces; is it an image? "
            "Give the file in which every cell has one number"
        )


def _pieces_of_values(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return in how many pieces each value of a page (H, W) is; none where most pixels touch equal ones."""
    # In labels, most pixels are beside pixels of the same cell; that is known at once.
    if not 4 * touching(labels) > np.count_nonzero(labels):
        return np.empty(0, np.int64)
    from skimage.measure import label

    parts = label(labels, background=0, connectivity=2)  # type: ignore[no-untyped-call]
    owners = np.zeros(int(parts.max()) + 1, labels.dtype)
    owners[parts.ravel()] = labels.ravel()
    return np.unique(owners[1:], return_counts=True)[1]


def gray_values(mask: NDArray[Any]) -> int:
    """Return how many values a map of any axes has that lie scattered, as in an image; 0 where it is none.

    Where a probability map was saved as whole numbers most pixels may have the lowest or the highest value,
    and only the rims of objects others; so the rims are looked at alone, too. Of 65,536 values many are in
    one pixel only.
    """
    pages = np.atleast_2d(mask)
    for place in np.ndindex(pages.shape[:-2]):
        page = pages[place]
        highest = page.max()
        rims = np.where(page == highest, 0, page)
        if highest <= _MOST_CLASSES or not rims.any():
            continue
        for seen in (page, rims):
            counts = _pieces_of_values(seen)
            tiny = _SCATTERED * counts.sum() > np.count_nonzero(seen)
            if len(counts) > _FEW and (tiny or (counts > _SCATTERED).mean() > 0.5):
                return len(counts)
    return 0


def far_value(mask: NDArray[Any]) -> int | None:
    """Return the highest value where it is 255 or 65535, far above others: perhaps not annotated."""
    highest = int(mask.max())
    if highest not in FULL_VALUES:
        return None
    next_ = int(np.max(mask, initial=0, where=mask != highest))
    return highest if 0 < 2 * next_ < highest else None


def in_pieces(labels: NDArray[Any]) -> bool:
    """Whether what is not 0 is in several pieces, which do not even touch at corners."""
    return bool(ndimage.label(labels != 0, np.ones((3, 3)))[1] > 1)


def touching(labels: NDArray[Any]) -> int:
    """Return how many pixels of (H, W) differ from the next in row or column, where neither is 0."""
    found = 0
    for one, next_ in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        found += int(((one != next_) & (one != 0) & (next_ != 0)).sum())
    return found
