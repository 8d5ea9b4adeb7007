from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage import metrics as skimage_metrics

from unet2015.errors import DataSetError
from unet2015.metrics import contingency
from unet2015.metrics.contingency import contingency_table, f_score, harmonic_mean

pairs = hnp.arrays(
    np.int32, st.tuples(st.just(2), st.integers(0, 8), st.integers(0, 8)), elements=st.integers(0, 6)
)


@settings(deadline=None)
@given(pairs)
def test_counts_every_pair_of_labels(labels: np.ndarray) -> None:
    truth, prediction = labels
    table = contingency_table(truth, prediction)
    counted = dict(
        zip(zip(table.truth.tolist(), table.prediction.tolist(), strict=True), table.pixels, strict=True)
    )
    assert counted == Counter(zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True))
    assert len(counted) == len(table.pixels)


@settings(deadline=None)
@given(pairs.filter(lambda labels: labels.size), st.sampled_from([0, 8]), st.sampled_from("bBiIlL"))
def test_equals_that_of_scikit_image_however_it_is_counted(
    labels: np.ndarray, pairs_a_pixel: int, dtype: str
) -> None:
    truth, prediction = labels.astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contingency, "_PAIRS_A_PIXEL", pairs_a_pixel)
        table = contingency_table(truth, prediction)
    expected = skimage_metrics.contingency_table(truth, prediction).tocoo()
    np.testing.assert_array_equal(table.truth, expected.row)
    np.testing.assert_array_equal(table.prediction, expected.col)
    np.testing.assert_array_equal(table.pixels, expected.data)


@settings(deadline=None)
@given(pairs.filter(lambda labels: labels.size))
def test_labels_too_large_for_a_number_a_pair(labels: np.ndarray) -> None:
    small, huge = contingency_table(*labels), contingency_table(*(labels.astype(np.int64) * 2**40))
    np.testing.assert_array_equal(huge.truth, small.truth * 2**40)
    np.testing.assert_array_equal(huge.prediction, small.prediction * 2**40)
    np.testing.assert_array_equal(huge.pixels, small.pixels)


@settings(deadline=None)
@given(pairs)
def test_sizes_are_those_of_the_labels(labels: np.ndarray) -> None:
    table = contingency_table(*labels)
    np.testing.assert_array_equal(table.truth_sizes(), np.bincount(labels[0].ravel()))
    np.testing.assert_array_equal(table.prediction_sizes(), np.bincount(labels[1].ravel()))


def test_names_both_shapes() -> None:
    with pytest.raises(DataSetError, match=r"\(2, 3\).*\(3, 2\)"):
        contingency_table(np.zeros((2, 3), int), np.zeros((3, 2), int))


@pytest.mark.parametrize(
    ("counts", "scores"),
    [
        ((3, 1, 0), (0.75, 1, 6 / 7)),
        ((0, 0, 0), (1, 1, 1)),
        ((0, 0, 5), (1, 0, 0)),
        ((0, 5, 0), (0, 1, 0)),
        ((0, 5, 5), (0, 0, 0)),
    ],
)
def test_nothing_wrong_is_perfect_and_nothing_right_is_0(
    counts: tuple[int, int, int], scores: tuple[float, float, float]
) -> None:
    assert f_score(*counts) == pytest.approx(scores)


def test_what_is_not_defined_is_0() -> None:
    nan = float("nan")
    assert f_score(nan, nan, nan)[2] == 0
    assert harmonic_mean(nan, 1) == 0
    assert harmonic_mean(0, 0) == 0
