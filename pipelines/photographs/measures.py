"""What maps of single images are worth: Dice, IoU, accuracy; and the measure of the salt competition."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.metrics import pixel_overlap

Mask = NDArray[np.bool_]
Map = NDArray[np.float32]

OVERLAPS = tuple(step / 100 for step in range(50, 100, 5))
"""IoU of 0.5 to 0.95: what a prediction must exceed."""
THRESHOLDS = tuple(step / 20 for step in range(1, 20))
"""Probabilities that are tried."""


def overlaps(truth: Sequence[Mask], maps: Sequence[Map], threshold: float) -> dict[str, float]:
    """Return Dice, IoU and accuracy, each as the mean over images and over all their pixels together.

    Of an image without a true and without a found pixel Dice and IoU are 1.
    """
    found = [pixel_overlap(true, one > threshold) for true, one in zip(truth, maps, strict=True)]
    total = {name: sum(getattr(one, name) for one in found) for name in ("tp", "fp", "fn", "tn")}
    pixels = sum(total.values())
    both = 2 * total["tp"] + total["fp"] + total["fn"]
    union = total["tp"] + total["fp"] + total["fn"]
    return {
        "dice": float(np.mean([one.dice for one in found])),
        "iou": float(np.mean([one.iou for one in found])),
        "accuracy": float(
            np.mean([(one.tp + one.tn) / (one.tp + one.fp + one.fn + one.tn) for one in found])
        ),
        "dice_of_all_pixels": 2 * total["tp"] / both if both else 1.0,
        "iou_of_all_pixels": total["tp"] / union if union else 1.0,
        "accuracy_of_all_pixels": (total["tp"] + total["tn"]) / pixels,
    }


def precision_of(true: Mask, found: Mask) -> float:
    """Return the precision of one image, the mean over `OVERLAPS`, as the TGS salt competition defines it.

    Each image has one object at most. At an overlap t, precision is TP / (TP + FP + FN): 1 if the IoU of
    both masks is greater than t, else 0. An image without salt has 1 if nothing was found, else 0.
    """
    if not true.any() or not found.any():
        return float(not true.any() and not found.any())
    overlap = pixel_overlap(true, found).iou
    return float(np.mean([overlap > one for one in OVERLAPS]))


def mean_precision(truth: Sequence[Mask], maps: Sequence[Map], threshold: float) -> float:
    """Return the mean of `precision_of` over images, of what is above a threshold."""
    return float(
        np.mean([precision_of(true, one > threshold) for true, one in zip(truth, maps, strict=True)])
    )


def search(truth: Sequence[Mask], maps: Sequence[Map]) -> dict[str, Any]:
    """Return the mean precision by threshold, the best one, and what choosing on other images costs.

    ``chosen_on_the_other_half``: each half of the images is measured at the threshold that is best on the
    other one; so no image has chosen its own threshold.
    """
    by_threshold = {one: mean_precision(truth, maps, one) for one in THRESHOLDS}
    best = max(by_threshold, key=lambda one: (by_threshold[one], -abs(one - 0.5)))
    found: dict[str, Any] = {
        "by_threshold": {f"{one:.2f}": value for one, value in by_threshold.items()},
        "at_0.5": mean_precision(truth, maps, 0.5),
        "best_threshold": best,
        "best": by_threshold[best],
    }
    if len(truth) > 1:
        halves = [range(start, len(truth), 2) for start in (0, 1)]
        values = []
        for mine, other in (halves, reversed(halves)):
            theirs = {
                one: mean_precision([truth[k] for k in other], [maps[k] for k in other], one)
                for one in THRESHOLDS
            }
            chosen = max(theirs, key=lambda one: (theirs[one], -abs(one - 0.5)))
            values += [precision_of(truth[k], maps[k] > chosen) for k in mine]
        found["chosen_on_the_other_half"] = float(np.mean(values))
    return found
