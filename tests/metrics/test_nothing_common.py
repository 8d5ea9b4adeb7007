"""Class maps whose sides have no class in common are said to be so."""

import numpy as np
import pytest
import tifffile

from unet2015.errors import DataSetError
from unet2015.metrics.pixel_folders import evaluate_pixels

CLASSES = np.zeros((40, 40), np.uint8)
CLASSES[4:16, 4:16] = 1
CLASSES[20:34, 18:36] = 2
MASK = (CLASSES > 0).astype(np.uint8)


@pytest.fixture
def said(tmp_path, caplog):
    """What is said of truth and result, where they are compared."""

    def call(truth, result, **options):
        caplog.clear()
        for name, page in (("t", truth), ("r", result)):
            tifffile.imwrite(tmp_path / f"{name}.tif", np.asarray(page))
        evaluate_pixels(tmp_path / "t.tif", tmp_path / "r.tif", **options)
        return [message for message in caplog.messages if "no class in common" in message]

    return call


def as_values(classes, *values):
    """The same classes with other values."""
    return np.array([0, *values], np.uint8)[classes]


def test_classes_saved_as_gray_values_are_said(said):
    (note,) = said(CLASSES, np.roll(as_values(CLASSES, 128, 255), 2, 0))
    assert "r.tif: holds 0, 128, 255, but" in note
    assert "t.tif 0, 1, 2:" in note
    assert "--foreground" not in note
    assert said(as_values(CLASSES, 128, 255), CLASSES)


@pytest.mark.parametrize("value", [2, 128])
def test_masks_of_another_value_are_said_with_the_option_that_helps(said, value):
    (note,) = said(MASK, value * MASK)
    assert "--foreground" in note
    assert said(value * MASK, MASK)
    with pytest.raises(DataSetError, match="masks of 0 and 255"):
        said(255 * MASK, value * MASK)
    assert not said(MASK, value * MASK, foreground=True)


def test_ordinary_results_are_not_asked_about(said):
    for result in (CLASSES, np.roll(CLASSES, 5, 1), CLASSES * 0, MASK, 2 * MASK):
        assert not said(CLASSES, result)
        assert not said(result, CLASSES)
    assert not said(MASK, 255 * MASK)
    assert not said(MASK * 0, 128 * MASK)
    assert not said(MASK * 0 + 1, MASK * 0)
    assert not said(as_values(CLASSES, 7, 2), MASK * 0, ignore=7)


def test_what_another_note_says_is_not_said_twice(said, caplog):
    labels = np.zeros((40, 40), np.uint8)
    for number in range(4):
        labels[10 * number : 10 * number + 6, 4:16] = number + 5
    assert not said((labels > 0).astype(np.uint8), labels)
    assert "instance labels" in caplog.text
    many = np.kron(np.arange(16).reshape(4, 4), np.ones((10, 10))).astype(np.uint8)
    assert not said(many, np.where(many, many + 20, 0).astype(np.uint8))
    assert caplog.text.count("lie mostly on another value") == 1
