"""How often each pair of labels of two images meets: the sparse table behind every object measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.arguments import whole_numbers
from unet2015.errors import DataSetError, LabelError
from unet2015.images.axes import may_be_channels_last

_PAIRS_A_PIXEL = 8
_MOST_PAIRS = 2**24
"""With more possible pairs of labels than this, a table of all pairs would cost more than sorting."""


@dataclass(frozen=True)
class Contingency:
    """The cells of a contingency table that hold pixels.

    Attributes
    ----------
    truth, prediction : (K,) int64 arrays
        The pair of labels of each cell; no pair comes twice.
    pixels : (K,) float64 array
        Pixels with that pair: whole numbers, so that sums and squares are exact (below 2**53).
    """

    truth: NDArray[np.int64]
    prediction: NDArray[np.int64]
    pixels: NDArray[np.float64]

    def truth_sizes(self) -> NDArray[np.float64]:
        """Pixels of every truth label, indexed by label."""
        return np.bincount(self.truth, self.pixels).astype(np.float64)

    def prediction_sizes(self) -> NDArray[np.float64]:
        """Pixels of every predicted label, indexed by label."""
        return np.bincount(self.prediction, self.pixels).astype(np.float64)


def contingency_table(truth: NDArray[np.integer], prediction: NDArray[np.integer]) -> Contingency:
    """Count the pixels of each pair of labels.

    Parameters
    ----------
    truth, prediction : int arrays of one shape
        Labels from 0 on. Here 0 is a label like any other; each measure has its own rule for it.

    Returns
    -------
    Contingency
        Only the cells that hold pixels.

    Raises
    ------
    DataSetError
        When the shapes differ.
    LabelError
        When labels are not whole numbers from 0 on.

    Notes
    -----
    Equal to scikit-image's ``contingency_table``, which sorts the pixels. Here they are counted, except if
    there are many more possible pairs than pixels.
    """
    truth, prediction = whole_numbers(truth, "truth"), whole_numbers(prediction, "prediction")
    if truth.shape != prediction.shape:
        raise DataSetError(
            f"truth and prediction must have one shape; truth is {truth.shape}, prediction {prediction.shape}"
        )
    if truth.size == 0:
        none = np.zeros(0, np.int64)
        return Contingency(none, none, np.zeros(0))
    width, height = int(prediction.max()) + 1, int(truth.max()) + 1
    for name, labels, highest in (("truth", truth, height), ("prediction", prediction, width)):
        if labels.dtype.kind != "b" and not 0 <= int(labels.min()) < highest <= 1 << 63:
            raise LabelError(
                f"{name}: expected labels from 0 to 2**63 - 1, got {labels.min()} to {highest - 1}"
            )
    pairs = height * width
    if pairs > np.iinfo(np.int64).max:
        # One number for a pair would overflow: replace the labels by their ranks first.
        (rows, i), (columns, j) = (np.unique(a, return_inverse=True) for a in (truth, prediction))
        table = contingency_table(i, j)
        return Contingency(
            rows[table.truth].astype(np.int64), columns[table.prediction].astype(np.int64), table.pixels
        )
    # A pair as one number, truth * width + prediction; np.divmod takes it apart again.
    numbers = truth.ravel().astype(np.int64)
    numbers *= width
    numbers += prediction.ravel().astype(np.int64, copy=False)
    if pairs <= min(_PAIRS_A_PIXEL * numbers.size, _MOST_PAIRS):
        counts = np.bincount(numbers)
        found = np.flatnonzero(counts)
        counts = counts[found]
    else:
        found, counts = np.unique(numbers, return_counts=True)
    return Contingency(*np.divmod(found, width), counts.astype(np.float64))


def check_pixels(array: NDArray[Any]) -> None:
    """Raise `DataSetError` if there is nothing to measure."""
    if array.size == 0:
        raise DataSetError(f"truth and prediction need at least one pixel, but their shape is {array.shape}")


def check_pages(array: NDArray[Any], name: str = "truth") -> None:
    """Raise `DataSetError` if pages may be an image with channels last, by the rule of `unet2015.segment`."""
    if may_be_channels_last(array.shape):
        raise DataSetError(
            f"{name}: an array of shape {array.shape} may be pages or channels last; where all channels "
            f"are alike, give one, such as {name}[..., 0]; where colours tell cells apart, number them; "
            f"give pages of {array.shape[-1]} columns one by one"
        )


def f_score(tp: float, fp: float, fn: float) -> tuple[float, float, float]:
    """Precision, recall and F-score, with the challenge's conventions if there is nothing to count.

    Precision is 1 when there are no false positives, recall 1 when there are no false negatives
    (also when there are no true positives), and the F-score is 0 where it is not defined, NaN
    included.
    """
    precision = 1.0 if fp == 0 else tp / (tp + fp)
    recall = 1.0 if fn == 0 else tp / (tp + fn)
    return precision, recall, harmonic_mean(precision, recall)


def harmonic_mean(precision: float, recall: float) -> float:
    """2 p r / (p + r), or 0 where p + r is not above 0 (NaN included)."""
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
