"""Instance labels whose numbers did not fit the type in which they were saved: some stand for several cells.

Of 300 cells in 8 bits, 256 becomes 0 and 257 becomes 1 again; or all from 255 on become 255.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_TOPS = {255: 8, 65535: 16}
"""Largest number of a type, and the type's bits."""
_USED = 0.8
"""Of all numbers: some cells may have been taken out."""
_LARGE = 10
"""Times the median area is no single cell."""
_FAR = 0.25
"""A single cell fills more of its bounding box; two that are far from each other fill less."""


def run_over(labels: NDArray[Any]) -> str | None:
    """Return a note where the numbers of a page of labels (H, W) seem to have run over, else None."""
    if int(labels.max(initial=0)) not in _TOPS:
        return None
    areas = np.bincount(labels.ravel().astype(np.int64, copy=False))
    numbers = np.flatnonzero(areas[1:]) + 1
    boxes = ndimage.find_objects(labels.astype(np.int64, copy=False))
    sides = [[part.stop - part.start for part in boxes[number - 1]] for number in numbers.tolist()]
    counts = areas[numbers]
    return describe_run_over(numbers, counts, counts / np.prod(sides, axis=1))


def describe_run_over(
    numbers: NDArray[Any], areas: NDArray[Any], filled: NDArray[np.floating[Any]]
) -> str | None:
    """Return a note where the numbers of a page seem to have run over, else None.

    Parameters
    ----------
    numbers, areas : ndarray of int, shape (objects,)
        All of the page, and their pixels.
    filled : ndarray of float, shape (objects,)
        Which part of its bounding box each fills.
    """
    bits = _TOPS.get(int(numbers.max(initial=0)))
    if bits is None or len(numbers) < _USED * (2**bits - 1):
        return None
    several = np.count_nonzero((filled < _FAR) | (areas >= _LARGE * np.median(areas)))
    if not several:
        return None
    return (
        f"the numbers go up to {2**bits - 1}, the largest of {bits} bits, and {several} of {len(numbers)} "
        f"are as of several cells: were there more cells than {bits} bits can number? Then cells are joined "
        "or lost; save the labels with more bits, from the program that numbered the cells"
    )
