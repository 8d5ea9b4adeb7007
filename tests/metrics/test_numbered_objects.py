"""Instance labels that are compared as class maps are said to be such."""

import numpy as np
import pytest
import tifffile

from unet2015.metrics.pixel_folders import evaluate_pixels

CELLS = np.zeros((60, 60), np.uint8)
for _number in range(9):
    _y, _x = 20 * (_number // 3) + 4, 20 * (_number % 3) + 4
    CELLS[_y : _y + 10, _x : _x + 10] = _number + 1


@pytest.fixture
def said(tmp_path, caplog):
    """What is said of two class maps, where they are compared."""

    def call(truth, result, **options):
        caplog.clear()
        for name, page in (("t", truth), ("r", result)):
            tifffile.imwrite(tmp_path / f"{name}.tif", page)
        evaluate_pixels(tmp_path / "t.tif", tmp_path / "r.tif", **options)
        return "instance labels" in caplog.text

    return call


def renumbered(labels, turn=1):
    """The same objects with other numbers."""
    return np.where(labels > 0, (labels + turn - 1) % 9 + 1, 0).astype(np.uint8)


def test_objects_with_other_numbers_on_both_sides_are_said(said, caplog):
    assert said(CELLS, renumbered(CELLS))
    assert "9 of 9 values of the truth on a page lie mostly on another value" in caplog.text
    assert said(CELLS, np.roll(renumbered(CELLS, 3), 2, 0))


def test_classes_are_not_asked_about(said):
    rng = np.random.default_rng(0)
    for result in (CELLS, np.roll(CELLS, 3, 1), np.where(CELLS == 4, 5, CELLS), CELLS * 0):
        assert not said(CELLS, result.astype(np.uint8))
    assert not said(CELLS, renumbered(CELLS), foreground=True)
    assert not said(CELLS % 4, renumbered(CELLS) % 4)
    assert not said(CELLS, rng.integers(0, 10, CELLS.shape, np.uint8))
