"""Labels of more cells than their type can number are said: by measure, evaluate objects, and arrays."""

import logging

import numpy as np
import pytest
import tifffile

from unet2015.metrics import average_precision
from unet2015.metrics.object_folders import evaluate_objects
from unet2015.metrics.run_over import run_over
from unet2015.metrics.seg_folders import evaluate_seg
from unet2015.segmentation.label_files import measure_files

SAID = "were there more cells than 8 bits can number?"


def cells(count, side=20, dtype="uint16"):
    """Return so many cells in rows of `side`, numbered from 1 on."""
    rows = -(-count // side)
    labels = np.zeros((10 * rows, 11 * side), dtype)
    for number in range(count):
        y, x = 10 * (number // side), 11 * (number % side)
        labels[y : y + 7, x : x + 8] = number + 1
    return labels


RIGHT = cells(300)
OVER = RIGHT.astype("uint8")
CUT = RIGHT.clip(max=255).astype("uint8")
THINNED = np.where(RIGHT % 7 == 0, 0, RIGHT).astype("uint8")


@pytest.mark.parametrize("labels", [OVER, CUT, THINNED, OVER.astype("int32")])
def test_numbers_that_did_not_fit_are_said(labels):
    assert SAID in run_over(labels)


TORN = cells(250, dtype="uint8")
TORN[0, -1] = 1


@pytest.mark.parametrize(
    "labels",
    [RIGHT, cells(255, dtype="uint8"), cells(200), TORN, np.zeros((5, 5), "u1"), 255 * (OVER > 0)],
    ids=["16 bits", "all 255", "200", "one torn", "nothing", "a mask"],
)
def test_nothing_is_said_of_others(labels):
    assert run_over(np.asarray(labels)) is None


def test_numbers_that_did_not_fit_16_bits_are_said():
    labels = np.zeros((200, 400), "uint32")
    labels[:164] = np.arange(1, 164 * 400 + 1).reshape(164, 400)
    labels[199, 399] = 65537
    assert "than 16 bits can number" in run_over((labels % 65536).astype("uint16"))


def test_measure_evaluate_and_arrays_say_it(tmp_path, caplog):
    for folder, labels in (("right", RIGHT), ("over", OVER)):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "a.tif", labels)
    with caplog.at_level(logging.WARNING, "unet2015"):
        measure_files(tmp_path / "over", tmp_path / "m")
    assert SAID in caplog.text
    caplog.clear()
    found = evaluate_objects(tmp_path / "right", tmp_path / "over")
    assert [note for note in found.notes if SAID in note and note.startswith("the result: ")]
    with caplog.at_level(logging.WARNING, "unet2015"):
        average_precision(RIGHT, OVER)
    assert SAID in caplog.text


def frames(folder, stem, labels, count=3):
    folder.mkdir()
    for number in range(count):
        tifffile.imwrite(folder / f"{stem}{number:03}.tif", np.roll(labels, number, 1))  # none twice


def test_evaluate_seg_says_it_once_for_all_frames_and_keeps_what_it_says(tmp_path, caplog):
    frames(tmp_path / "right", "man_seg", RIGHT)
    frames(tmp_path / "over", "mask", OVER)
    with caplog.at_level(logging.WARNING, "unet2015"):
        score = evaluate_seg(tmp_path / "right", tmp_path / "over")
    (note,) = score.notes
    assert note.startswith(f"{tmp_path / 'over' / 'mask000.tif'}: ")
    assert SAID in note
    assert note.endswith("(and so in 2 more frames)")
    assert caplog.messages == [note]
    assert score.as_dict()["notes"] == [note]


def test_evaluate_seg_says_it_of_the_truth_too(tmp_path):
    frames(tmp_path / "over", "man_seg", OVER, 1)
    frames(tmp_path / "right", "mask", RIGHT, 1)
    (note,) = evaluate_seg(tmp_path / "over", tmp_path / "right").notes
    assert note.startswith(f"{tmp_path / 'over' / 'man_seg000.tif'}: the numbers go up to 255")
    assert "more frame" not in note


def test_the_notes_of_seg_are_what_is_said(tmp_path, caplog):
    mask = np.where(RIGHT, 255, 0).astype("uint8")
    frames(tmp_path / "truth", "man_seg", RIGHT)
    frames(tmp_path / "masks", "mask", mask)
    with caplog.at_level(logging.WARNING, "unet2015"):
        found = evaluate_seg(tmp_path / "truth", tmp_path / "masks", ignore=999).notes
    assert [note.split(": ")[1] for note in found] == [
        "looks like a mask",
        "no pixel has the value 999, that of --ignore",
    ]
    assert found[0].endswith("(and 2 more files)")
    assert found[1].startswith(f"{tmp_path / 'truth'}: ")
    assert {*found} <= {*caplog.messages}
