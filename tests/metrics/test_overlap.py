import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unet2015.errors import DataSetError, LabelError
from unet2015.metrics.overlap import Overlap, dice, f1, iou, pixel_overlap

maps = hnp.arrays(
    np.uint8, st.tuples(st.just(2), st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 3)
)


@settings(deadline=None)
@given(maps, st.sampled_from([None, 0, 1, 3]))
def test_equals_sets_of_pixels(pair: np.ndarray, label: int | None) -> None:
    truth, prediction = (set(map(tuple, np.argwhere(a != 0 if label is None else a == label))) for a in pair)
    overlap = pixel_overlap(*pair, label=label)
    assert overlap == Overlap(
        len(truth & prediction),
        len(prediction - truth),
        len(truth - prediction),
        pair[0].size - len(truth | prediction),
    )
    if truth | prediction:
        assert iou(*pair, label=label) == len(truth & prediction) / len(truth | prediction)
        both = 2 * len(truth & prediction) / (len(truth) + len(prediction))
        assert dice(*pair, label=label) == f1(*pair, label=label) == pytest.approx(both)
    else:
        assert iou(*pair, label=label) == dice(*pair, label=label) == 1


@settings(deadline=None)
@given(maps)
def test_does_not_depend_on_orientation_and_is_symmetric(pair: np.ndarray) -> None:
    overlap = pixel_overlap(*pair)
    assert pixel_overlap(pair[0].T, pair[1].T) == pixel_overlap(pair[0][::-1], pair[1][::-1]) == overlap
    back = pixel_overlap(pair[1], pair[0])
    assert (back.precision, back.recall) == (overlap.recall, overlap.precision)
    assert (back.iou, back.dice) == pytest.approx((overlap.iou, overlap.dice))
    assert 0 <= overlap.iou <= overlap.dice <= 1


def test_names_both_shapes() -> None:
    with pytest.raises(DataSetError, match=r"\(2,\).*\(3,\)"):
        iou([1, 1], [1, 1, 1])


def test_negative_values_are_refused_and_masks_without_background_are_said(caplog) -> None:
    mask = np.eye(4, dtype=np.int8)
    for measure in (dice, iou, f1, pixel_overlap):
        for pair in ((mask * 2 - 1, mask), (mask, -mask)):
            with pytest.raises(LabelError, match=r"has the value -1: expected masks or classes from 0 on"):
                measure(*pair)
    assert dice(mask, mask) == dice(mask * 0 + 1, mask * 0 + 1) == dice(mask + 1, mask + 1, label=2) == 1
    assert not caplog.text
    dice(mask, mask + 1)
    assert "prediction has no 0, so that every pixel counts as foreground" in caplog.text
