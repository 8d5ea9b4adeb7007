"""The Rand error of the challenge, and the code that V_rand shares with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from unet2015.metrics.components import components, each_table
from unet2015.metrics.contingency import Contingency, f_score
from unet2015.metrics.thresholds import ELEVEN, Measure, Progress, checked_thresholds, highest

Pairs = tuple[float, float, float, float]


@dataclass(frozen=True)
class RandScore:
    """A Rand measure at one threshold; pair counts are summed over the slices."""

    threshold: float
    value: float
    """Rand error: 1 - F of the sums. V_rand: the mean of the slices' F."""
    tp: float
    fp: float
    fn: float
    tn: float
    precision: float
    recall: float
    fscore: float
    rand_index: float
    """Fraction of pairs judged alike, averaged over the slices."""
    slices: tuple[float, ...]
    """The measure of each slice by itself."""


def rand_error(
    labels: ArrayLike,
    proposal: ArrayLike,
    *,
    thresholds: Sequence[float] = ELEVEN,
    progress: Progress | None = None,
) -> Measure[RandScore]:
    """Foreground-restricted Rand error of the ISBI 2012 challenge.

    Pairs of interior pixels of the ground truth are counted, slice by slice: in one object in both images
    (tp), only in the proposal (fp), only in the truth (fn). A pixel that is membrane in the proposal counts
    as an object of one pixel. Objects are 4-connected components.

    Parameters
    ----------
    labels, proposal, thresholds, progress
        As for `unet2015.metrics.pixel_error`.

    Returns
    -------
    Measure
        ``value`` is 1 - max F over the thresholds, from the sums over the slices. A slice without
        any labelled interior makes the sums NaN and the error of the whole stack 1, as in the
        challenge's code.

    Raises
    ------
    DataSetError, ImageValueError, LabelError
        See `unet2015.metrics.thresholds.read_stack`.

    Notes
    -----
    ``skimage.metrics.adapted_rand_error`` is a different measure: there the proposal's background is one
    ordinary segment, the pair of a pixel with itself does not count, precision and recall are exchanged,
    there are no thresholds, and the result is NaN without ground truth.
    Pair counts here are whole numbers; the challenge's code squares fractions and multiplies
    back, so that its counts carry rounding errors (relative size 1e-15).

    References
    ----------
    Rand, J. Am. Stat. Assoc. 66, 846 (1971), doi:10.1080/01621459.1971.10482356.
    Arganda-Carreras et al., Front. Neuroanat. 9:142 (2015), doi:10.3389/fnana.2015.00142.
    """
    thresholds = checked_thresholds(thresholds)
    slices = each_table(labels, proposal, thresholds, components, pair_counts, progress)
    rows = _rand_rows(slices, thresholds)
    errors = tuple(
        replace(row, value=1 - row.fscore, slices=tuple(1 - score for score in row.slices)) for row in rows
    )
    best, chosen = highest(errors, lambda row: row.fscore)
    return Measure(1 - best, chosen, errors)


def mean_rand(slices: Sequence[Sequence[Pairs]], thresholds: Sequence[float]) -> Measure[RandScore]:
    """V_rand from the pair counts of each slice at each threshold."""
    means = [(row, float(np.mean(row.slices))) for row in _rand_rows(slices, thresholds)]
    rows = tuple(replace(row, value=mean, fscore=mean) for row, mean in means)
    return Measure(*highest(rows, lambda row: row.value), rows)


def pair_counts(table: Contingency) -> Pairs:
    """Ordered pairs (tp, fp, fn, tn) of one slice, each pixel with itself included.

    NaN if the truth has no interior: the challenge's code divides by its size.
    """
    pixels = float(table.pixels.sum())
    if pixels == 0:
        return np.nan, np.nan, np.nan, np.nan
    # n pixels with the same labels make n^2 ordered pairs, each pixel with itself included. Pairs together in
    # neither image: all pairs, less those of the proposal and of the truth, plus those of both.
    inside = table.prediction > 0
    alone = float(table.pixels[~inside].sum())  # each its own object
    both = float((table.pixels[inside] ** 2).sum()) + alone
    proposal = float((table.prediction_sizes()[1:] ** 2).sum()) + alone
    truth = float((table.truth_sizes() ** 2).sum())
    return both, proposal - both, truth - both, pixels**2 - proposal - truth + both


def _rand_rows(slices: Sequence[Sequence[Pairs]], thresholds: Sequence[float]) -> list[RandScore]:
    counts = np.array(slices)  # (slices, thresholds, 4)
    rows = []
    for k, threshold in enumerate(thresholds):
        pages = counts[:, k]
        tp, fp, fn, tn = pages.sum(axis=0).tolist()
        precision, recall, fscore = f_score(tp, fp, fn)
        scores = tuple(f_score(*page)[2] for page in pages[:, :3].tolist())
        alike = float(((pages[:, 0] + pages[:, 3]) / pages.sum(axis=1)).mean())
        rows.append(RandScore(threshold, fscore, tp, fp, fn, tn, precision, recall, fscore, alike, scores))
    return rows
