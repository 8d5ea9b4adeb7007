"""Counts of matched objects, summed over images, and the measures that follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from unet2015.errors import DataSetError, UsageError

THRESHOLDS = tuple(step / 20 for step in range(10, 20))
"""0.5, 0.55, ... 0.95: the thresholds over which AP is averaged."""


class ObjectPair(NamedTuple):
    """A true object and the object that it is matched with."""

    page: int
    truth: int
    prediction: int
    iou: float


@dataclass(frozen=True)
class ObjectCounts:
    """Objects of one or more images, matched at one threshold. Without a match, all measures are 0.

    Attributes
    ----------
    threshold : float
        The IoU from which on two objects match.
    tp, fp, fn : int
        Matched pairs; objects of the prediction, and true objects, without a partner.
    iou_sum : float
        Sum of the IoU of the matched pairs.
    """

    threshold: float
    tp: int
    fp: int
    fn: int
    iou_sum: float

    @property
    def precision(self) -> float:
        """Share of the prediction's objects that have a partner."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Share of the true objects that have a partner."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def average_precision(self) -> float:
        """TP / (TP + FP + FN), called AP in this field and accuracy by StarDist."""
        return _share(self.tp, self.tp + self.fp + self.fn)

    @property
    def matched_iou(self) -> float:
        """Mean IoU of the matched pairs."""
        return _share(self.iou_sum, self.tp)

    @property
    def true_iou(self) -> float:
        """Sum of the IoU of the matched pairs, over the number of true objects."""
        return _share(self.iou_sum, self.tp + self.fn)

    @property
    def panoptic_quality(self) -> float:
        """Mean IoU of the matched pairs times F1."""
        return _share(self.iou_sum, self.tp + self.fp / 2 + self.fn / 2)

    def as_dict(self) -> dict[str, float | int]:
        """Return the threshold, the counts and all measures."""
        return {
            "threshold": self.threshold,
            "tp": self.tp,
            "fp": self.fp,
            "fn": self.fn,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "average_precision": self.average_precision,
            "matched_iou": self.matched_iou,
            "true_iou": self.true_iou,
            "panoptic_quality": self.panoptic_quality,
        }


@dataclass(frozen=True)
class ObjectMatches(ObjectCounts):
    """The counts of `match_objects`, and which objects they are.

    Attributes
    ----------
    pairs : tuple of ObjectPair
        The matched pairs, by page and true label.
    """

    pairs: tuple[ObjectPair, ...] = ()


@dataclass(frozen=True)
class ObjectScores:
    """Objects of one or more images, matched at several thresholds.

    Attributes
    ----------
    by_threshold : tuple of ObjectCounts
        In the order of the thresholds.
    true_objects, found_objects : int
        How many objects there are.
    covered_iou : float
        Sum over the true objects of the IoU that SEG gives them.
    """

    by_threshold: tuple[ObjectCounts, ...]
    true_objects: int
    found_objects: int
    covered_iou: float

    @property
    def mean_average_precision(self) -> float:
        """Mean of the AP at 0.5, 0.55, ... 0.95; NaN where not all of these were measured."""
        found = {counts.threshold: counts.average_precision for counts in self.by_threshold}
        if not found.keys() >= set(THRESHOLDS):
            return float("nan")
        return sum(found[threshold] for threshold in THRESHOLDS) / len(THRESHOLDS)

    @property
    def seg(self) -> float:
        """SEG of the Cell Tracking Challenge over the same images; 0 where there is no true object."""
        return _share(self.covered_iou, self.true_objects)

    def at(self, threshold: float) -> ObjectCounts:
        """Return the counts at one of the thresholds."""
        return next(counts for counts in self.by_threshold if counts.threshold == threshold)

    @classmethod
    def joined(cls, parts: Iterable[ObjectScores]) -> ObjectScores:
        """Return the scores of several images together: counts are summed, then the measures computed.

        Raises
        ------
        DataSetError
            When there is no part.
        UsageError
            When the thresholds of the parts differ.
        """
        every = list(parts)
        if not every:
            raise DataSetError("scores of objects need at least one image, but there is none")
        rows = [part.by_threshold for part in every]
        if len({tuple(counts.threshold for counts in row) for row in rows}) > 1:
            raise UsageError("scores can be joined only if they are for the same thresholds")
        return cls(
            tuple(summed(column) for column in zip(*rows, strict=True)),
            sum(part.true_objects for part in every),
            sum(part.found_objects for part in every),
            sum(part.covered_iou for part in every),
        )


def summed(counts: Sequence[ObjectCounts]) -> ObjectCounts:
    """Return the counts of several images together, at the threshold of the first."""
    sums: list[Any] = [sum(getattr(one, name) for one in counts) for name in ("tp", "fp", "fn", "iou_sum")]
    return ObjectCounts(counts[0].threshold, *sums)


def _share(part: float, whole: float) -> float:
    return part / whole if part > 0 else 0.0
