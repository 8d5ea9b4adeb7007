"""What the EM experiment measures: thresholds from the training part, and the best over thresholds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.experiment import FOLDS
from unet2015.metrics.em import EMScores, evaluate_em

SLICES = 30
MEASURES = ("warping_error", "rand_error", "pixel_error", "v_rand", "v_info")
"""In the order of the paper's Table 1, then the server's later measures."""
Values = dict[str, float]


def held_out(fold: int) -> list[int]:
    """Return the slices of a fold: neighbours, because neighbours look alike."""
    size = SLICES // FOLDS
    return list(range(fold * size, (fold + 1) * size))


def trained_on(fold: int) -> list[int]:
    """Return the slices that are not in a fold."""
    return [page for page in range(SLICES) if page not in held_out(fold)]


def measure_fold(
    truth: NDArray[Any],
    probability: NDArray[np.float32],
    training_truth: NDArray[Any],
    training_probability: NDArray[np.float32],
) -> dict[str, Any]:
    """Measure held-out slices at the thresholds of the training slices and at their own best.

    Parameters
    ----------
    truth, training_truth : ndarray, shape (slices, height, width)
        Labels; above 0 is cell interior.
    probability, training_probability : ndarray of float32, of the same shape
        Probability of cell interior.

    Returns
    -------
    dict
        ``at_training_threshold`` and ``best_over_thresholds``: the measures; ``training``: the measures
        of the training slices; ``thresholds``: both kinds; ``per_slice``: each held-out slice's measures.
    """
    return compare(evaluate_em(truth, probability), evaluate_em(training_truth, training_probability))


def compare(scores: EMScores, training: EMScores) -> dict[str, Any]:
    """Return what `measure_fold` returns, of scores: those of held-out slices and of training slices."""
    return {
        "at_training_threshold": {name: value_at(scores, training, name) for name in MEASURES},
        "best_over_thresholds": values(scores),
        "training": values(training),
        "thresholds": {
            "of_training": {name: getattr(training, name).best.threshold for name in MEASURES},
            "best": {name: getattr(scores, name).best.threshold for name in MEASURES},
        },
        "per_slice": scores.per_slice(),
    }


def values(scores: EMScores) -> Values:
    """Return the measures, each at its best threshold."""
    assert scores.measures.keys() == set(MEASURES)
    return {name: getattr(scores, name).value for name in MEASURES}


def value_at(scores: EMScores, chosen_on: EMScores, name: str) -> float:
    """Return one measure of a stack at the threshold that is the best of another."""
    threshold = getattr(chosen_on, name).best.threshold
    return float(next(row.value for row in getattr(scores, name).by_threshold if row.threshold == threshold))


def mean(parts: Sequence[Mapping[str, float]]) -> Values:
    """Return the mean of each measure over folds."""
    return {name: float(np.mean([part[name] for part in parts])) for name in MEASURES}


_TABLE_1 = {
    "human values": (0.000005, 0.0021, 0.0010),
    "u-net": (0.000353, 0.0382, 0.0611),
    "DIVE-SCI": (0.000355, 0.0305, 0.0584),
    "IDSIA": (0.000420, 0.0504, 0.0613),
    "DIVE": (0.000430, 0.0545, 0.0582),
    "IDSIA-SCI": (0.000653, 0.0189, 0.1027),
}
PAPER: dict[str, Values] = {
    **{f"{name} (paper, Table 1)": dict(zip(MEASURES, row, strict=False)) for name, row in _TABLE_1.items()},
    "u-net (the challenge's server, later measures)": {"v_rand": 0.97276, "v_info": 0.98662},
    "best listed since (SFCNNs)": {"v_rand": 0.98680, "v_info": 0.99144},
}
"""Rows on the hidden test set, for comparison: other images than ours."""

DESCRIPTION: dict[str, Any] = {
    "summary": "cell interior against membrane in serial section TEM of neural tissue",
    "modality": "serial section transmission electron microscopy, 8 bit, membranes dark",
    "pixel_size_nm": 4.0,
    "citation": (
        "Ronneberger, Fischer, Brox 2015, doi:10.1007/978-3-319-24574-4_28 (network); "
        "Cardona et al. 2010, doi:10.1371/journal.pbio.1000502 (training data, ISBI 2012 challenge)"
    ),
    "terms": (
        "MIT licence for the weights; the training data are free for making and testing non-commercial "
        "segmentation software, with citation, so use it for that"
    ),
}
"""What the shipped model says of itself."""


def twin(measures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model of all slices says of itself: how one of the same settings did on slices unseen."""
    averages = [key for key in measures if key not in ("slices", "training")]
    return {
        "what": "a training with the same settings that did not see these slices, measured on them",
        "slices": measures["slices"],
        **{average: measures[average]["at_training_threshold"] for average in averages},
    }
