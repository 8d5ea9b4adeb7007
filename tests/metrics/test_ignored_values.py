"""A value to ignore that is nowhere in the truth, or that of all its foreground: both are said."""

import json
import logging

import numpy as np
import pytest
import tifffile

from unet2015.errors import DataSetError, UsageError
from unet2015.metrics import evaluate_objects, evaluate_pixels, evaluate_seg

CELLS = np.kron(np.array([[1, 0, 2], [0, 3, 3]], np.uint16), np.ones((10, 10), np.uint16))
MASK = np.where(CELLS > 0, 255, 0).astype(np.uint8)
FOUND = np.roll(MASK, 2, 1)


@pytest.fixture
def both(tmp_path):
    """Write pages of truth and result, as SEG wants them named; return the two folders."""

    def write(truth, result):
        for folder, stem, pages in (("t", "man_seg", truth), ("r", "mask", result)):
            (tmp_path / folder).mkdir(exist_ok=True)
            for number, page in enumerate(pages):
                tifffile.imwrite(tmp_path / folder / f"{stem}{number}.tif", page)
        return tmp_path / "t", tmp_path / "r"

    return write


@pytest.mark.parametrize("foreground", [False, True])
def test_of_pixels_a_value_that_is_nowhere_is_said_once(both, caplog, foreground) -> None:
    folders = both([MASK, MASK], [FOUND, FOUND])
    note = f"{folders[0]}: no pixel has the value 128, that of --ignore"
    found = evaluate_pixels(*folders, ignore=128, foreground=foreground)
    assert found.notes == (note,)
    assert json.loads(json.dumps(found.as_dict()))["notes"] == [note]
    assert caplog.text.count(note) == 1
    assert found.classes == evaluate_pixels(*folders, foreground=foreground).classes
    part = np.where(np.arange(30) < 5, 128, MASK)
    assert evaluate_pixels(*both([part, MASK], [FOUND, FOUND]), ignore=128).notes == ()  # one page has it


@pytest.mark.parametrize("foreground", [False, True])
@pytest.mark.parametrize("result", [FOUND, FOUND // 255, np.where(MASK, FOUND, 0)])
def test_of_masks_a_value_to_ignore_that_is_all_their_foreground_is_said(both, foreground, result) -> None:
    folders = both([0 * MASK, MASK, MASK], [result] * 3)
    (note,) = evaluate_pixels(*folders, ignore=255, foreground=foreground).notes
    assert note == (
        f"{folders[0] / 'man_seg1.tif'} (and 1 more file): its pixels of 255, the value of --ignore, are "
        f"left out, and all others of {folders[0]} are 0: no foreground (class 1) is left to compare, and "
        "whatever was found is false; if 255 is the foreground, leave out --ignore 255"
    )


def test_and_that_no_background_is_left(both) -> None:
    folders = both([MASK], [FOUND])
    (note,) = evaluate_pixels(*folders, ignore=0).notes
    assert note == (
        f"{folders[0] / 'man_seg0.tif'}: its pixels of 0, the value of --ignore, are left out, and all "
        f"others of {folders[0]} are 255: no other class is left to compare, and no pixel found as 255 is "
        "false; if 0 is a class, as the background is, leave out --ignore 0"
    )


def test_a_part_that_is_ignored_is_not_said(both) -> None:
    part = np.where(np.arange(30) < 15, MASK // 255, 255).astype(np.uint8)
    assert evaluate_pixels(*both([part, 0 * MASK], [FOUND // 255] * 2), ignore=255).notes == ()


def test_of_objects_too(both, caplog) -> None:
    folders = both([0 * CELLS, MASK, MASK], [CELLS] * 3)
    notes = evaluate_objects(*folders, ignore=255).as_dict()["notes"]
    assert notes == [
        f"the truth holds no object beside the pixels of 255, the value of --ignore, in "
        f"{folders[0] / 'man_seg1.tif'} (and 1 more file), so every measure is 0; if these are objects, "
        "leave out --ignore 255"
    ]
    assert evaluate_objects(*both([0 * CELLS] * 3, [CELLS] * 3), ignore=255).notes == [
        "the truth: no pixel has the value 255, that of --ignore",
        "the truth holds no object, so every measure is 0",
    ]


def test_and_of_seg(both, caplog) -> None:
    folders = both([0 * CELLS, MASK, MASK], [CELLS] * 3)
    with pytest.raises(DataSetError) as caught:
        evaluate_seg(*folders, ignore=255)
    assert str(caught.value) == (
        f"{folders[0] / 'man_seg1.tif'} (and 1 more file): SEG needs at least one ground truth object, but "
        "all pixels that are not 0 have 255, the value of --ignore; if these are objects, leave out "
        "--ignore 255"
    )
    with pytest.raises(DataSetError, match="every frame is empty"):
        evaluate_seg(*both([0 * CELLS] * 3, [CELLS] * 3), ignore=255)
    with caplog.at_level(logging.WARNING, "unet2015"):
        caplog.clear()
        found = evaluate_seg(*both([CELLS] * 3, [np.roll(CELLS, 1, 1)] * 3), ignore=255)
    assert f"{folders[0]}: no pixel has the value 255, that of --ignore" in found.as_dict()["notes"]


def test_that_the_background_is_ignored_is_said(both, caplog) -> None:
    """A false object is not seen then."""
    false = CELLS.copy()
    false[:5, 12:16] = 9
    folders = both([CELLS], [false])
    found = evaluate_objects(*folders, ignore=0)
    assert found.scores.at(0.5).precision == 1 > evaluate_objects(*folders).scores.at(0.5).precision
    note = (
        "0, the value of --ignore, is the background: what was found there, such as false objects, does not"
    )
    assert [text.startswith(f"the truth: {note}") for text in found.notes] == [True]
    with caplog.at_level(logging.WARNING, "unet2015"):
        evaluate_seg(*folders, ignore=0)
    assert f"{folders[0]}: {note}" in caplog.text
    assert not any(note in text for text in evaluate_objects(*folders, ignore=7).notes)


def test_that_class_0_is_ignored_is_said(both) -> None:
    folders = both([CELLS % 3], [np.roll(CELLS % 3, 1)])
    notes = evaluate_pixels(*folders, ignore=0).notes
    assert [text for text in notes if "--ignore 0" in text] == [
        f"{folders[0]}: the pixels of 0, the value of --ignore, are left out, so that whatever was found "
        "there does not count as false; if 0 is the background, leave out --ignore 0"
    ]
    with pytest.raises(UsageError, match="leave out one of the two"):
        evaluate_pixels(*folders, ignore=0, foreground=True)
