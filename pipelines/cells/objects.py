"""Objects of probability maps as an experiment's settings make them, and their SEG."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.cells.settings import CellSettings
from unet2015.metrics.seg import SEGScore, seg_score
from unet2015.objects.instances import Markers, label_objects

THRESHOLDS = tuple(step / 10 for step in range(1, 10))


def objects_of(
    maps: NDArray[np.float32], threshold: float, settings: CellSettings, markers: Markers | None = None
) -> NDArray[np.uint16]:
    """Return the objects of each page, (pages, height, width), after the settings' post-processing."""
    return np.stack(
        [
            label_objects(
                page,
                threshold,
                connectivity=settings.connectivity,
                fill_holes=settings.fill_holes,
                smallest=settings.smallest,
                frame=settings.frame,
                markers=markers,
            )
            for page in maps
        ]
    )


def score(
    truth: Sequence[NDArray[Any]],
    maps: NDArray[np.float32],
    threshold: float,
    settings: CellSettings,
    markers: Markers | None = None,
) -> SEGScore:
    """Return SEG of the pages (of `maps` the first ones) at a threshold."""
    found = objects_of(maps[: len(truth)], threshold, settings, markers)
    return seg_score(zip(range(len(truth)), truth, found, strict=True))


def by_threshold(
    truth: Sequence[NDArray[Any]], maps: NDArray[np.float32], settings: CellSettings
) -> dict[float, float]:
    """Return SEG at each of `THRESHOLDS`."""
    return {threshold: score(truth, maps, threshold, settings).value for threshold in THRESHOLDS}


def best(scores: Mapping[float, float]) -> float:
    """Return the threshold with the highest SEG; of equals the lowest."""
    return max(scores, key=lambda threshold: scores[threshold])
