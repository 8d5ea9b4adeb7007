"""Probabilities of held-out pages beside their true objects, and how well objects made of them fit."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import label

from unet2015.metrics.object_counts import ObjectCounts, summed
from unet2015.metrics.objects import match_pages
from unet2015.networks import Network
from unet2015.objects.instances import label_page
from unet2015.settings.objects import ObjectSettings
from unet2015.tiling.predictor import Predictor
from unet2015.training.labels import IGNORED
from unet2015.training.pages import TrainingPage
from unet2015.training.validation import segment_page

CELLS, PARTS = "labels", "parts"
"""What true objects are: the numbered cells of the labels; or the connected parts of class 1, where a mask
numbers none."""
OF_PARTS = ", of which the connected parts count as true objects, as the labels number none"
"""What is said beside a measure of `PARTS`."""
_CRUMB = 0.05
"""True parts of a mask smaller than this share of their page's median: crumbs that lines have cut off."""


class ObjectMap(NamedTuple):
    """A page with known objects.

    Attributes
    ----------
    values : ndarray of float32, shape (H, W)
        Probability of class 1.
    truth : ndarray of int, shape (H, W)
        True instance labels.
    annotated : ndarray of bool, shape (H, W), or None
        Where it is known what the pixels are; None for everywhere.
    """

    values: NDArray[np.float32]
    truth: NDArray[np.integer]
    annotated: NDArray[np.bool_] | None

    def counts(self, threshold: float, settings: ObjectSettings) -> ObjectCounts:
        """Match the objects that are made of the probabilities, as `evaluate objects` does."""
        return match_pages(self.truth, label_page(self.values, threshold, settings), annotated=self.annotated)


def map_of(predict: Predictor, network: Network, page: TrainingPage, tile: int) -> ObjectMap | None:
    """Segment a page whole; None if the network's output is not finite."""
    values = segment_page(predict, network, page.source, page.classes.shape, tile)[1].astype(np.float32)
    if not np.isfinite(values).all():
        return None
    annotated = page.classes != IGNORED
    known = None if annotated.all() else annotated
    if page.cells is not None:
        return ObjectMap(values, page.cells, known)
    truth = cast(NDArray[np.int64], label(page.classes == 1, connectivity=1))  # type: ignore[no-untyped-call]
    crumbs = _crumbs(truth)
    values[crumbs] = 0
    return ObjectMap(values, np.where(crumbs, 0, truth), known)


def truth_of(pages: Sequence[TrainingPage]) -> str:
    """Return what the true objects of pages are: `CELLS` or `PARTS`."""
    return PARTS if any(page.cells is None for page in pages) else CELLS


def used_threshold(settings: ObjectSettings, threshold: float) -> float:
    """Return the threshold of the settings, or that of the model."""
    return threshold if settings.threshold is None else settings.threshold


def counts_of(maps: Iterable[ObjectMap], threshold: float, settings: ObjectSettings) -> ObjectCounts:
    """Return the counts over all pages; `threshold` is the model's."""
    used = used_threshold(settings, threshold)
    return summed([one.counts(used, settings) for one in maps])


def measure_objects(
    network: Network,
    pages: Sequence[TrainingPage],
    threshold: float,
    settings: ObjectSettings,
    device: torch.device,
    tile: int,
) -> dict[str, Any] | None:
    """Measure objects on whole pages, as `evaluate objects` does on the labels that `segment` makes of them.

    Parameters
    ----------
    network : Network
        Trained, two classes.
    pages : sequence of TrainingPage
        All held-out pages; one is in memory at a time.
    threshold : float
        The model's.
    settings : ObjectSettings
        What counts as an object.
    device : torch.device
        Device that computes.
    tile : int
        Side of the tiles, in pixels.

    Returns
    -------
    dict or None
        ``panoptic_quality`` with these settings, ``plain`` with the defaults, ``pages``, how many objects are
        ``true``, how many are made (``called``), how many of both are ``matched``, and what the true ones are
        (``truth``: `CELLS` or `PARTS`). None if the network's output is not finite.
    """
    predict, chosen, plain = Predictor(network, device), list[ObjectCounts](), list[ObjectCounts]()
    for page in pages:
        one = map_of(predict, network, page, tile)
        if one is None:
            return None
        chosen.append(counts_of([one], threshold, settings))
        plain.append(
            chosen[-1] if settings == ObjectSettings() else counts_of([one], threshold, ObjectSettings())
        )
    counts = summed(chosen)
    return {
        "panoptic_quality": round(counts.panoptic_quality, 6),
        "plain": round(summed(plain).panoptic_quality, 6),
        "pages": len(pages),
        "true": counts.tp + counts.fn,
        "called": counts.tp + counts.fp,
        "matched": counts.tp,
        "truth": truth_of(pages),
    }


def _crumbs(truth: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the pixels of parts that lines between cells have cut off: they are no objects."""
    areas = np.bincount(truth.ravel())
    if len(areas) < 2:
        return np.zeros(truth.shape, bool)
    tiny = areas < _CRUMB * float(np.median(areas[1:]))
    tiny[0] = False
    torn: NDArray[np.bool_] = tiny[truth]
    return torn
