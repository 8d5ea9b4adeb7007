"""Class map and probability map from probabilities; pure functions of arrays."""

import numpy as np
from numpy.typing import NDArray

_PIXELS = 2**18
"""Pixels whose classes are found together."""


def class_map(probabilities: NDArray[np.float32], threshold: float | None = None) -> NDArray[np.uint8]:
    """Return the class of each pixel.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (classes, ...)
        Of each class, for each pixel.
    threshold : float, optional
        With two classes: a pixel is of class 1 if its probability of class 1 is greater. Default: the most
        probable class, the first of equal ones.

    Returns
    -------
    ndarray of uint8, shape (...)
    """
    if threshold is not None:
        # The threshold is rounded to float32, as the probabilities are. A bool is a byte, 0 or 1.
        above: NDArray[np.uint8] = (probabilities[1] > np.float32(threshold)).view(np.uint8)
        return above
    if len(probabilities) == 2:  # as `argmax`, for which NaN is the largest, but fifty times as fast
        background, other = probabilities
        greater: NDArray[np.uint8] = (~(other <= background) & (background == background)).view(np.uint8)
        return greater
    classes = np.empty(probabilities.shape[1:], np.uint8)
    rows = max(1, _PIXELS * len(classes) // max(1, classes.size))
    for start in range(0, len(classes), rows):  # as positions have 8 bytes each
        part = slice(start, start + rows)
        classes[part] = probabilities[:, part].argmax(axis=0)
    return classes


def probability_map(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what a probability map holds: with two classes the probability of class 1, else all.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (classes, ...)
        Of each class, for each pixel.

    Returns
    -------
    ndarray of float32
        Shape (...) with two classes, else (classes, ...); a view of the input.
    """
    return probabilities[1] if len(probabilities) == 2 else probabilities
