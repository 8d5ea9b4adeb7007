"""The measures of the paper's Table 1, of the maps of EM slices."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.em.measures import compare, rows_of
from pipelines.on_device.sets import Arrays
from pipelines.one_gpu_measures.maps import Maps
from unet2015.metrics.em import evaluate_em


def measure_em(arrays: Arrays, trainings: Sequence[Maps]) -> dict[str, Any]:
    """Return the measures of each fold and of all together, as :mod:`pipelines.isbi2012` has them.

    The trainings are of one seed.
    """
    truth = arrays["em/labels"]
    folds: dict[str, dict[str, Any]] = {}
    for maps in trainings:
        assert maps.train is not None
        (_, held), (_, trained) = maps.split.test, maps.split.train
        training = evaluate_em(truth[trained], maps.train)  # once for all ways of averaging
        folds[maps.split.name] = {"slices": held} | {
            average: compare(evaluate_em(truth[held], found), training)
            for average, found in maps.test.items()
        }
    rows = {}
    for average in dict.fromkeys(average for maps in trainings for average in maps.test):
        mine = [maps for maps in trainings if average in maps.test]
        found = [folds[maps.split.name][average] for maps in mine]
        together = evaluate_em(
            np.concatenate([truth[maps.split.test[1]] for maps in mine]),
            np.concatenate([maps.test[average] for maps in mine]),
        )
        rows[average] = {"folds": [maps.split.name for maps in mine], **rows_of(found, together)}
    return {"seed": trainings[0].seed, "folds": folds, "rows": rows}
