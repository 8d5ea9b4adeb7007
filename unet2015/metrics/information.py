"""The information score after thinning (V_info); needs numba."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from unet2015.metrics.components import each_table
from unet2015.metrics.contingency import Contingency, harmonic_mean
from unet2015.metrics.rand import Pairs, RandScore, mean_rand, pair_counts
from unet2015.metrics.thinning import thin
from unet2015.metrics.thresholds import ELEVEN, Measure, Progress, checked_thresholds, highest


@dataclass(frozen=True)
class InformationScore:
    """V_info at one threshold."""

    threshold: float
    value: float
    """The mean of the slices."""
    slices: tuple[float, ...]


def v_info(
    labels: ArrayLike,
    proposal: ArrayLike,
    *,
    thresholds: Sequence[float] = ELEVEN,
    progress: Progress | None = None,
) -> Measure[InformationScore]:
    """Information theoretic score after thinning (V_info) of the ISBI 2012 challenge.

    With I the mutual information and H the entropies of the labels of the truth's interior pixels:
    the harmonic mean of I / H(truth) and I / H(proposal). The proposal is thinned as for V_rand;
    pixels on dams are objects of their own.

    Parameters
    ----------
    labels, proposal, thresholds, progress
        As for `unet2015.metrics.pixel_error`.

    Returns
    -------
    Measure
        ``value`` is the score averaged over the slices, at the best threshold. If the truth of a slice is
        one object, or its proposal is one region, there is no information to share, and the score is 0 even
        for a perfect slice. A slice without labelled interior adds 0.

    Raises
    ------
    DataSetError, ImageValueError, LabelError
        See `unet2015.metrics.thresholds.read_stack`.

    Notes
    -----
    With a single object, the challenge's code may divide rounding errors and give a score of about 1e-16
    or -1e-16. Here sizes are whole numbers, and the score is exactly 0.

    References
    ----------
    Meila, J. Multivar. Anal. 98, 873 (2007), doi:10.1016/j.jmva.2006.11.013.
    Arganda-Carreras et al., Front. Neuroanat. 9:142 (2015), doi:10.3389/fnana.2015.00142.
    """
    thresholds = checked_thresholds(thresholds)
    slices = each_table(labels, proposal, thresholds, thin, information_score, progress)
    return _mean_information(slices, thresholds)


def thinned_scores(
    labels: ArrayLike,
    proposal: ArrayLike,
    *,
    thresholds: Sequence[float] = ELEVEN,
    progress: Progress | None = None,
) -> tuple[Measure[RandScore], Measure[InformationScore]]:
    """Return `v_rand` and `v_info` together: the proposal is thinned once for both.

    Parameters
    ----------
    labels, proposal, thresholds, progress
        As for `unet2015.metrics.pixel_error`.

    Returns
    -------
    (Measure, Measure)
        What `v_rand` and `v_info` return.

    Raises
    ------
    DataSetError, ImageValueError, LabelError
        See `unet2015.metrics.thresholds.read_stack`.
    """

    def both(table: Contingency) -> tuple[Pairs, float]:
        return pair_counts(table), information_score(table)

    thresholds = checked_thresholds(thresholds)
    slices = each_table(labels, proposal, thresholds, thin, both, progress)
    return (
        mean_rand([[pairs for pairs, _ in page] for page in slices], thresholds),
        _mean_information([[information for _, information in page] for page in slices], thresholds),
    )


def _mean_information(
    slices: Sequence[Sequence[float]], thresholds: Sequence[float]
) -> Measure[InformationScore]:
    columns = zip(thresholds, zip(*slices, strict=True), strict=True)
    rows = tuple(InformationScore(threshold, float(np.mean(page)), page) for threshold, page in columns)
    return Measure(*highest(rows, lambda row: row.value), rows)


def information_score(table: Contingency) -> float:
    """V_info of one slice, from the table over the truth's interior."""
    pixels = table.pixels.sum()
    if pixels == 0:
        return 0.0
    inside = table.prediction > 0
    alone = table.pixels[~inside].sum() / pixels * np.log(pixels)
    truth = _plogp(table.truth_sizes() / pixels)
    prediction = _plogp(table.prediction_sizes()[1:] / pixels) - alone
    joint = _plogp(table.pixels[inside] / pixels) - alone
    if truth == 0 or prediction == 0:
        return 0.0  # one object on either side: the challenge sets precision and recall to 0 and 1
    shared = truth + prediction - joint
    return harmonic_mean(shared / truth, shared / prediction)


def _plogp(p: NDArray[np.float64]) -> float:
    return float(xlogy(p, p).sum())
