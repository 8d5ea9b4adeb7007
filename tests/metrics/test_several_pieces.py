"""Objects in several pieces are named, where labels are measured and compared."""

import logging

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from unet2015.metrics import evaluate_objects, evaluate_seg
from unet2015.metrics.several_pieces import InPieces, several_pieces
from unet2015.objects import strips
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


@pytest.mark.parametrize("strip", [2**20, 90 * 7, 1])
@pytest.mark.parametrize("pages", [1, 2])
def test_measure_names_them(tmp_path, monkeypatch, caplog, strip, pages):
    monkeypatch.setattr(strips, "STRIP_PIXELS", strip)
    caplog.set_level(logging.INFO, "unet2015")
    tifffile.imwrite(tmp_path / "l.tif", np.stack([cells()] * pages), photometric="minisblack")
    measure_files(tmp_path / "l.tif", tmp_path / "m.csv")
    names = [f"{number}{f' (page {page})' * (pages > 1)}" for page in range(pages) for number in (1, 3)]
    said = f"{2 * pages} of {7 * pages} objects are in several pieces, each of which counts as one: "
    assert f"{said}{', '.join(names)}; see that" in caplog.text


def test_measure_names_those_of_large_pages_too(tmp_path, caplog):
    """Also such as fill more than half of their bounding box: here a cell, and a stray pixel beside it."""
    labels = np.zeros((3000, 3000), np.uint8)
    labels[1000:1040, 1000:1040], labels[10:20, 10:20] = 1, 2
    labels[1039, 1042] = 1
    tifffile.imwrite(tmp_path / "l.tif", labels, photometric="minisblack", compression="zlib")
    (result,) = measure_files(tmp_path / "l.tif", tmp_path / "m.csv")
    assert any(
        "1 of 2 objects are in several pieces, each of which counts as one: 1;" in n for n in result.notes
    )


def test_nothing_is_said_of_whole_cells_that_touch(tmp_path, caplog):
    labels = np.kron(np.arange(1, 13, dtype=np.uint16).reshape(3, 4), np.ones((10, 10), np.uint16))
    tifffile.imwrite(tmp_path / "l.tif", labels * (labels != 5), photometric="minisblack")
    measure_files(tmp_path / "l.tif", tmp_path / "m.csv")
    assert "several pieces" not in caplog.text


def apart():
    """Eight cells of 11 x 11 px."""
    whole = np.kron(np.arange(1, 9, dtype=np.uint16).reshape(2, 4), np.ones((12, 12), np.uint16))
    whole[:, ::12] = whole[::12] = 0
    return whole


def test_evaluate_names_those_of_either_side(tmp_path):
    whole = apart()
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


def frames(folder, **labels):
    folder.mkdir()
    for name, pages in labels.items():
        about = {"axes": "ZYX"} if pages.ndim == 3 else {}
        more = {"photometric": "minisblack", "metadata": about, "software": folder.name}
        tifffile.imwrite(folder / f"{name}.tif", pages, **more)
    return folder


def test_seg_names_those_of_either_side(tmp_path, caplog):
    whole, stray = frames(tmp_path / "t", man_seg0=apart(), man_seg1=apart()), apart()
    stray[0, 0] = 6
    result = frames(tmp_path / "r", mask0=apart(), mask1=stray)
    notes = evaluate_seg(whole, result).notes
    assert notes == (
        f"{result}: 1 of 16 objects are in several pieces, each of which counts as one: 6 (mask1.tif); see "
        "that no two cells have one number, and no stray pixels",
    )
    assert caplog.messages == [*notes]
    truth = frames(tmp_path / "s", man_seg0=stray)
    (whole / "man_seg1.tif").unlink()
    assert [note.partition(";")[0] for note in evaluate_seg(truth, whole).notes] == [
        f"{truth}: 1 of 8 objects are in several pieces, each of which counts as one: 6 (man_seg0.tif)"
    ]


def test_seg_says_nothing_of_what_is_one_piece_of_its_frame(tmp_path):
    """A cell in a volume may be in pieces in a slice, and what is ignored may lie across a cell."""
    volume = np.stack([apart(), apart(), apart()])
    volume[0, :12, 5] = 0
    truth = frames(tmp_path / "t", man_seg0=volume)
    assert several_pieces(volume[0]) == [1]
    assert evaluate_seg(truth, frames(tmp_path / "r", mask0=volume)).notes == ()
    across = apart()
    across[5] = 99
    truth = frames(tmp_path / "u", man_seg0=across)
    result = frames(tmp_path / "q", mask0=apart())
    assert evaluate_seg(truth, result, ignore=99).notes == ()
    assert evaluate_objects(truth, result, ignore=99).notes == []
    across[across == 4] = 6  # which does not touch what is ignored
    tifffile.imwrite(truth / "man_seg0.tif", across, photometric="minisblack")
    (note,) = evaluate_seg(truth, result, ignore=99).notes
    assert note.startswith(f"{truth}: 1 of 7 objects are in several pieces, each of which counts as one: 6 ")


def test_masks_are_said_to_be_masks_alone(tmp_path):
    truth = frames(tmp_path / "t", man_seg0=apart())
    notes = evaluate_seg(truth, frames(tmp_path / "r", mask0=(apart() > 0).astype(np.uint8))).notes
    assert ["looks like a mask" in note for note in notes] == [True]


def test_nothing_is_looked_at_in_no_file():
    assert InPieces().describe() is None
