"""Instance labels in which the background has a number are said to be so, wherever labels are read."""

import logging

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from unet2015.metrics.background import LabelAreas, describe_background
from unet2015.metrics.object_folders import evaluate_objects
from unet2015.metrics.seg_folders import evaluate_seg
from unet2015.segmentation.label_files import measure_files
from unet2015.settings import LabelSettings, TrainingSettings
from unet2015.training.checks.label_file import inspect_labels
from unet2015.training.checks.training_set import inspect_set


def cells() -> np.ndarray:
    page = np.zeros((60, 60), np.uint16)
    for number in range(9):
        y, x = 20 * (number // 3) + 2, 20 * (number % 3) + 2
        page[y : y + 8, x : x + 8] = number + 1
    return page


def coded(how: str) -> np.ndarray:
    page = cells()
    if how == "from 1":
        return page + 1
    if how == "highest":
        return np.where(page == 0, 10, page)
    if how == "far":
        return np.where(page == 0, 65535, page).astype(np.uint16)
    if how == "in the middle":
        return np.where(page == 0, 5, page + (page >= 5)).astype(np.uint16)
    lines = page + 1  # watershed lines of 0 around the cells
    grown = np.pad(page, 1)
    beside = (grown[:-2, 1:-1] | grown[2:, 1:-1] | grown[1:-1, :-2] | grown[1:-1, 2:]) > 0
    lines[beside & (page == 0)] = 0
    return lines


WAYS = ["from 1", "highest", "far", "in the middle", "with lines"]


@pytest.mark.parametrize("how", WAYS)
def test_a_background_with_a_number_is_said_by_all_that_read_labels(how, tmp_path, caplog):
    page, right = coded(how), cells()
    for pages in (page, np.stack([page, page])):
        notes = inspect_labels(pages, LabelSettings(), "a.tif").notes
        assert sum("is it the background" in note or "are the background" in note for note in notes) >= 1
        assert all(note.startswith("a.tif") for note in notes)
    for folder, labels in (("bad", page), ("good", right)):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "man_seg001.tif", labels)
        tifffile.imwrite(tmp_path / folder / "mask001.tif", labels)

    def said(work) -> bool:
        caplog.clear()
        work()
        return "is it the background" in caplog.text

    with caplog.at_level(logging.INFO, "unet2015"):
        for name, wanted in (("bad", True), ("good", False)):
            file = tmp_path / name / "man_seg001.tif"
            assert said(lambda: measure_files(file, tmp_path / f"{name}.csv")) == wanted  # noqa: B023
            assert said(lambda: evaluate_seg(tmp_path / name, tmp_path / "good")) == wanted  # noqa: B023
    truth, good = tmp_path / "bad" / "man_seg001.tif", tmp_path / "good" / "man_seg001.tif"
    for one, other, side in ((truth, good, "the truth: "), (good, truth, "the result: ")):
        (note,) = evaluate_objects(one, other).as_dict()["notes"]
        assert note.startswith(side)
        assert "is it the background" in note
    assert evaluate_objects(good, good).notes == []


def test_the_note_names_number_share_and_pages():
    page = LabelAreas.of(cells() + 1)
    assert describe_background([page]) == (
        "84% of the pixels have the number 1, as many as 47 of the other objects; is it the background, "
        "which must be 0? Here it counts as one object"
    )
    none = LabelAreas.of(cells())
    text = describe_background([none, page, page, page])
    assert text is not None
    assert text.startswith("page 1 (and 2 more pages): 84%")


def test_cells_that_fill_every_page_are_asked_about_once_and_one_full_page_of_several_is_not():
    full = np.repeat(np.arange(1, 7, dtype=np.uint8), 60).reshape(6, 60)
    some = full.copy()
    some[0, 0] = 0
    pages = [LabelAreas.of(full), LabelAreas.of(full)]
    assert "no pixel is 0" in (describe_background(pages) or "")
    assert describe_background([*pages, LabelAreas.of(some)]) is None
    assert describe_background([LabelAreas.of(np.ones((6, 6), np.uint8))]) is None
    assert describe_background([]) is None


@pytest.mark.parametrize("large", [False, True])
def test_a_large_cell_beside_others_of_its_kind_is_none(large):
    page = np.zeros((20, 20), np.uint8)
    page[:12] = 1
    page[14:, : 18 if large else 2] = 2
    assert (describe_background([LabelAreas.of(page)]) is None) == large


@settings(max_examples=200)
@given(npst.arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 2), elements=st.sampled_from([0, 1, 2, 3])))
def test_objects_that_cover_half_of_a_page_or_less_say_nothing(page):
    for pages in ([page], [page, page * 0 + 1]):
        said = [describe_background([*map(areas, pages)]) for areas in (LabelAreas.of, LabelAreas.of_all)]
        assert said[0] == said[1]


def test_areas_are_counted_once_a_page(tmp_path, monkeypatch):
    counted, count = [], LabelAreas.of_all
    monkeypatch.setattr(LabelAreas, "of_all", lambda page: counted.append(page.shape) or count(page))
    page = coded("from 1")
    for folder, name in (("t", "man_seg1.tif"), ("r", "mask1.tif")):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / name, np.stack([page, page]), metadata={"axes": "ZYX"})
    for evaluate in (evaluate_objects, evaluate_seg):
        counted.clear()
        evaluate(tmp_path / "t", tmp_path / "r")
        assert counted == [page.shape] * 4  # two pages of truth and of result


def test_check_and_train_say_it_and_a_value_that_is_not_annotated_is_not_meant(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (60, 60), np.uint8)
    tifffile.imwrite(tmp_path / "i.tif", np.stack([pixels, pixels + 1]))
    tifffile.imwrite(tmp_path / "l.tif", np.stack([cells() + 1] * 2))
    found = inspect_set([(tmp_path / "i.tif", tmp_path / "l.tif")], TrainingSettings()).problems
    said = [problem for problem in found if "number 1, as many as 47" in problem.message]
    assert [problem.severity for problem in said] == ["warning"]
    notes = inspect_labels(cells() + 1, LabelSettings(ignore=1), "a.tif").notes
    assert not [note for note in notes if "is it the background" in note]
