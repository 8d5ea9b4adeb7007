"""The Rand score after thinning (V_rand); needs numba."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from unet2015.metrics.components import each_table
from unet2015.metrics.rand import RandScore, mean_rand, pair_counts
from unet2015.metrics.thinning import thin
from unet2015.metrics.thresholds import ELEVEN, Measure, Progress, checked_thresholds


def v_rand(
    labels: ArrayLike,
    proposal: ArrayLike,
    *,
    thresholds: Sequence[float] = ELEVEN,
    progress: Progress | None = None,
) -> Measure[RandScore]:
    """Rand score after thinning (V_rand) of the ISBI 2012 challenge's later leaderboard.

    As `rand_error`, but the proposal's objects are grown by a watershed until dams of one pixel are
    left between them (`unet2015.metrics.thin`); the truth is not thinned.

    Parameters
    ----------
    labels, proposal, thresholds, progress
        As for `unet2015.metrics.pixel_error`.

    Returns
    -------
    Measure
        ``value`` is the F-score of the slices, averaged over them, at the best threshold; a slice
        without labelled interior adds 0. In the rows, ``precision`` and ``recall`` come from the sums over
        the slices, so ``fscore`` is not their harmonic mean.

    Raises
    ------
    DataSetError, ImageValueError, LabelError
        See `unet2015.metrics.thresholds.read_stack`.

    References
    ----------
    Arganda-Carreras et al., Front. Neuroanat. 9:142 (2015), doi:10.3389/fnana.2015.00142.
    """
    thresholds = checked_thresholds(thresholds)
    return mean_rand(each_table(labels, proposal, thresholds, thin, pair_counts, progress), thresholds)
