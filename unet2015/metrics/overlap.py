"""Overlap of two masks, pixel by pixel: IoU, Dice, F1, for everyday use."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unet2015.arguments import integer, whole_numbers
from unet2015.errors import LabelError
from unet2015.images.axes import may_be_channels_last
from unet2015.metrics.contingency import check_pixels, contingency_table, f_score
from unet2015.metrics.masks import MASK_VALUES, far_value, gray_values

_log = logging.getLogger("unet2015")


@dataclass(frozen=True)
class Overlap:
    """Pixels of two masks: in both (tp), only predicted (fp), only true (fn), in none (tn).

    If there is nothing to find and nothing was found, the result is perfect (1), as in the EM challenge.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def precision(self) -> float:
        """Fraction of the prediction that is true; 1 without false positives."""
        return f_score(self.tp, self.fp, self.fn)[0]

    @property
    def recall(self) -> float:
        """Fraction of the truth that is predicted; 1 without false negatives."""
        return f_score(self.tp, self.fp, self.fn)[1]

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return f_score(self.tp, self.fp, self.fn)[2]

    @property
    def dice(self) -> float:
        """2 |A n B| / (|A| + |B|): the same number as F1."""
        return self.f1

    @property
    def iou(self) -> float:
        """|A n B| / |A u B|; SEG is another measure, by object."""
        union = self.tp + self.fp + self.fn
        return self.tp / union if union else 1.0


def pixel_overlap(truth: ArrayLike, prediction: ArrayLike, *, label: int | None = None) -> Overlap:
    """Count the pixels in which two masks or class maps agree.

    Parameters
    ----------
    truth, prediction : arrays of one shape, any number of axes
        Masks (foreground is what is not 0) or class maps: bool or whole numbers.
        What looks like an image, or like pixels that nobody annotated, is said by a warning.
    label : int, optional
        The class to compare. Default: everything that is not 0.

    Returns
    -------
    Overlap

    Raises
    ------
    DataSetError
        When the shapes differ, or there is no pixel.
    LabelError
        When a value is negative, or no whole number, such as a probability.

    References
    ----------
    Jaccard, New Phytol. 11, 37 (1912), doi:10.1111/j.1469-8137.1912.tb05611.x.
    Dice, Ecology 26, 297 (1945), doi:10.2307/1932409.

    Examples
    --------
    >>> pixel_overlap([0, 1, 1], [0, 1, 0])
    Overlap(tp=1, fp=0, fn=1, tn=1)
    """
    maps = whole_numbers(truth, "truth"), whole_numbers(prediction, "prediction")
    if may_be_channels_last(maps[0].shape):
        _log.warning(
            "an array of shape %s may have channels last; every value counts as a pixel, alpha as "
            "foreground, too; where all channels are alike, give one, such as truth[..., 0]",
            maps[0].shape,
        )
    chosen = None if label is None else integer(label, "label")
    for name, classes in zip(("truth", "prediction"), maps, strict=True):
        check_pixels(classes)
        _check_mask(classes, name, chosen)
    _say_far_value(maps, chosen)
    masks = [classes != 0 if chosen is None else classes == chosen for classes in maps]
    if chosen is not None:
        _say_missing(maps, masks, chosen)
    table = contingency_table(masks[0].astype(np.int8), masks[1].astype(np.int8))
    cells = dict(
        zip(zip(table.truth.tolist(), table.prediction.tolist(), strict=True), table.pixels, strict=True)
    )
    return Overlap(*(int(cells.get(pair, 0)) for pair in ((1, 1), (0, 1), (1, 0), (0, 0))))


def _check_mask(classes: NDArray[Any], name: str, label: int | None) -> None:
    """Refuse negative values; say where an image, or every pixel of several values, counts as foreground."""
    low = int(classes.min())
    if low < 0:
        raise LabelError(
            f"{name} has the value {low}: expected masks or classes from 0 on; set what is not annotated to "
            "0 in both, or leave these pixels out"
        )
    if label is not None or classes.dtype == bool:
        return
    if values := gray_values(classes):
        _log.warning(
            "%s has %d values or more that lie scattered, as in an image or a probability map saved as whole "
            "numbers, and all but 0 counts as foreground; give a mask, such as %s > %d",
            name,
            values,
            name,
            127 if int(classes.max()) <= 255 else 32767,
        )
    elif low > 0 and low != int(classes.max()):
        _log.warning(
            "%s has no 0, so that every pixel counts as foreground; where %d is the background, give label=, "
            "or subtract %d",
            name,
            low,
            low,
        )


def _say_far_value(maps: Sequence[NDArray[Any]], label: int | None) -> None:
    """Say where one map has a value of its own that may mean "not annotated"; all its pixels count."""
    for name, classes, other in zip(("truth", "prediction"), maps, maps[::-1], strict=True):
        value = far_value(classes)
        if value is not None and value != label and not (other == value).any() and not gray_values(classes):
            _log.warning(
                "%s has the value %d beside lower ones, which counts as %s; if nobody annotated it, leave it "
                "out of both: annotated = %s != %d, then truth[annotated], prediction[annotated]",
                name,
                value,
                "foreground" if label is None else f"not {label}",
                name,
                value,
            )


def _say_missing(maps: Sequence[NDArray[Any]], masks: Sequence[NDArray[np.bool_]], label: int) -> None:
    """Say where a label is in neither map, or a map is a mask that has another value for it."""
    for name, classes, mask in zip(("truth", "prediction"), maps, masks, strict=True):
        high = int(classes.max())
        other = label in MASK_VALUES and high in MASK_VALUES and high != label
        if other and not (mask.any() or ((classes != 0) & (classes != high)).any()):
            _log.warning(
                "%s is a mask of 0 and %d, so label=%d selects nothing of it; without label, masks are "
                "compared whatever value they have",
                name,
                high,
                label,
            )
            return
    if label and not any(mask.any() for mask in masks) and any(classes.any() for classes in maps):
        _log.warning(
            "label %d is in neither truth nor prediction, so there is nothing to find, which counts as "
            "perfect (1); their highest values are %d and %d",
            label,
            *(int(classes.max()) for classes in maps),
        )


def iou(truth: ArrayLike, prediction: ArrayLike, *, label: int | None = None) -> float:
    """Return the intersection over union.

    Parameters
    ----------
    truth, prediction, label
        As for `pixel_overlap`.

    Returns
    -------
    float
        From 0 to 1; 1 where there is nothing to find and nothing was found.

    Raises
    ------
    DataSetError
        When the shapes differ, or there is no pixel.
    LabelError
        When a value is negative, or no whole number, such as a probability.
    """
    return pixel_overlap(truth, prediction, label=label).iou


def dice(truth: ArrayLike, prediction: ArrayLike, *, label: int | None = None) -> float:
    """Return Dice's coefficient.

    Parameters
    ----------
    truth, prediction, label
        As for `pixel_overlap`.

    Returns
    -------
    float
        From 0 to 1; 1 where there is nothing to find and nothing was found.

    Raises
    ------
    DataSetError
        When the shapes differ, or there is no pixel.
    LabelError
        When a value is negative, or no whole number, such as a probability.
    """
    return pixel_overlap(truth, prediction, label=label).dice


def f1(truth: ArrayLike, prediction: ArrayLike, *, label: int | None = None) -> float:
    """Return the F1 of the pixels, the same number as Dice's coefficient.

    Parameters
    ----------
    truth, prediction, label
        As for `pixel_overlap`.

    Returns
    -------
    float
        From 0 to 1; 1 where there is nothing to find and nothing was found.

    Raises
    ------
    DataSetError
        When the shapes differ, or there is no pixel.
    LabelError
        When a value is negative, or no whole number, such as a probability.
    """
    return pixel_overlap(truth, prediction, label=label).f1
