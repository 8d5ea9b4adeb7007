import json
import threading

import numpy as np
import pytest

from unet2015.errors import DataSetError, ImageValueError, LabelError, UsageError
from unet2015.metrics.pixel import pixel_error
from unet2015.metrics.rand import rand_error
from unet2015.metrics.thresholds import each_slice, highest, read_stack, threshold_steps
from unet2015.metrics.warping import warping_error

CHALLENGE = [0.0, 0.1, 0.2, 0.30000000000000004, 0.4, 0.5, 0.6, 0.7, 0.7999999999999999]
CHALLENGE += [0.8999999999999999, 0.9999999999999999]


def test_thresholds_are_added_up_in_double_precision() -> None:
    assert list(threshold_steps(0.0, 1.0)) == CHALLENGE
    assert list(threshold_steps(0.0, 0.9)) == CHALLENGE[:10]
    assert list(threshold_steps(0.1, 0.9)) == CHALLENGE[1:10]


@pytest.mark.parametrize(
    "limits", [(1.0, 0.0, 0.1), (0.0, 1.0, 0.0), (0.0, float("inf"), 0.1), (0.0, 1.0, float("nan"))]
)
def test_thresholds_that_never_end_are_refused(limits: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError):
        threshold_steps(*limits)


def test_float32_values_are_compared_with_double_thresholds() -> None:
    # float32(0.3) is above 0.30000000000000004; float32(0.7) is not above 0.7.
    rows = pixel_error([[1, 0]], np.array([[0.3, 0.7]], np.float32)).by_threshold
    assert [row.tp for row in rows] == [1, 1, 1, 1] + [0] * 7
    assert [row.fp for row in rows] == [1] * 7 + [0] * 4


def test_a_pixel_of_1_is_above_the_last_threshold() -> None:
    assert pixel_error([[1]], [[1.0]]).by_threshold[-1].tp == 1


def test_names_both_shapes() -> None:
    with pytest.raises(DataSetError, match=r"\(2, 3\).*\(3, 2\)"):
        read_stack(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(DataSetError, match=r"\(1, 1, 1, 1\)"):
        read_stack(np.zeros((1, 1, 1, 1)), np.zeros((1, 1, 1, 1)))
    with pytest.raises(DataSetError, match=r"\(0, 4\)"):
        read_stack(np.zeros((0, 4)), np.zeros((0, 4)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.5, 1.5])
def test_names_the_slice_of_values_that_are_no_probabilities(bad: float) -> None:
    proposal = np.zeros((4, 2, 2), np.float32)
    proposal[2, 1, 0] = bad
    for measure in (pixel_error, rand_error, warping_error):
        with pytest.raises(ImageValueError, match="slice 2"):
            measure(np.ones((4, 2, 2), int), proposal)


@pytest.mark.parametrize("bad", [0.5, np.nan, -1.0])
def test_names_the_slice_of_labels_that_are_none(bad: float) -> None:
    labels = np.ones((4, 2, 2))
    labels[3, 0, 0] = bad
    with pytest.raises(LabelError, match="slice 3"):
        read_stack(labels, np.zeros((4, 2, 2)))
    with pytest.raises(LabelError, match="slice 0"):
        read_stack(np.array([[-1]]), [[0.0]])


def test_the_first_of_equal_thresholds_is_chosen_and_none_when_nothing_is_found() -> None:
    measured = rand_error([[1, 0, 1]], [[0.45, 0.0, 0.45]])
    assert (measured.value, measured.threshold) == (0.0, 0.0)
    assert measured.best is measured.by_threshold[0]
    nothing = pixel_error([[1]], [[0.0]])
    assert (nothing.value, nothing.threshold) == (1.0, None)
    assert nothing.best is nothing.by_threshold[0]
    assert highest([], lambda row: row.value) == (0.0, None)  # type: ignore[attr-defined]


def test_json_has_no_nan() -> None:
    plain = rand_error([[0]], [[0.0]]).as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["by_threshold"][0]["tp"] is None


def test_slices_come_back_in_order_and_progress_is_told() -> None:
    stack = read_stack(np.ones((5, 1, 1), int), np.linspace(0, 1, 5, dtype=np.float32).reshape(5, 1, 1))
    last = threading.Event()

    def late(_: np.ndarray, page: np.ndarray) -> float:
        if page[0, 0] == 1:
            last.set()
        elif page[0, 0] == 0:
            last.wait(0.05)  # so that later slices are done first
        return float(page[0, 0])

    told: list[tuple[int, int]] = []
    assert each_slice(late, stack, lambda done, count: told.append((done, count))) == [0, 0.25, 0.5, 0.75, 1]
    assert told == [(k, 5) for k in range(1, 6)]
