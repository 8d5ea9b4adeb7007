"""Class map and probability map from probabilities; pure functions of arrays."""

import numpy as np
from numpy.typing import NDArray


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
    if threshold is None:
        classes: NDArray[np.uint8] = probabilities.argmax(axis=0).astype(np.uint8)
        return classes
    # The threshold is rounded to float32, as the probabilities are.
    above: NDArray[np.uint8] = (probabilities[1] > np.float32(threshold)).astype(np.uint8)
    return above


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
