"""Matched objects: equal to the definition, over pages and images; counted by hand.

The definition is StarDist's: numbers that its own code gave are in ``test_stardist.py``. Compared once
with ``matching`` of stardist 0.9.2 (its file ``matching.py``): 2000 pairs of images of up to 60 random
objects (moved, eroded, cut into halves, unrelated), at 0.5, 0.55, ... 0.95 and at 0.1, 0.25, 1/3 and 0.4.
All counts were equal, and all measures within the rounding of its float32, but for 3 of 8000 below 0.5,
where several assignments are equally good. So were those of ``matching_dataset`` over 20 images each, at
0.5, 0.55, ... 0.95.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from unet2015.errors import DataSetError, LabelError, UsageError
from unet2015.metrics import match_objects, object_scores, seg_score
from unet2015.metrics.object_counts import THRESHOLDS, ObjectScores

stacks = hnp.arrays(
    np.uint8,
    st.tuples(st.just(2), st.integers(1, 3), st.integers(1, 6), st.integers(1, 7)),
    elements=st.integers(0, 5),
)
any_threshold = st.one_of(st.sampled_from(THRESHOLDS), st.floats(0.01, 1), st.sampled_from([1 / 3, 0.25, 1]))


def by_definition(
    truth: np.ndarray, found: np.ndarray, threshold: float
) -> tuple[int, int, int, float, float]:
    """Return tp, fp, fn, the sum of matched IoU, and of IoU of all pairs, by a dense assignment."""
    true, other = (sorted(set(page.ravel().tolist()) - {0}) for page in (truth, found))
    iou = np.zeros((len(true), len(other)))
    for i, a in enumerate(true):
        for j, b in enumerate(other):
            iou[i, j] = ((truth == a) & (found == b)).sum() / ((truth == a) | (found == b)).sum()
    fewest = min(iou.shape)
    if not fewest or not (iou >= threshold).any():
        return 0, len(other), len(true), 0.0, 0.0
    rows, columns = linear_sum_assignment(-(iou >= threshold).astype(float) - iou / (2 * fewest))
    chosen = iou[rows, columns]
    fit = chosen >= threshold
    tp = int(fit.sum())
    return tp, len(other) - tp, len(true) - tp, float(chosen[fit].sum()), float(chosen.sum())


@settings(deadline=None, max_examples=50)
@given(stacks, any_threshold)
def test_equals_the_definition(pair: np.ndarray, threshold: float) -> None:
    truth, found = pair
    expected = np.sum(
        [by_definition(*page, threshold)[:4] for page in zip(truth, found, strict=True)], axis=0
    )
    counts = match_objects(truth, found, threshold)
    assert (counts.tp, counts.fp, counts.fn) == tuple(expected[:3])
    assert len(counts.pairs) == counts.tp
    assert counts.iou_sum == pytest.approx(sum(found.iou for found in counts.pairs))
    if threshold >= 0.5:
        assert counts.iou_sum == pytest.approx(expected[3])
    for found_pair in counts.pairs:
        a, b = truth[found_pair.page] == found_pair.truth, found[found_pair.page] == found_pair.prediction
        assert (a & b).sum() / (a | b).sum() == found_pair.iou >= threshold
    for side in (1, 2):
        assert len({(one[0], one[side]) for one in counts.pairs}) == counts.tp


@settings(deadline=None, max_examples=50)
@given(stacks, st.floats(0.01, 0.49))
def test_below_one_half_the_sum_of_iou_of_all_pairs_decides(pair: np.ndarray, threshold: float) -> None:
    from unet2015.metrics.assignment import best_assignment
    from unet2015.metrics.overlaps import object_overlaps

    page = object_overlaps(pair[0, 0], pair[1, 0])
    tp, *_, total = by_definition(pair[0, 0], pair[1, 0], threshold)
    fits = page.iou >= threshold
    if not fits.any():
        return
    fewest = min(len(page.true_labels), len(page.found_labels))
    chosen = best_assignment(page.true, page.found, fits + page.iou / (2 * fewest))
    assert fits[chosen].sum() == tp
    assert page.iou[chosen].sum() == pytest.approx(total)


@settings(deadline=None, max_examples=50)
@given(stacks, st.permutations([7, 65535, 4_000_000_000, 2, 901]))
def test_ids_orientation_and_roles_do_not_matter(pair: np.ndarray, ids: list[int]) -> None:
    def counts(truth: np.ndarray, found: np.ndarray) -> list[tuple[float, ...]]:
        scores = object_scores(truth, found)
        return [(one.tp, one.fp, one.fn, round(one.iou_sum, 9)) for one in scores.by_threshold]

    expected = counts(*pair)
    assert counts(*np.array([0, *ids], np.uint64)[pair]) == expected
    assert counts(*pair[:, ::-1, ::-1].transpose(0, 1, 3, 2)) == expected
    assert [(tp, fn, fp, iou) for tp, fp, fn, iou in counts(*pair[::-1])] == expected


@settings(deadline=None, max_examples=50)
@given(stacks)
def test_counts_of_pages_and_images_are_summed(pair: np.ndarray) -> None:
    whole = object_scores(*pair)
    pages = [object_scores(*page) for page in zip(*pair, strict=True)]
    joined = ObjectScores.joined(pages)
    assert joined.true_objects == whole.true_objects == sum(page.true_objects for page in pages)
    for together, one in zip(joined.by_threshold, whole.by_threshold, strict=True):
        assert together.as_dict() == pytest.approx(one.as_dict())
    if whole.true_objects:
        assert whole.seg == pytest.approx(
            seg_score((k, *page) for k, page in enumerate(zip(*pair, strict=True))).value
        )


def test_counted_by_hand() -> None:
    truth = np.zeros((10, 40), np.uint16)
    truth[:, :10], truth[:, 10:20], truth[:, 20:30] = 3, 9, 5  # three cells of 100 px
    found = np.zeros_like(truth)
    found[:8, :10] = 70  # 80 of 100 px: IoU 0.8
    found[:5, 10:20], found[5:, 10:20] = 71, 72  # two halves: IoU 0.5 each, one of them matches
    found[:, 30:] = 73  # no cell
    match = match_objects(truth, found)
    assert [(pair.truth, pair.iou) for pair in match.pairs] == [(3, 0.8), (9, 0.5)]
    assert (match.tp, match.fp, match.fn) == (2, 2, 1)
    assert (match.precision, match.recall) == (2 / 4, 2 / 3)
    assert match.f1 == 4 / 7
    assert match.average_precision == 2 / 5
    assert match.matched_iou == 0.65
    assert match.true_iou == pytest.approx(1.3 / 3)
    assert match.panoptic_quality == pytest.approx(1.3 / (2 + 1 + 0.5))
    scores = object_scores(truth, found)
    assert [counts.tp for counts in scores.by_threshold] == [2, 1, 1, 1, 1, 1, 1, 0, 0, 0]
    assert scores.mean_average_precision == pytest.approx((2 / 5 + 6 * 1 / 6) / 10)
    assert scores.seg == pytest.approx(0.8 / 3)  # exactly half does not cover
    assert scores.at(0.8).tp == 1


def test_the_mean_of_ap_is_over_each_of_the_ten_thresholds_once() -> None:
    truth = np.ones((1, 10), int)
    found = (np.arange(10) < 6).astype(int)[None]  # IoU 0.6: a match up to there
    assert np.isnan(object_scores(truth, found, [0.5] * 10).mean_average_precision)
    assert np.isnan(object_scores(truth, found, THRESHOLDS[1:]).mean_average_precision)
    assert object_scores(truth, found, [0.5, *THRESHOLDS[::-1], 0.3]).mean_average_precision == 0.3


def test_the_thresholds_are_the_decimal_numbers() -> None:
    assert THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    truth = np.ones((1, 20), int)
    for k, threshold in enumerate(THRESHOLDS):
        found = (np.arange(20) < 10 + k).astype(int)[None]
        assert match_objects(truth, found, threshold).tp == 1
        assert match_objects(truth, found, np.nextafter(threshold, 1)).tp == 0


@pytest.mark.parametrize("empty", ["truth", "prediction", "both"])
def test_without_a_match_every_measure_is_0(empty: str) -> None:
    some, none = np.ones((3, 4), int), np.zeros((3, 4), int)
    scores = object_scores(*{"truth": (none, some), "prediction": (some, none), "both": (none, none)}[empty])
    values = {
        name: value
        for name, value in scores.at(0.5).as_dict().items()
        if name not in ("threshold", "fp", "fn")
    }
    assert set(values.values()) == {0}
    assert scores.mean_average_precision == scores.seg == 0


def test_thousands_of_objects_are_matched_sparsely() -> None:
    truth = np.kron(np.arange(1, 4901).reshape(70, 70), np.ones((8, 8), np.int64))
    found = np.roll(truth, 1, axis=0)
    found[0] = 0
    match = match_objects(truth, found)  # 56 of 72 px; of the last row 56 of 64
    assert (match.tp, match.fp, match.fn) == (4900, 0, 0)
    assert match.iou_sum == pytest.approx(4830 * 56 / 72 + 70 * 56 / 64)
    low = match_objects(truth, found, 0.1)
    assert (low.tp, low.iou_sum) == (4900, pytest.approx(match.iou_sum))


def test_says_what_is_wrong() -> None:
    ones = np.ones((2, 3), int)
    with pytest.raises(DataSetError, match=r"\(2, 3\).*\(3, 2\)"):
        match_objects(ones, ones.T)
    with pytest.raises(DataSetError, match="rows and columns"):
        match_objects(ones[0], ones[0])
    for wrong in (ones / 2, -ones, ones > 0):
        with pytest.raises(LabelError, match=r"integer labels from 0 on|expected whole numbers"):
            match_objects(ones, wrong)
    for threshold in (0, -1, 1.5, float("nan")):
        with pytest.raises(UsageError, match="above 0 and at most 1"):
            match_objects(ones, ones, threshold)
    with pytest.raises(DataSetError, match="at least one"):
        ObjectScores.joined([])
    with pytest.raises(UsageError, match="same thresholds"):
        ObjectScores.joined([object_scores(ones, ones), object_scores(ones, ones, [0.5])])
