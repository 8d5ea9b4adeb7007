"""Objects in several pieces are named, where labels are measured and compared."""

import logging

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from unet2015.metrics import evaluate_objects
from unet2015.metrics.several_pieces import several_pieces
from unet2015.objects import scattered
from unet2015.segmentation.label_files import measure_files


@settings(max_examples=100, deadline=None)
@given(arrays.arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)))
def test_they_are_those_of_which_scipy_finds_more_than_one_part(labels):
    one_by_one = [
        number
        for number in np.unique(labels[labels > 0]).tolist()
        if ndimage.label(labels == number, np.ones((3, 3)))[1] > 1
    ]
    assert several_pieces(labels) == one_by_one


def cells():
    """Cells of 8 x 8 px, of which the last has the number of the first, and one a stray pixel."""
    labels = np.zeros((60, 90), np.uint16)
    for number in range(8):
        labels[5 + 30 * (number // 4) :, 4 + 20 * (number % 4) :][:8, :8] = number + 1
    labels[labels == 8] = 1
    labels[25, 80] = 3
    return labels


@pytest.mark.parametrize("whole", [2**23, 60 * 90 - 1])
@pytest.mark.parametrize("pages", [1, 2])
def test_measure_names_them(tmp_path, monkeypatch, caplog, whole, pages):
    monkeypatch.setattr(scattered, "_WHOLE", whole)
    caplog.set_level(logging.INFO, "unet2015")
    tifffile.imwrite(tmp_path / "l.tif", np.stack([cells()] * pages), photometric="minisblack")
    measure_files(tmp_path / "l.tif", tmp_path / "m.csv")
    names = [f"{number}{f' (page {page})' * (pages > 1)}" for page in range(pages) for number in (1, 3)]
    said = f"{2 * pages} of {7 * pages} objects are in several pieces, each of which counts as one: "
    assert f"{said}{', '.join(names)}; see that" in caplog.text


def test_nothing_is_said_of_whole_cells_that_touch(tmp_path, caplog):
    labels = np.kron(np.arange(1, 13, dtype=np.uint16).reshape(3, 4), np.ones((10, 10), np.uint16))
    tifffile.imwrite(tmp_path / "l.tif", labels * (labels != 5), photometric="minisblack")
    measure_files(tmp_path / "l.tif", tmp_path / "m.csv")
    assert "several pieces" not in caplog.text


def test_evaluate_names_those_of_either_side(tmp_path):
    whole = np.kron(np.arange(1, 9, dtype=np.uint16).reshape(2, 4), np.ones((12, 12), np.uint16))
    whole[:, ::12] = whole[::12] = 0
    tifffile.imwrite(tmp_path / "whole.tif", whole, photometric="minisblack")
    stray = whole.copy()
    stray[0, 0] = 6
    tifffile.imwrite(tmp_path / "stray.tif", stray, photometric="minisblack")
    notes = evaluate_objects(tmp_path / "stray.tif", tmp_path / "whole.tif").notes
    place = f"{tmp_path / 'stray.tif'} page 0"
    assert (
        f"the truth: 1 of 8 objects are in several pieces, each of which counts as one: 6 ({place});"
        in notes[0]
    )
    (note,) = evaluate_objects(tmp_path / "whole.tif", tmp_path / "stray.tif").notes
    assert note.startswith("the result: 1 of 8 objects")
    assert evaluate_objects(tmp_path / "whole.tif", tmp_path / "whole.tif").notes == []
