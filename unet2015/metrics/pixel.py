"""Pixel error: 1 - the best F-score of the interior pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unet2015.metrics.contingency import f_score
from unet2015.metrics.thresholds import (
    ELEVEN,
    Measure,
    Progress,
    checked_thresholds,
    each_slice,
    highest,
    read_stack,
)


@dataclass(frozen=True)
class PixelScore:
    """The pixel error at one threshold; counts are summed over the slices, interior is positive."""

    threshold: float
    value: float
    """1 - F."""
    tp: int
    fp: int
    fn: int
    tn: int
    precision: float
    recall: float
    fscore: float
    difference: float
    """Fraction of pixels that differ."""
    slices: tuple[float, ...]
    """1 - F of each slice by itself."""


def pixel_error(
    labels: ArrayLike,
    proposal: ArrayLike,
    *,
    thresholds: Sequence[float] = ELEVEN,
    progress: Progress | None = None,
) -> Measure[PixelScore]:
    """Pixel error of the ISBI 2012 challenge.

    Parameters
    ----------
    labels : (slices, height, width) or (height, width) array of whole numbers
        Above 0 is cell interior.
    proposal : float array of the same shape, in [0, 1]
        High is interior; interior is what is strictly above a threshold.
    thresholds : sequence of float
        Rising.
    progress : callable, optional
        Called with (slices done, slices).

    Returns
    -------
    Measure
        ``value`` is 1 - max F over the thresholds, one threshold for the stack.

    Raises
    ------
    DataSetError, ImageValueError, LabelError
        See `unet2015.metrics.thresholds.read_stack`.

    References
    ----------
    Arganda-Carreras et al., Crowdsourcing the creation of image segmentation algorithms for
    connectomics, Front. Neuroanat. 9:142 (2015), doi:10.3389/fnana.2015.00142.
    """
    thresholds, stack = checked_thresholds(thresholds), read_stack(labels, proposal)

    def count(interior: NDArray[np.bool_], values: NDArray[np.float32]) -> list[tuple[int, int, int]]:
        # A float32 array compared with a Python float would round the threshold to float32.
        wide = values.astype(np.float64)
        found = [wide > threshold for threshold in thresholds]
        positive = int(interior.sum())
        hits = [int((f & interior).sum()) for f in found]
        return [(tp, int(f.sum()) - tp, positive - tp) for tp, f in zip(hits, found, strict=True)]

    counts = np.array(each_slice(count, stack, progress), dtype=np.int64)  # (slices, thresholds, 3)
    rows = tuple(
        _score(threshold, counts[:, k].tolist(), stack.interior.size)
        for k, threshold in enumerate(thresholds)
    )
    best, chosen = highest(rows, lambda row: row.fscore)
    return Measure(1 - best, chosen, rows)


def _score(threshold: float, counts: list[list[int]], pixels: int) -> PixelScore:
    tp, fp, fn = (sum(column) for column in zip(*counts, strict=True))
    precision, recall, fscore = f_score(tp, fp, fn)
    slices = tuple(1 - f_score(*page)[2] for page in counts)
    tn = pixels - tp - fp - fn
    return PixelScore(
        threshold, 1 - fscore, tp, fp, fn, tn, precision, recall, fscore, (fp + fn) / pixels, slices
    )
