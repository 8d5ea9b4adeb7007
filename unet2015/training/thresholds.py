"""Thresholds that a model is used with: of the best F1 and, for membranes, of the best Rand score."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unet2015.metrics.rand import rand_error
from unet2015.networks import Network
from unet2015.tiling.predictor import Predictor
from unet2015.tiling.reading import PixelReader
from unet2015.training.pages import TrainingPage
from unet2015.training.validation import Validation, segment_page

MOST_PAGES = 6
"""Most training pages that are segmented for the Rand threshold, spread evenly over the set."""
LARGEST_SIDE = 1024
"""If a page has a longer side than this (in pixels), only the best annotated window of this side is used."""
CANDIDATES = tuple(float(value) for value in (*(np.arange(1, 20) / 20), 0.97, 0.98, 0.99))
"""Thresholds tried; closer together near 1, where broken membranes close."""
SAME = 1e-3
"""F scores closer to the best than this count as equal to it."""

_log = logging.getLogger("unet2015")


def rand_threshold(
    network: Network,
    pages: Sequence[TrainingPage],
    device: torch.device,
    tile: int,
    most: int = MOST_PAGES,
) -> float | None:
    """Return the threshold on the probability of cell interior with the best Rand score on training pages.

    The score is the foreground-restricted Rand F of the ISBI challenge (1 - error of
    :func:`unet2015.metrics.rand_error`; the paper's Table 1) over the 4-connected parts above the threshold:
    these are the cells of a class map. V_rand first grows the parts by a watershed, which a class map does
    not, and needs numba; the best threshold for it may differ. One gap in a membrane merges two cells. The F1
    of pixels hardly changes then, but this score does.

    If several neighbouring thresholds are as good as the best, the middle one is taken: on unseen images,
    either end is nearer to a merger or a split.

    Parameters
    ----------
    network : Network
        Trained, two classes: membrane 0, interior 1.
    pages : sequence of TrainingPage
        At most `most` of them are segmented, in windows of at most `LARGEST_SIDE` pixels. Pixels that are
        not annotated do not count.
    device : torch.device
        Device that computes.
    tile : int
        Side of the tiles, in pixels.
    most : int
        Pages, at most.

    Returns
    -------
    float or None
        None if no page has an annotated cell, the network's output is not finite, or no threshold keeps two
        pixels of a cell together.

    References
    ----------
    Rand, J. Am. Stat. Assoc. 66, 846 (1971), doi:10.1080/01621459.1971.10482356.
    """
    predict = Predictor(network, device)
    counts = []
    for page in with_cells(pages, most):
        window = best_window(page, network.geometry.factor)
        classes = window.classes
        interior = segment_page(predict, network, window.source, classes.shape, tile)[1]
        if not np.isfinite(interior).all():
            _log.warning("%s: the network's output is not finite; no Rand threshold", page.name)
            return None
        rows = rand_error(classes == 1, np.clip(interior, 0, 1), thresholds=CANDIDATES).by_threshold
        counts.append([(row.tp, row.fp, row.fn) for row in rows])
    if not counts:
        return None
    tp, fp, fn = np.sum(counts, axis=0).T
    scores = 2 * tp / np.maximum(1, 2 * tp + fp + fn)
    return CANDIDATES[middle_of_best(scores, SAME)] if scores.max() > 0 else None


def model_thresholds(result: Validation, rand: float | None = None) -> dict[str, Any]:
    """Return ``threshold`` and ``thresholds`` of a model's description.

    Parameters
    ----------
    result : Validation
        The validation of the model that is kept.
    rand : float, optional
        For membranes, the result of `rand_threshold`; it becomes the model's threshold.
    """
    thresholds: dict[str, float] = {}
    if result.f1 is not None and result.threshold is not None:
        thresholds["f1"] = result.threshold
    if rand is not None:
        thresholds["rand"] = rand
    return {"threshold": result.threshold if rand is None else rand, "thresholds": thresholds}


def with_cells(pages: Sequence[TrainingPage], most: int) -> list[TrainingPage]:
    """Return the pages with pixels of class 1; of more than `most`, so many, spread evenly over them."""
    found = [page for page in pages if (page.classes == 1).any()]
    if len(found) <= most:
        return found
    return [found[k] for k in np.linspace(0, len(found) - 1, most).astype(int)]


def middle_of_best(scores: NDArray[np.float64], same: float) -> int:
    """Return the place in the middle of the run around the best score in which all are as good, up to `same`.

    On unseen images, either end of such a run is nearer to what goes wrong beyond it.
    """
    first = last = int(scores.argmax())
    good = scores >= scores.max() - same
    while first > 0 and good[first - 1]:
        first -= 1
    while last + 1 < len(good) and good[last + 1]:
        last += 1
    return (first + last) // 2


@dataclass(frozen=True)
class _Window:
    """A part of a source; what lies around it is the source's own, but at the part's border mirrored."""

    source: PixelReader
    top: int
    left: int

    def read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[Any]:
        """Return (channels, y1 - y0, x1 - x0)."""
        return self.source.read(page, y0 + self.top, y1 + self.top, x0 + self.left, x1 + self.left)


def best_window(page: TrainingPage, factor: int) -> TrainingPage:
    """Return the window of a page with the most cell interior, in phase with the page, without weights."""
    height, width = page.classes.shape
    if max(height, width) <= LARGEST_SIDE:
        return page
    best, chosen = -1, (0, 0)
    for top in _starts(height, factor):
        for left in _starts(width, factor):
            inside = page.classes[top : top + LARGEST_SIDE, left : left + LARGEST_SIDE] == 1
            if (found := int(np.count_nonzero(inside))) > best:
                best, chosen = found, (top, left)
    top, left = chosen
    part = slice(top, top + LARGEST_SIDE), slice(left, left + LARGEST_SIDE)
    return replace(
        page,
        source=_Window(page.source, top, left),
        classes=page.classes[part],
        weights=np.empty((0, 0), np.float32),
        cells=None if page.cells is None else page.cells[part],
    )


def _starts(size: int, factor: int) -> range:
    """Return where windows along an axis begin: at multiples of the factor, the last near the end."""
    step = max(factor, LARGEST_SIDE // factor * factor)
    return range(0, max(1, size - LARGEST_SIDE // 2), step)
