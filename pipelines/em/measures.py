"""What the EM experiment measures: thresholds from the training part, and the best over thresholds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.base.paper import MEASURES
from pipelines.em.em_files import EMFiles
from unet2015.images.reader import read_pages
from unet2015.metrics.em import EMScores, evaluate_em

Values = dict[str, float]


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


def measure_files(files: EMFiles, name: str, average: str) -> dict[str, Any]:
    """Return `measure_fold` of the maps that one way of averaging gave of a fold."""
    _, training_truth, _, truth = files.stacks(name)
    held_out, train = (files.probability(name, average, which) for which in ("held-out", "train"))
    return measure_fold(
        read_pages(truth), read_pages(held_out), read_pages(training_truth), read_pages(train)
    )


def table_row(files: EMFiles, folds: Mapping[str, Any], average: str) -> dict[str, Values]:
    """Return what one way of averaging is worth over all folds.

    Parameters
    ----------
    files : EMFiles
        Where the held-out slices and their maps lie.
    folds : mapping
        By name, what was measured of each.
    average : str
        The way.
    """
    truth = np.concatenate([read_pages(files.stacks(name)[3]) for name in folds])
    found = np.concatenate([read_pages(files.probability(name, average, "held-out")) for name in folds])
    return rows_of([fold[average] for fold in folds.values()], evaluate_em(truth, found))


def rows_of(folds: Sequence[Mapping[str, Any]], together: EMScores) -> dict[str, Values]:
    """Return means over folds that were compared, and the best over thresholds of all slices together."""
    return {
        "at_training_threshold": mean([fold["at_training_threshold"] for fold in folds]),
        "best_over_thresholds": values(together),
        "on_training_slices": mean([fold["training"] for fold in folds]),
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
