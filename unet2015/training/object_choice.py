"""What counts as an object of a model: chosen by how well it finds the objects of the held-out pages."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from unet2015.networks import Network
from unet2015.settings.objects import MarkerSettings, ObjectSettings
from unet2015.tiling.predictor import Predictor
from unet2015.training.object_maps import ObjectMap, counts_of, map_of, used_threshold
from unet2015.training.pages import TrainingPage
from unet2015.training.thresholds import best_window, middle_of_best, with_cells

MOST_PAGES = 4
"""Most pages on which settings are compared, spread evenly over those with objects."""
LEAST_GAIN = 0.005
"""Panoptic quality that a setting must win over the simpler one."""
SAME = 0.01
"""Qualities nearer to the best than this count as equal to it."""
_SMALLEST = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Objects smaller than these shares of a small true object (the 5th percentile) may be left out."""
FEW_OBJECTS = 10
"""Of fewer true objects the smallest says little of how small others may be: the least size is then the
lowest one that is as good, not the middle of those."""
_LEVELS, _BLURS = (0.6, 0.8, 0.9), (1.0, 2.0, 4.0)
_THRESHOLDS, _CENTRES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8), (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Levels and blurs of markers, and thresholds; all are tried together. Where markers divide what touches, a
lower threshold, which gives whole cells, joins them no longer."""
_ROUNDS = 2
"""How often sizes and divisions are tried in turn: where all cells are joined at first, leaving out specks
wins nothing until they are divided."""


def choose_objects(
    network: Network,
    pages: Sequence[TrainingPage],
    threshold: float,
    device: torch.device,
    tile: int,
    most: int = MOST_PAGES,
) -> tuple[ObjectSettings, dict[str, Any]] | None:
    """Return the settings of objects with the best panoptic quality, and what was measured.

    Small objects are left out or not, objects that touch are divided or not, the threshold is the model's or
    another, holes are filled or not, corners join pixels or not: one after the other, each only if it wins
    `LEAST_GAIN`. So what makes no difference stays as in the paper. Objects at the border are never left out:
    tried, it won a little on two pages of DIC-HeLa and lost on the frames of another film
    (``docs/objects.md``).

    Parameters
    ----------
    network : Network
        Trained, two classes.
    pages : sequence of TrainingPage
        The held-out pages. True objects are their cells as they were labelled. Where labels number none, as
        masks do, they are the 4-connected parts of class 1, without crumbs. At most `most` pages are used, in
        windows of at most 1024 px.
    threshold : float
        The model's.
    device : torch.device
        Device that computes.
    tile : int
        Side of the tiles, in pixels.
    most : int
        Most pages that are compared, spread evenly over those with objects.

    Returns
    -------
    settings : ObjectSettings
    measured : dict
        ``panoptic_quality`` with these settings, ``plain`` with the defaults, ``pages``, and how many
        objects are ``true``, how many are made (``called``), and how many of both are ``matched``.
        None in place of both if no page has objects, or the network's output is not finite.
    """
    predict, maps = Predictor(network, device), list[ObjectMap]()
    for page in with_cells(pages, most):
        one = map_of(predict, network, best_window(page, network.geometry.factor), tile)
        if one is None:
            return None
        maps.append(one)
    if not maps:
        return None
    search = _Search(maps, threshold)
    plain = search.quality
    search.run()
    measured = {"panoptic_quality": round(search.quality, 6), "plain": round(plain, 6), "pages": len(maps)}
    return search.best, measured | search.counts()


class _Search:
    """Settings that are tried one after the other, beginning with the defaults.

    Attributes
    ----------
    best : ObjectSettings
        The best so far.
    quality : float
        Their panoptic quality.
    """

    def __init__(self, maps: Sequence[ObjectMap], threshold: float) -> None:
        self._maps, self._threshold = maps, threshold
        self._known: dict[ObjectSettings, float] = {}
        self.best = ObjectSettings()
        self.quality = self._quality(self.best)
        areas = np.concatenate([np.bincount(one.truth.ravel())[1:] for one in maps])
        self._areas = areas[areas > 0]

    def run(self) -> None:
        """Try all there is."""
        small = float(np.percentile(self._areas, 5))
        sizes = sorted({max(2, round(share * small)) for share in _SMALLEST})
        for _ in range(_ROUNDS):
            sized = self._try([{"smallest": size} for size in sizes])
            divided = self._try(self._divisions())
            if not (sized or divided):
                break
        if self.best.threshold is not None or self.best.markers is not None:
            self._centre("threshold", list(_CENTRES))
        if self.best.smallest:
            self._centre("smallest", sizes, lowest=len(self._areas) < FEW_OBJECTS)
        self._try([{"fill_holes": False}])
        self._try([{"connectivity": 2}])

    def counts(self) -> dict[str, int]:
        """Return how many objects are true, made, and both, with the best settings."""
        found = counts_of(self._maps, self._threshold, self.best)
        return {"true": found.tp + found.fn, "called": found.tp + found.fp, "matched": found.tp}

    def _divisions(self) -> list[dict[str, Any]]:
        """Return thresholds with and without markers; the model's own threshold is None."""
        thresholds = [None, *_THRESHOLDS]
        return [
            *({"threshold": threshold} for threshold in _THRESHOLDS),
            *(
                {"threshold": threshold, "markers": MarkerSettings(level=level, blur=blur)}
                for threshold in thresholds
                for level in _LEVELS
                for blur in _BLURS
                if level > (self._threshold if threshold is None else threshold)
            ),
        ]

    def _try(self, changes: Sequence[dict[str, Any]]) -> bool:
        """Make the best of some changes, if it wins enough; return whether it does."""
        others = [self.best.model_copy(update=change) for change in changes]
        scores = [self._quality(one) for one in others]
        chosen = int(np.argmax(scores))
        if scores[chosen] < self.quality + LEAST_GAIN:
            return False
        self.best, self.quality = others[chosen], scores[chosen]
        return True

    def _centre(self, name: str, values: Sequence[float], *, lowest: bool = False) -> None:
        """Move a setting into the middle of the values around it that are as good, given in rising order.

        Or, if wanted, to the lowest of all that are as good.
        """
        others = [self.best.model_copy(update={name: value}) for value in values]
        scores = np.array([self._quality(one) for one in others])
        middle = int(np.argmax(scores >= scores.max() - SAME)) if lowest else middle_of_best(scores, SAME)
        self.best, self.quality = others[middle], float(scores[middle])

    def _quality(self, settings: ObjectSettings) -> float:
        """Return the panoptic quality; a later round asks for much that an earlier one has measured."""
        threshold = used_threshold(settings, self._threshold)
        key = settings.model_copy(update={"threshold": threshold})
        if key not in self._known:
            self._known[key] = _quality(self._maps, threshold, settings)
        return self._known[key]


def _quality(maps: Sequence[ObjectMap], threshold: float, settings: ObjectSettings) -> float:
    return counts_of(maps, threshold, settings).panoptic_quality
