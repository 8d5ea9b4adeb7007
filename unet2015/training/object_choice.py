"""What counts as an object of a model: chosen by how well it finds the objects of the held-out pages."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import label

from unet2015.metrics.objects import match_objects
from unet2015.networks import Network
from unet2015.objects.instances import label_page
from unet2015.settings.objects import MarkerSettings, ObjectSettings
from unet2015.tiling.predictor import Predictor
from unet2015.training.pages import TrainingPage
from unet2015.training.thresholds import best_window
from unet2015.training.validation import segment_page

MOST_PAGES = 4
"""Most pages on which settings are compared, spread evenly over those with objects."""
LEAST_GAIN = 0.005
"""Panoptic quality that a setting must win over the simpler one."""
_SMALLEST = (0.1, 0.25, 0.5)
"""Objects smaller than these shares of a small true object (the 5th percentile) may be left out."""
_LEVELS, _BLURS = (0.6, 0.8, 0.9), (1.0, 2.0, 4.0)

Map = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Probabilities and true instance labels of a page; 0 in both where it is not annotated."""


def choose_objects(
    network: Network,
    pages: Sequence[TrainingPage],
    threshold: float,
    device: torch.device,
    tile: int,
) -> tuple[ObjectSettings, dict[str, Any]] | None:
    """Return the settings of objects with the best panoptic quality, and what was measured.

    Holes are filled or not, small objects left out or not, corners join pixels or not, objects that touch
    are divided or not: one after the other, and each only if it wins `LEAST_GAIN`. So what makes no
    difference stays as in the paper. The threshold stays the model's.

    Parameters
    ----------
    network : Network
        Trained, two classes.
    pages : sequence of TrainingPage
        The held-out pages. True objects are the 4-connected parts of class 1, between which labels have a
        border. At most `MOST_PAGES` are used, in windows of at most 1024 px.
    threshold : float
        The model's.
    device : torch.device
        Device that computes.
    tile : int
        Side of the tiles, in pixels.

    Returns
    -------
    settings : ObjectSettings
    measured : dict
        ``panoptic_quality`` with these settings, ``plain`` with the defaults, and ``pages``.
        None in place of both if no page has objects, or the network's output is not finite.
    """
    maps = list(_maps(network, pages, device, tile))
    if not maps or not all(np.isfinite(values).all() for values, _ in maps):
        return None
    best = ObjectSettings()
    plain = quality = _quality(maps, threshold, best)
    for candidates in _steps(maps):
        scores = [_quality(maps, threshold, best.model_copy(update=one)) for one in candidates]
        chosen = int(np.argmax(scores))
        if scores[chosen] >= quality + LEAST_GAIN:
            best, quality = best.model_copy(update=candidates[chosen]), scores[chosen]
    measured = {"panoptic_quality": round(quality, 6), "plain": round(plain, 6), "pages": len(maps)}
    return best, measured


def _steps(maps: Sequence[Map]) -> Iterator[list[dict[str, Any]]]:
    """Yield what is tried, one step after the other."""
    areas = np.concatenate([np.bincount(truth.ravel())[1:] for _, truth in maps])
    small = float(np.percentile(areas, 5))
    yield [{"smallest": size} for size in dict.fromkeys(max(2, round(share * small)) for share in _SMALLEST)]
    yield [{"fill_holes": False}]
    yield [{"connectivity": 2}]
    yield [{"markers": MarkerSettings(level=level, blur=blur)} for level in _LEVELS for blur in _BLURS]


def _quality(maps: Sequence[Map], threshold: float, settings: ObjectSettings) -> float:
    counts = [match_objects(truth, label_page(values, threshold, settings)) for values, truth in maps]
    true = sum(one.tp + one.fn for one in counts)
    found = sum(one.tp + one.fp for one in counts)
    shared = sum(pair.iou for one in counts for pair in one.pairs)
    return 2 * shared / (true + found)


def _maps(network: Network, pages: Sequence[TrainingPage], device: torch.device, tile: int) -> Iterator[Map]:
    with_objects = [page for page in pages if (page.classes == 1).any()]
    if len(with_objects) > MOST_PAGES:
        chosen = np.linspace(0, len(with_objects) - 1, MOST_PAGES).astype(int)
        with_objects = [with_objects[k] for k in chosen]
    predict = Predictor(network, device)
    for page in with_objects:
        source, classes = best_window(page, network.geometry.factor)
        values = segment_page(predict, network, source, classes.shape, tile)[1].astype(np.float32)
        values[classes == 255] = 0
        truth = label(classes == 1, connectivity=1)  # type: ignore[no-untyped-call]
        yield values, cast(NDArray[np.int64], truth)
