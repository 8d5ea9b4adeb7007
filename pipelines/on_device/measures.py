"""What maps of 8 bit are worth, measured in other processes while the device goes on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.cells.objects import by_threshold
from pipelines.cells.settings import CellSettings

OBJECTS = CellSettings(smallest=100)
"""How objects are made of maps."""


def measure_em(truth: NDArray[Any], levels: NDArray[np.uint8]) -> dict[str, float]:
    """Return the EM measures but warping, best over thresholds, of maps of 0 to 255."""
    from unet2015.metrics import pixel_error, rand_error, thinned_scores

    found = levels.astype(np.float32) / 255
    v_rand, v_info = thinned_scores(truth, found)
    return {
        "pixel_error": pixel_error(truth, found).value,
        "rand_error": rand_error(truth, found).value,
        "v_rand": v_rand.value,
        "v_info": v_info.value,
    }


def measure_cells(truth: NDArray[Any], levels: NDArray[np.uint8]) -> dict[str, float]:
    """Return SEG at 0.5 and at the best of nine thresholds, of maps of 0 to 255."""
    scores = by_threshold(list(truth), levels.astype(np.float32) / np.float32(255), OBJECTS)
    return {"seg": scores[0.5], "seg_best": max(scores.values())}


def auc(truth: NDArray[Any], levels: NDArray[np.uint8]) -> float:
    """Return the area under the ROC curve of maps of 0 to 255 against truth above 0."""
    inside, outside = (np.bincount(levels[mask].ravel(), minlength=256) for mask in (truth > 0, truth == 0))
    below = np.cumsum(outside) - outside
    pairs = inside.sum() * outside.sum()
    return float((inside * (below + outside / 2)).sum() / pairs) if pairs else float("nan")


def measure(kind: str, truth: NDArray[Any], levels: NDArray[np.uint8]) -> dict[str, float]:
    """Return the measures of a split's maps; runs in a process of its own."""
    found = measure_em(truth, levels) if kind == "em" else measure_cells(truth, levels)
    return found | {"auc": auc(truth, levels)}
