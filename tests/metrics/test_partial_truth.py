"""Truth of objects of which a part is not annotated: it is left out, or asked about."""

import logging

import numpy as np
import pytest
import tifffile

from unet2015.errors import DataSetError, LabelError
from unet2015.metrics import evaluate_objects, evaluate_seg
from unet2015.metrics.objects import score_pages


def cells() -> np.ndarray:
    """20 cells of 64 px in 5 columns; rows 0 to 3."""
    page = np.zeros((80, 100), np.int32)
    for number in range(20):
        y, x = 20 * (number // 5) + 4, 20 * (number % 5) + 4
        page[y : y + 8, x : x + 8] = number + 1
    return page


FOUND = cells()
MARKED = np.where(np.indices(FOUND.shape)[0] < 30, 255, FOUND)
"""Of the second row of cells 2 of 8 rows of pixels are not annotated, of the first all."""


@pytest.fixture
def files(tmp_path):
    """Write truth and result in the layout of the challenge, and return their folders."""

    def write(truth, found, name="x", dtype=np.uint16):
        folders = tmp_path / f"{name}t", tmp_path / f"{name}r"
        for folder, stem, page in zip(folders, ("man_seg", "mask"), (truth, found), strict=True):
            folder.mkdir()
            tifffile.imwrite(folder / f"{stem}001.tif", page.astype(dtype))
        return folders

    return write


@pytest.mark.parametrize("mark", [255, 65535, -1, 7000])
def test_what_is_ignored_belongs_to_no_object_and_what_is_found_there_is_not_false(files, mark):
    truth, found = np.where(MARKED == 255, mark, MARKED), FOUND.copy()
    found[30:40, 4:12] = 0  # of cell 6 only what is not annotated was found
    folders = files(truth, found, dtype=np.int32 if mark < 0 else np.uint16)
    compared = evaluate_objects(*folders, ignore=mark)
    counts = compared.scores.at(0.5)
    assert (counts.tp, counts.fp, counts.fn, counts.iou_sum) == (14, 0, 1, 14)
    assert (compared.scores.true_objects, compared.scores.found_objects) == (15, 14)
    assert compared.scores.seg == evaluate_seg(*folders, ignore=mark).value == 14 / 15
    assert compared.notes == []


def test_a_false_object_counts_if_half_of_it_or_more_is_annotated(files):
    truth, found = np.where(MARKED == 255, 255, 0), np.zeros_like(FOUND)
    truth[70:78, 4:12] = found[70:78, 4:12] = 1
    for number, (below, above) in enumerate([(4, 4), (4, 3), (3, 4), (0, 8)], 2):
        found[30 - above : 30 + below, 20 * number : 20 * number + 8] = number
    scores = evaluate_objects(*files(truth, found), ignore=255).scores
    assert (scores.at(0.5).tp, scores.at(0.5).fp, scores.at(0.5).fn) == (1, 2, 0)
    assert (scores.true_objects, scores.found_objects) == (1, 3)


def test_an_object_that_is_mostly_elsewhere_may_have_a_partner(files):
    """The annotation may cut a cell, and what is left of it is found or missed as any other."""
    truth, found = np.zeros((40, 40), int), np.zeros((40, 40), int)
    found[10:20, 10:20] = 3
    truth[10:20, 10:20], truth[:18] = 4, 255
    scores = evaluate_objects(*files(truth, found), ignore=255).scores
    assert (scores.at(0.95).tp, scores.found_objects, scores.seg) == (1, 1, 1)
    found[18:, 10:20] = 3  # too large where it is annotated: no partner, and most of it is known
    scores = evaluate_objects(*files(truth, found, "y"), ignore=255).scores
    assert (scores.at(0.5).tp, scores.at(0.5).fp) == (0, 1)
    found[20:] = 0
    found[18:20, 16:20] = 0  # 12 of 20 px: a partner at 0.5, none at 0.75
    scores = evaluate_objects(*files(truth, found, "z"), ignore=255).scores
    assert [(scores.at(t).tp, scores.at(t).fp, scores.at(t).fn) for t in (0.5, 0.75)] == [
        (1, 0, 0),
        (0, 0, 1),
    ]
    assert scores.found_objects == 1


def test_equals_what_is_measured_of_the_annotated_part_alone():
    """Where the edge cuts no object, leaving pixels out is as cutting the image."""
    random = np.random.default_rng(0)
    for _ in range(20):
        known = random.integers(0, 5, (12, 9))
        found = random.integers(0, 5, (12, 9))
        other = random.integers(5, 9, (6, 9))
        truth, result = np.vstack([known, other * 0]), np.vstack([found, other])
        annotated = np.arange(18)[:, None].repeat(9, 1) < 12
        for value in (0, 3, 900):
            truth[12:] = value
            assert score_pages(truth, result, annotated=annotated) == score_pages(known, found)
    assert score_pages(truth, result, annotated=np.ones_like(annotated)) == score_pages(truth, result)
    nothing = score_pages(truth, result, annotated=np.zeros_like(annotated))
    assert (nothing.true_objects, nothing.found_objects, nothing.at(0.5).fp) == (0, 0, 0)


@pytest.mark.parametrize("mark", [255, 65535])
def test_a_part_that_may_not_be_annotated_is_asked_about(files, caplog, mark):
    folders = files(np.where(MARKED == 255, mark, MARKED), FOUND)
    (note,) = evaluate_objects(*folders).notes
    wanted = f"3000 pixels have the number {mark}, as many as 47 cells, and the cells are numbered up to 20; "
    assert wanted + f"if these pixels are not annotated, give --ignore {mark}, else they count as one" in note
    with caplog.at_level(logging.INFO, "unet2015"):
        evaluate_seg(*folders)
    assert wanted in caplog.text
    caplog.clear()
    other = np.where(FOUND == 20, 21, FOUND)  # equal files would be said to be no truth
    sound = files(FOUND, other, "sound")
    assert evaluate_objects(*sound).notes == []
    evaluate_seg(*sound)
    evaluate_seg(*folders, ignore=mark)
    assert not caplog.text


def test_a_value_to_ignore_that_is_nowhere_or_is_that_of_a_cell_is_said(files, caplog):
    folders = files(FOUND, FOUND)
    for ignore, wanted in (
        (255, "no pixel has the value 255, that of --ignore"),
        (7, "among those of the cells"),
    ):
        (note,) = evaluate_objects(*folders, ignore=ignore).notes
        assert wanted in note
        caplog.clear()
        evaluate_seg(*folders, ignore=ignore)
        assert caplog.text.count(wanted) == 1
    assert "(1 to 20), and its 64 pixels are left out" in note


def test_negative_labels_are_refused_with_what_may_be_meant(files):
    truth, result = files(np.where(MARKED == 255, -1, MARKED), FOUND, dtype=np.int32)
    (error,) = evaluate_objects(truth, result).comparison.failures
    assert "the truth: expected labels from 0 on, but the lowest is -1; if the truth marks so" in str(error)
    with pytest.raises(LabelError, match=r"man_seg001.*lowest is -1; .* give this value as --ignore"):
        evaluate_seg(truth, result)
    (error,) = evaluate_objects(result, truth).comparison.failures
    assert "the result: expected labels from 0 on, but the lowest is -1" in str(error)
    assert "--ignore" not in str(error)


def test_other_shapes_are_refused_also_where_a_value_is_ignored(files):
    folders = files(MARKED, FOUND[:-1])
    assert "79 x 100" in str(evaluate_objects(*folders, ignore=255).comparison.failures[0])
    with pytest.raises(DataSetError, match="one shape"):
        evaluate_seg(*folders, ignore=255)
