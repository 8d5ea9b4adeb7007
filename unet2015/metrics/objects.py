"""Objects matched by their IoU: precision, recall, F1, AP and panoptic quality, as StarDist counts them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unet2015.arguments import items, number, whole_numbers
from unet2015.errors import DataSetError, UsageError
from unet2015.metrics.assignment import best_assignment
from unet2015.metrics.contingency import check_pages, check_pixels
from unet2015.metrics.doubtful_labels import LabelDoubts
from unet2015.metrics.object_counts import (
    THRESHOLDS,
    ObjectCounts,
    ObjectMatches,
    ObjectPair,
    ObjectScores,
    summed,
)
from unet2015.metrics.overlaps import ObjectOverlaps, object_overlaps


def match_objects(truth: ArrayLike, prediction: ArrayLike, threshold: float = 0.5) -> ObjectMatches:
    """Match objects of two label images one to one by their IoU.

    Parameters
    ----------
    truth, prediction : (..., height, width) int arrays of one shape
        Instance labels, any numbers from 0 on; 0 is background. Each page is matched by itself, and a label
        is one object of its page even if it is in several pieces.
    threshold : float
        Objects with this IoU or more can match; above 0, at most 1.

    Returns
    -------
    ObjectMatches

    Raises
    ------
    DataSetError
        When the shapes differ, or there is no pixel, or the last axis may be channels (4 or fewer beside
        two longer ones).
    LabelError
        When labels are not integers from 0 on.
    UsageError
        When the threshold is not above 0 and at most 1.

    Notes
    -----
    The definition is that of ``stardist.matching.matching`` with ``criterion="iou"``: as many pairs as
    possible reach the threshold and, among the ways to do so, the sum of the IoU of all pairs is highest,
    those below the threshold included. From 0.5 on, an object has at most one partner, or two of the same
    IoU, so nothing is left to choose.

    References
    ----------
    Schmidt et al., Cell Detection with Star-Convex Polygons, MICCAI 2018, doi:10.1007/978-3-030-00934-2_30.

    Examples
    --------
    >>> match_objects([[1, 1, 0, 2]], [[7, 7, 7, 0]]).pairs
    (ObjectPair(page=0, truth=1, prediction=7, iou=0.6666666666666666),)
    """
    threshold = iou_threshold(threshold, "threshold")
    true, found = _checked(truth, prediction)
    matches = match_pages(true, found, threshold)
    _say_doubts(true, found)
    return matches


def match_pages(
    truth: NDArray[np.integer],
    prediction: NDArray[np.integer],
    threshold: float = 0.5,
    annotated: NDArray[np.bool_] | None = None,
) -> ObjectMatches:
    """Match as `match_objects` does, and say nothing of labels that may be none.

    `annotated` is as for `score_pages`.
    """
    pairs: list[ObjectPair] = []
    counts = []
    for place, page in enumerate(_pages(truth, prediction, annotated)):
        chosen = matched(page, threshold)
        counts.append(_counts(page, threshold, chosen))
        for k in chosen:
            true, found = page.true_labels[page.true[k]], page.found_labels[page.found[k]]
            pairs.append(ObjectPair(place, int(true), int(found), float(page.iou[k])))
    return ObjectMatches(**vars(summed(counts)), pairs=tuple(pairs))


def object_scores(
    truth: ArrayLike, prediction: ArrayLike, thresholds: Sequence[float] = THRESHOLDS
) -> ObjectScores:
    """Match objects of two label images at several thresholds.

    Parameters
    ----------
    truth, prediction
        As for `match_objects`.
    thresholds : sequence of float
        Each above 0, at most 1. Default: 0.5, 0.55, ... 0.95.

    Returns
    -------
    ObjectScores
        Those of several images are put together by ``ObjectScores.joined``.

    Raises
    ------
    DataSetError, LabelError, UsageError
        As from `match_objects`.
    """
    true, found = _checked(truth, prediction)
    scores = score_pages(true, found, thresholds)
    _say_doubts(true, found)
    return scores


def score_pages(
    truth: NDArray[np.integer],
    prediction: NDArray[np.integer],
    thresholds: Sequence[float] = THRESHOLDS,
    annotated: NDArray[np.bool_] | None = None,
) -> ObjectScores:
    """Match as `object_scores` does, and say nothing of labels that may be none.

    Pixels that are not `annotated` (bool, of the same shape) belong to no object. What is found there is no
    false positive: an object of the prediction without a partner that has more than half of its pixels there
    does not count (Kirillov et al. 2019, section 4.1).
    """
    given = items(thresholds, "thresholds", "a list of numbers")
    chosen = [iou_threshold(one, "thresholds") for one in given]
    if not chosen:
        raise UsageError("thresholds: expected at least one")
    pages = list(_pages(truth, prediction, annotated))
    counts = [[_counts(page, t, matched(page, t)) for page in pages] for t in chosen]
    return ObjectScores(
        tuple(summed(row) for row in counts),
        sum(len(page.true_labels) for page in pages),
        sum(max(one.tp + one.fp for one in column) for column in zip(*counts, strict=True)),
        float(sum(page.iou[page.covers].sum() for page in pages)),
    )


def object_f1(truth: ArrayLike, prediction: ArrayLike, threshold: float = 0.5) -> float:
    """Return F1 of the objects: 2 TP / (2 TP + FP + FN).

    Parameters
    ----------
    truth, prediction, threshold
        As for `match_objects`.

    Returns
    -------
    float
        From 0 to 1; 0 without a match.

    Raises
    ------
    DataSetError, LabelError, UsageError
        As from `match_objects`.
    """
    return match_objects(truth, prediction, threshold).f1


def average_precision(truth: ArrayLike, prediction: ArrayLike, threshold: float = 0.5) -> float:
    """Return AP of the objects: TP / (TP + FP + FN).

    Parameters
    ----------
    truth, prediction, threshold
        As for `match_objects`.

    Returns
    -------
    float
        From 0 to 1; 0 without a match.

    Raises
    ------
    DataSetError, LabelError, UsageError
        As from `match_objects`.
    """
    return match_objects(truth, prediction, threshold).average_precision


def mean_average_precision(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Return the mean of AP at the IoU 0.5, 0.55, ... 0.95.

    Parameters
    ----------
    truth, prediction
        As for `match_objects`.

    Returns
    -------
    float
        From 0 to 1; 0 without a match.

    Raises
    ------
    DataSetError, LabelError
        As from `match_objects`.
    """
    return object_scores(truth, prediction).mean_average_precision


def panoptic_quality(truth: ArrayLike, prediction: ArrayLike, threshold: float = 0.5) -> float:
    """Return the mean IoU of the matched objects times F1.

    Parameters
    ----------
    truth, prediction, threshold
        As for `match_objects`.

    Returns
    -------
    float
        From 0 to 1; 0 without a match.

    Raises
    ------
    DataSetError, LabelError, UsageError
        As from `match_objects`.

    References
    ----------
    Kirillov et al., Panoptic Segmentation, CVPR 2019, doi:10.1109/CVPR.2019.00963.
    """
    return match_objects(truth, prediction, threshold).panoptic_quality


def matched(page: ObjectOverlaps, threshold: float) -> NDArray[np.int64]:
    """Return which of the overlapping pairs of a page are matched, by rising true label."""
    chosen = np.flatnonzero(page.iou >= threshold)
    if threshold < 0.5 and len(chosen):
        fewest = min(len(page.true_labels), len(page.found_labels))
        chosen = best_assignment(page.true, page.found, (page.iou >= threshold) + page.iou / (2 * fewest))
        chosen = chosen[page.iou[chosen] >= threshold]
    else:
        # Two partners from 0.5 on are the two halves of an object, and overlap nothing else: take either.
        for side in (page.found, page.true):
            chosen = chosen[np.unique(side[chosen], return_index=True)[1]]
    return chosen[np.argsort(page.true[chosen])]


def _checked(truth: ArrayLike, prediction: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return truth and prediction as arrays of pages of one shape."""
    true, found = whole_numbers(truth, "truth"), whole_numbers(prediction, "prediction")
    if true.shape != found.shape or true.ndim < 2:
        raise DataSetError(
            "truth and prediction must have one shape, of rows and columns or of pages of them; truth is "
            f"{true.shape}, prediction {found.shape}"
        )
    check_pixels(true)
    check_pages(true)
    return true, found


def _say_doubts(truth: NDArray[Any], prediction: NDArray[Any]) -> None:
    for name, labels in (("truth", truth), ("prediction", prediction)):
        doubts = LabelDoubts(name)
        doubts.look_at_all(labels)
        doubts.say()


def _pages(
    truth: NDArray[Any], prediction: NDArray[Any], annotated: NDArray[np.bool_] | None = None
) -> Iterator[ObjectOverlaps]:
    for page in np.ndindex(truth.shape[:-2]):
        yield object_overlaps(truth[page], prediction[page], None if annotated is None else annotated[page])


def _counts(page: ObjectOverlaps, threshold: float, chosen: NDArray[np.int64]) -> ObjectCounts:
    tp = len(chosen)
    alone = ~page.unknown
    alone[page.found[chosen]] = False
    missed, invented = len(page.true_labels) - tp, int(np.count_nonzero(alone))
    return ObjectCounts(float(threshold), tp, invented, missed, float(page.iou[chosen].sum()))


def iou_threshold(value: object, name: str) -> float:
    """Return a threshold of the IoU: a number above 0, at most 1."""
    threshold = number(value, name, nan=True)
    if not 0 < threshold <= 1:
        raise UsageError(f"{name}: expected a threshold of the IoU above 0 and at most 1, not {threshold:g}")
    return threshold
