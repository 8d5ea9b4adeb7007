import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.metrics import adapted_rand_error

from unet2015.metrics.rand import rand_error
from unet2015.metrics.thinned_rand import v_rand

masks = hnp.arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 6)))


def count_pairs(truth: np.ndarray, proposal: np.ndarray) -> list[int]:
    """Pairs of interior pixels (tp, fp, fn, tn) by looking at each pair, pixels with themselves too."""
    objects, _ = ndimage.label(truth)
    found, count = ndimage.label(proposal)
    found[~proposal] = count + 1 + np.arange((~proposal).sum())  # each membrane pixel by itself
    a, b = objects[truth], found[truth]
    same_a, same_b = a[:, None] == a, b[:, None] == b
    return [
        int(pairs.sum()) for pairs in (same_a & same_b, ~same_a & same_b, same_a & ~same_b, ~same_a & ~same_b)
    ]


@settings(deadline=None)
@given(st.data(), masks)
def test_equals_counting_all_pairs(data: st.DataObject, truth: np.ndarray) -> None:
    truth[0, 0] = True
    proposal = data.draw(hnp.arrays(np.bool_, truth.shape))
    row = rand_error(truth, proposal, thresholds=[0.5]).by_threshold[0]
    assert [row.tp, row.fp, row.fn, row.tn] == count_pairs(truth, proposal)
    assert row.rand_index == pytest.approx((row.tp + row.tn) / truth.sum() ** 2)
    assert row.value == 1 - row.fscore


CELLS = np.array([[1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1]] * 3, np.float32)


def changed(column: int, value: float) -> np.ndarray:
    proposal = CELLS.copy()
    proposal[:, column] = value
    return proposal


@pytest.mark.parametrize("measure", [rand_error, v_rand])
def test_a_merger_lowers_precision_only(measure: type) -> None:
    row = measure(CELLS, changed(3, 1.0)).by_threshold[0]
    assert row.precision < 1
    assert row.recall == 1


@pytest.mark.parametrize("measure", [rand_error, v_rand])
def test_a_split_lowers_recall_only(measure: type) -> None:
    row = measure(CELLS, changed(5, 0.0)).by_threshold[0]
    assert row.precision == 1
    assert row.recall < 1


@settings(deadline=None)
@given(st.data(), masks)
def test_more_interior_never_costs_recall_and_less_never_precision(
    data: st.DataObject, truth: np.ndarray
) -> None:
    truth[0, 0] = True
    other = data.draw(hnp.arrays(np.bool_, truth.shape))
    assert rand_error(truth, truth | other, thresholds=[0.5]).by_threshold[0].recall == 1
    assert rand_error(truth, truth & other, thresholds=[0.5]).by_threshold[0].precision == 1


def test_the_adapted_rand_error_is_another_measure() -> None:
    truth = ndimage.label(CELLS)[0]
    for proposal in (changed(3, 1.0), changed(5, 0.0)):
        theirs, precision, recall = adapted_rand_error(truth, ndimage.label(proposal)[0])
        ours = rand_error(CELLS, proposal, thresholds=[0.5]).by_threshold[0]
        assert abs(ours.value - theirs) > 0.001
        # They change places, so that precision is perfect where recall should be.
        assert (precision < recall) == (ours.precision > ours.recall)


def test_a_slice_without_interior_spoils_the_stack() -> None:
    labels = np.stack([CELLS, np.zeros_like(CELLS)])
    measured = rand_error(labels, labels)
    assert (measured.value, measured.threshold) == (1, None)
    assert v_rand(labels, labels).value == 0.5
