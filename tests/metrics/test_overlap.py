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


def smooth(sharpness: float, dtype: type = np.uint8) -> np.ndarray:
    """A probability map of some blobs as whole numbers; the sharper, the more pixels are 0 or the highest."""
    y, x = np.mgrid[:90, :120]
    p = 1 / (1 + np.exp(-sharpness * (np.sin(x / 6) * np.cos(y / 7) + 0.1 * np.sin(x / 3 + y / 5))))
    return (p * np.iinfo(dtype).max).astype(dtype)


CELLS = np.kron(np.arange(1, 31).reshape(5, 6) * (np.indices((5, 6)).sum(0) % 2), np.ones((9, 9), int))
"""Instance labels: far from 0 and 1, and no image."""


@pytest.mark.parametrize("sharpness", [2, 30, 200])
@pytest.mark.parametrize("side", [0, 1])
def test_probabilities_as_whole_numbers_are_no_mask(caplog, sharpness, side) -> None:
    """Where all gray values count as foreground, the figure is wrong, also of a network that is sure."""
    for dtype, half in ((np.uint8, 127), (np.uint16, 32767)):
        gray = smooth(sharpness, dtype)
        mask = gray > half
        for form in (np.asarray, np.ravel, lambda page: np.stack([np.zeros_like(page), page])):
            pair = [form(gray), form(mask)]
            caplog.clear()
            dice(*(pair if side == 0 else pair[::-1]))
            name = ("truth", "prediction")[side]
            assert f"give a mask, such as {name} > {half}" in caplog.text
            caplog.clear()
            assert dice(form(gray > half), form(mask)) == 1
            assert dice(form(mask * np.iinfo(dtype).max), form(mask)) == 1
            assert not caplog.text


@pytest.mark.parametrize("labels", [CELLS, CELLS * 2000, CELLS.T[::-1], CELLS % 7, np.stack([CELLS, CELLS])])
def test_instance_labels_and_classes_are_taken_as_masks(caplog, labels: np.ndarray) -> None:
    assert dice(labels > 0, labels) == dice(labels, labels) == dice(labels.ravel(), labels.ravel() > 0) == 1
    assert not caplog.text


@pytest.mark.parametrize("value", [255, 65535])
@pytest.mark.parametrize("lower", [1, 3, 100])
def test_a_value_of_what_is_not_annotated_is_said(caplog, value: int, lower: int) -> None:
    truth = np.zeros((8, 9), np.uint16)
    truth[:2], truth[5:7, 2:6] = value, lower
    found = truth == lower
    assert dice(truth, found) == pytest.approx(2 * 8 / (8 + 26))
    assert f"truth has the value {value} beside lower ones, which counts as foreground" in caplog.text
    annotated = truth != value
    caplog.clear()
    assert dice(truth[annotated], found[annotated]) == dice(truth, truth) == 1
    assert dice(truth, truth, label=value) == dice(found * value, found) == 1
    assert not caplog.text
    dice(truth, found * lower, label=lower)
    assert f"which counts as not {lower};" in caplog.text
    caplog.clear()
    dice(found, truth)
    assert f"prediction has the value {value}" in caplog.text
