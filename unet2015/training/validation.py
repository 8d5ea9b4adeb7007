"""Held-out pages, segmented with the overlap-tile engine: scores, and whether the network has learned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from unet2015.models.doubts import NOT_FOUND
from unet2015.networks import Network
from unet2015.tiling.engine import run
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.predictor import Predictor
from unet2015.tiling.reading import PixelReader
from unet2015.tiling.sinks import ArraySink
from unet2015.training.pages import TrainingPage
from unet2015.training.pooled_pixels import PooledPixels
from unet2015.wording import listed

LEAST_GAIN = 0.01
"""A network must reduce the pixel error of the constant answer by at least this share."""
LEAST_AUC = 0.6
"""Below this AUC, a map is hardly better than guessing; untrained networks reach 0.56."""
NEARLY = 0.01
"""If F1 is undefined, a difference in cross-entropy below this (in nats) does not count."""
REVERSED_AUC = 0.3
"""Below this AUC, a map separates the classes well, but the wrong way round."""
_NAMED = 12  # classes that a line shows before it says how many more
MOST_REPETITION = 0.5
"""If more than this share of its variance repeats, a map is a pattern of the pooling grid."""


@dataclass(frozen=True)
class Validation:
    """How good a network is on the held-out pages.

    Attributes
    ----------
    f1 : float or None
        Two classes: F1 of class 1 over all annotated pixels at the best threshold. More classes: each pixel
        gets its most probable class, and F1 is averaged over the classes from 1 on that occur; see
        `unet2015.training.pooled_pixels.mean_f1` for one that is called but does not occur. None if no
        annotated pixel has a class of 1 or more: F1 is then undefined.
    threshold : float or None
        The best threshold, 0.5 where F1 is undefined; None with more than two classes.
    cross_entropy : float
        Mean over the annotated pixels, without weights, in nats.
    constant : bool
        Whether all pixels got nearly the same probabilities.
    baseline : float or None
        F1 of the best constant answer; None where F1 is undefined.
    auc : float or None
        Two classes: area under the ROC curve. None where one of them does not occur.
    repetition : float or None
        Share of the map's variance that repeats in the network's pooling grid and is not in the truth
        (see :meth:`unet2015.training.pooled_pixels.PooledPixels.repetition`); None if it is unknown.
    by_class : sequence of (float or None, float), optional
        More than two classes: of each its F1, None if it neither occurs nor is found, and that of calling
        every pixel so, which is 0 if it does not occur.
    """

    f1: float | None
    threshold: float | None
    cross_entropy: float
    constant: bool
    baseline: float | None = None
    auc: float | None = None
    repetition: float | None = None
    by_class: Sequence[tuple[float | None, float]] | None = None

    @property
    def not_found(self) -> tuple[str, ...]:
        """Which classes from 1 on are found no better than by calling every pixel so, in words."""
        return tuple(
            f"class {number} (F1 {f1:.3f}; calling every pixel so: {chance:.3f})"
            for number, (f1, chance) in enumerate(self.by_class or ())
            if number and f1 is not None and chance and not 1 - f1 <= (1 - LEAST_GAIN) * (1 - chance)
        )

    @property
    def pixel_error(self) -> float | None:
        """1 - F1."""
        return None if self.f1 is None else 1 - self.f1

    @property
    def periodic(self) -> bool:
        """Whether the map repeats itself in the pooling grid."""
        return self.repetition is not None and self.repetition > MOST_REPETITION

    @property
    def why(self) -> tuple[str, ...]:
        """Why the network has not learned, in words; empty if it has, or if that is not known."""
        if self.f1 is None or self.baseline is None or self.baseline >= 1:
            return ()  # one class alone: to predict it everywhere is right
        reasons = []
        if self.constant:
            reasons.append("every pixel is predicted alike")
        if not 1 - self.f1 <= (1 - LEAST_GAIN) * (1 - self.baseline):
            reasons.append(
                f"F1 {self.f1:.3f} is no better than the {self.baseline:.3f} of calling every pixel the same"
            )
        if self.auc is not None and self.auc < LEAST_AUC:
            reasons.append(
                f"the area under the ROC curve is {self.auc:.3f}, "
                + ("so the answer is upside down" if self.auc < REVERSED_AUC else "that of guessing 0.5")
            )
        if self.periodic:
            reasons.append("the probability map repeats itself in the pooling grid of the network")
        return tuple(reasons)

    @property
    def plateau(self) -> bool:
        """Whether the network still gives all pixels one class, or guesses; another seed may help."""
        return self.learned is False and (
            self.constant or self.periodic or self.auc is None or self.auc < LEAST_AUC
        )

    @property
    def learned(self) -> bool | None:
        """Whether the network has learned; None if the held-out pages hold only one class."""
        if self.f1 is None or self.baseline is None or self.baseline >= 1:
            return None
        return not self.why

    def better_than(self, other: "Validation | None", by: Literal["f1", "cross-entropy"] = "f1") -> bool:
        """Whether this network is better than an earlier one of the same training.

        By cross-entropy, if that is wanted. Else by F1; if it is equal, by cross-entropy. If F1 is undefined,
        by cross-entropy alone, and if that is nearly equal, the later network is better: pages without cells
        hardly show how well cells are found, and a network after more steps finds them better.
        """
        if other is None:
            return True
        if by == "cross-entropy":
            return self.cross_entropy < other.cross_entropy
        if self.f1 is None or other.f1 is None:
            return self.cross_entropy < other.cross_entropy + NEARLY
        if self.f1 == other.f1:
            return self.cross_entropy < other.cross_entropy
        return self.f1 > other.f1

    def as_dict(self) -> dict[str, Any]:
        """Return the figures and what follows from them, for the log."""
        figures = asdict(self)
        if self.by_class is None:
            del figures["by_class"]
        else:
            figures[NOT_FOUND] = list(self.not_found)
        return {
            **figures,
            "pixel_error": self.pixel_error,
            "periodic": self.periodic,
            "learned": self.learned,
            "why": list(self.why),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the validation from the `values` of `as_dict`, which may hold other keys, too."""
        found = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        return cls(**found | {"by_class": class_figures(values.get("by_class"))})

    def describe(self) -> str:
        """Return the figures in one line."""
        if self.f1 is None:
            return f"F1 undefined (no pixel of a class from 1 on), cross-entropy {self.cross_entropy:.4f}"
        at = "" if self.threshold is None else f" at threshold {self.threshold:.2f}"
        beside = "" if self.baseline is None else f" (calling every pixel the same: {self.baseline:.4f})"
        area = "" if self.auc is None else f", AUC {self.auc:.3f}"
        each = [f"{number} {f1:.3f}" for number, (f1, _) in enumerate(self.by_class or ()) if f1 is not None]
        classes = f"; F1 of each class: {listed(each, _NAMED)}" if each else ""
        return f"F1 {self.f1:.4f}{at}{beside}{area}{classes}"


def class_figures(value: object) -> tuple[tuple[float | None, float], ...] | None:
    """Return the figures of the classes from a log or a record; None where they are not such figures."""
    if not isinstance(value, list | tuple) or not value:
        return None
    for pair in value:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return None
        if not all(isinstance(one, int | float) or (one is None and k == 0) for k, one in enumerate(pair)):
            return None
    return tuple((f1, chance) for f1, chance in value)


def advice(validation: Validation) -> str:
    """Return a warning that says why nothing was learned and what to try; empty if the network has learned.

    If the held-out pages cannot show it, the warning says what they lack.
    """
    if validation.learned is None:
        return (
            "whether the network has learned cannot be told, because the held-out pages hold only one class; "
            "hold out pages with every class (--validate)"
        )
    if validation.learned:
        return ""
    tries = [
        "check that images and labels belong together, and that --label-kind fits the labels (unet2015 check)"
    ]
    if validation.auc is not None and validation.auc < REVERSED_AUC:
        tries.append("check that the labels of the held-out pages have the same meaning as the others")
    if validation.constant or validation.periodic:
        tries.append("another seed")
        tries.append("a lower learning_rate, or a smaller clip in [optimisation]")
    else:
        tries.append("more steps where the loss still falls")
        tries.append("another seed")
        tries.append("a lower learning_rate, or a smaller clip in [optimisation], where the loss jumps")
        tries.append("a higher learning_rate where it hardly moves")
    return f"the network has not learned: {'; '.join(validation.why)}. What to try: {'; '.join(tries)}"


def validate(
    network: Network,
    pages: Sequence[TrainingPage],
    device: torch.device,
    tile: int,
    see: Callable[[int, NDArray[np.float32]], object] | None = None,
) -> Validation | None:
    """Segment `pages` and compare them with their classes, pooled over all annotated pixels.

    The tiles have the size used in training: they are known to fit into memory, and the figures do not
    depend on how much memory is free. None if the network's output is not finite. `see` is called with the
    number of each page and its probabilities (classes, H, W).
    """
    predict = Predictor(network, device)
    pooled = PooledPixels(network.classes, network.geometry.factor)
    for number, page in enumerate(pages):
        probabilities = segment_page(predict, network, page.source, page.classes.shape, tile)
        if not np.isfinite(probabilities).all():
            return None
        pooled.add(probabilities, page.classes)
        if see is not None:
            see(number, probabilities)
    f1, threshold = pooled.f1()
    return Validation(
        f1,
        threshold,
        pooled.cross_entropy,
        pooled.constant,
        pooled.baseline(),
        pooled.auc(),
        pooled.repetition(),
        pooled.of_classes(),
    )


def segment_page(
    predict: Predictor, network: Network, source: PixelReader, shape: tuple[int, ...], tile: int
) -> NDArray[np.float32]:
    """Return the probabilities (classes, H, W) of the only page of a source of `shape` (H, W)."""
    height, width = shape
    plan = TilePlan(1, height, width, (tile, tile), 1, network.geometry)
    sink = ArraySink(plan, network.classes)
    run(plan, source, predict, sink)
    page: NDArray[np.float32] = sink.array[0]
    return page
