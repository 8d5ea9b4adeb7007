"""Held-out pages, segmented with the overlap-tile engine, against their classes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unet2015.networks import Network
from unet2015.tiling.engine import Predictor, run
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.sinks import ArraySink
from unet2015.training.labels import IGNORED
from unet2015.training.pages import TrainingPage

THRESHOLDS = np.arange(1, 100) / 100
"""Thresholds tried on the probability of class 1; a pixel is of class 1 strictly above."""


@dataclass(frozen=True)
class Validation:
    """What the held-out pages say of a network.

    Attributes
    ----------
    f1 : float
        Two classes: F1 of class 1 over all pixels at the best threshold. More: the mean over the
        classes from 1 on of the F1 of the class with the highest probability.
    threshold : float or None
        The best threshold; None with more than two classes.
    cross_entropy : float
        Mean over the annotated pixels, without weights, in nats.
    constant : bool
        Whether all pixels got nearly the same probability: nothing is learned yet.
    """

    f1: float
    threshold: float | None
    cross_entropy: float
    constant: bool

    @property
    def pixel_error(self) -> float:
        """1 - F1."""
        return 1 - self.f1

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for the log."""
        return {**asdict(self), "pixel_error": self.pixel_error}


def validate(
    network: Network, pages: Sequence[TrainingPage], device: torch.device, tile: int
) -> Validation | None:
    """Segment `pages` and compare them with their classes, pooled over all annotated pixels.

    The tiles are those of the training, whose memory is known to do, so that the figures do not
    depend on how much happens to be free. None where the network's output is not finite.
    """
    predict = Predictor(network, device)
    classes = network.classes
    # Counts of pixels by true class and by predicted class or, for two classes, by threshold.
    counts = np.zeros((classes, len(THRESHOLDS) + 1 if classes == 2 else classes), np.int64)
    entropy, low, high = 0.0, np.inf, -np.inf
    for page in pages:
        height, width = page.classes.shape
        plan = TilePlan(1, height, width, (tile, tile), 1, network.geometry)
        sink = ArraySink(plan, classes)
        run(plan, page.source, predict, sink)
        probabilities = sink.array[0]
        if not np.isfinite(probabilities).all():
            return None
        known = page.classes != IGNORED
        truth = page.classes[known]
        values = probabilities[:, known]
        entropy -= float(
            np.log(np.maximum(values[truth, np.arange(truth.size)], 1e-30)).sum(dtype=np.float64)
        )
        low, high = min(low, values[1].min(initial=np.inf)), max(high, values[1].max(initial=-np.inf))
        # searchsorted counts the thresholds strictly below a probability.
        found = (
            np.searchsorted(THRESHOLDS.astype(np.float32), values[1]) if classes == 2 else values.argmax(0)
        )
        counts += np.bincount(truth * counts.shape[1] + found, minlength=counts.size).reshape(counts.shape)
    f1, threshold = _two_classes(counts) if classes == 2 else (_more_classes(counts), None)
    return Validation(f1, threshold, entropy / max(1, int(counts.sum())), bool(high - low < 1e-3))


def _two_classes(counts: NDArray[np.int64]) -> tuple[float, float]:
    """Return the best F1 of class 1 and its threshold, the lowest of equals."""
    # Above the k-th threshold lie the pixels that exceed at least k + 1 of them.
    above = counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    f1 = 2 * above[1] / np.maximum(1, above.sum(axis=0) + counts[1].sum())
    best = int(f1.argmax())
    return float(f1[best]), float(THRESHOLDS[best])


def _more_classes(counts: NDArray[np.int64]) -> float:
    hits = counts.diagonal()
    both = counts.sum(axis=0) + counts.sum(axis=1)
    present = both[1:] > 0
    return float((2 * hits[1:][present] / both[1:][present]).mean()) if present.any() else 1.0
