import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unet2015.metrics.contingency import contingency_table
from unet2015.metrics.information import information_score

tables = hnp.arrays(np.int64, st.tuples(st.just(2), st.integers(1, 30)), elements=st.integers(0, 4))


def entropy(*columns: np.ndarray) -> float:
    """Entropy in nats of the combination of labels."""
    _, counts = np.unique(np.stack(columns), axis=1, return_counts=True)
    p = counts / counts.sum()
    return float(-(p * np.log(p)).sum())


@settings(deadline=None)
@given(tables)
def test_equals_mutual_information_with_dams_as_objects_of_their_own(labels: np.ndarray) -> None:
    truth, prediction = labels[0] + 1, labels[1].copy()
    singles = np.where(prediction == 0, -1 - np.arange(prediction.size), prediction)
    h_truth, h_prediction, h_both = entropy(truth), entropy(singles), entropy(truth, singles)
    expected = 0.0
    if h_truth > 1e-12 and h_prediction > 1e-12:
        shared = h_truth + h_prediction - h_both
        precision, recall = shared / h_truth, shared / h_prediction
        expected = 2 * precision * recall / (precision + recall) if precision + recall > 1e-12 else 0.0
    assert information_score(contingency_table(truth, prediction)) == pytest.approx(expected, abs=1e-9)


def test_one_object_scores_0_even_when_perfect() -> None:
    one, two = np.ones(6, int), np.array([1, 1, 1, 2, 2, 2])
    assert information_score(contingency_table(one, one)) == 0
    assert information_score(contingency_table(one, two)) == 0
    assert information_score(contingency_table(two, one)) == 0
    assert information_score(contingency_table(two, two[::-1])) == pytest.approx(1)


def test_no_object_scores_0() -> None:
    none = np.zeros(0, int)
    assert information_score(contingency_table(none, none)) == 0
