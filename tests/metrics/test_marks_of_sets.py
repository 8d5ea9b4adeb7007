"""Values that say "not annotated" are asked about by all pages of a set, not by one page alone."""

import numpy as np
import pytest
import tifffile

from unet2015.errors import DataSetError
from unet2015.metrics import evaluate_objects, evaluate_seg
from unet2015.metrics.pixel_folders import evaluate_pixels

RANDOM = np.random.default_rng(0)
SHAPE = 60, 50


def class_map(highest=2, shape=SHAPE):
    share = 0.2 / highest
    return RANDOM.choice(highest + 1, shape, p=[0.8, *[share] * highest]).astype(np.uint16)


def cells(first=1, count=12):
    """Cells of 64 px in columns of 10 px."""
    page = np.zeros((80, 100), np.uint16)
    for number in range(count):
        y, x = 20 * (number // 5) + 4, 20 * (number % 5) + 4
        page[y : y + 8, x : x + 8] = first + number
    return page


def half(mark, rest=0, shape=(80, 100)):
    """A page of which a half is marked; the rest is one value, or labels."""
    page = np.broadcast_to(np.asarray(rest, np.uint16), shape).copy()
    page[: shape[0] // 2] = mark
    return page


def write(folder, pages, stem="a"):
    folder.mkdir()
    for number, page in enumerate(pages):
        tifffile.imwrite(folder / f"{stem}{number:03}.tif", page.astype(np.uint16))
    return folder


def pair(folder, truth, result, stems=("a", "a")):
    return write(folder / "t", truth, stems[0]), write(folder / "r", result, stems[1])


CLASSES = [class_map(), class_map()]
FOUND = [np.roll(page, 1, 1) for page in CLASSES]
MASK = (class_map() > 0).astype(np.uint16)
CELLS = [cells(), cells(count=9)]
SHIFTED = [np.roll(page, 1, 1) for page in CELLS]
CELLS_THERE = np.roll(cells(), 1, 1)


@pytest.mark.parametrize("page", [half(255, shape=SHAPE), np.full(SHAPE, 255), 65535 * MASK])
def test_a_page_of_255_alone_among_class_maps_is_refused_with_what_may_be_meant(tmp_path, page):
    truth, result = pair(tmp_path, [*CLASSES, page], [*FOUND, MASK])
    mark = int(page.max())
    with pytest.raises(
        DataSetError, match=rf"a002.tif page 0: holds .*{mark} alone, but .*hold 1, 2: "
    ) as no:
        evaluate_pixels(truth, result)
    assert f"give --ignore {mark} (from Python ignore={mark}); if it is a mask" in str(no.value)
    assert evaluate_pixels(truth, result, ignore=mark).notes == ()
    (note,) = evaluate_pixels(truth, result, foreground=True).notes
    assert f"give --ignore {mark}" in note
    with pytest.raises(DataSetError, match=r"alone, but other pages of .*t hold 1, 2: if it is a mask"):
        evaluate_pixels(result, truth)
    assert evaluate_pixels(result, truth, foreground=True).notes == ()


def test_pages_of_255_alone_are_noted_where_others_have_it_beside_classes(tmp_path, caplog):
    truth = [half(255, CLASSES[0], SHAPE), half(255, np.minimum(CLASSES[1], 1), SHAPE), half(255, 0, SHAPE)]
    found = evaluate_pixels(*pair(tmp_path, truth, [*FOUND, MASK]))
    (note,) = found.notes
    assert "if 255 marks what nobody annotated, give --ignore 255" in note
    assert found.as_dict()["notes"] == [note]
    assert caplog.text.count(note) == 1
    (note,) = evaluate_pixels(tmp_path / "r", tmp_path / "t").notes
    assert note.startswith(
        f"{tmp_path / 't'}: holds 255, which the truth does not: it is compared as a class"
    )


@pytest.mark.parametrize("highest", [12, 19, 150])
def test_255_beside_many_classes_is_noted(tmp_path, highest):
    page = class_map(highest)
    page.flat[: highest + 1] = np.arange(highest + 1)
    marked = page.copy()
    marked[50:] = 255
    (note,) = evaluate_pixels(*pair(tmp_path, [marked, page], [page, page])).notes
    assert "give --ignore 255 (from Python ignore=255), else it is compared as a class" in note


def test_levels_and_values_that_both_sides_have_are_not_asked_about(tmp_path):
    def notes(name, truth, result):
        (tmp_path / name).mkdir()
        return evaluate_pixels(*pair(tmp_path / name, truth, result)).notes

    levels = np.array([0, 64, 128, 255])[class_map(3)]
    assert notes("levels", [levels], [np.where(levels == 255, 0, levels)]) == ()
    full = half(255, 0, SHAPE)
    assert notes("both", [*CLASSES, full], [*FOUND, full]) == ()
    assert notes("masks", [255 * MASK, full, 0 * MASK], [MASK, MASK, MASK]) == ()
    assert notes("full", [255 * MASK, np.full(SHAPE, 255)], [MASK, MASK]) == ()


ALONE = {
    "all of a page": np.full((80, 100), 255),
    "half of a page": half(255),
    "65535": half(65535),
    "2**15 - 1": half(2**15 - 1),
    "beside cells": half(255, cells()),
    "beside one cell": half(255, cells(13, 11) * (cells(13, 11) == 23)),
    "beside cells up to 211": half(255, cells(200)),
}


@pytest.mark.parametrize("page", ALONE.values(), ids=ALONE)
def test_objects_and_foreground_ask_about_a_number_of_too_many_pixels(tmp_path, caplog, page):
    mark = int(page.max())
    pixels = int(np.count_nonzero(page == mark))
    wanted = f"{pixels} pixels have the number {mark}, as many as {pixels / 64:.0f} cells"
    truth, result = pair(tmp_path, [*CELLS, page], [*SHIFTED, CELLS_THERE], ("man_seg", "mask"))
    found = evaluate_objects(truth, result)
    (note,) = [one for one in found.notes if wanted in one]
    assert note.startswith(f"the truth: {truth / 'man_seg002.tif'} page 0: ")
    assert f"if these pixels are not annotated, give --ignore {mark}, else they count as one cell" in note
    assert note in found.as_dict()["notes"]
    found = evaluate_pixels(truth, result, foreground=True)
    (note,) = found.notes
    assert wanted in note
    assert f"give --ignore {mark}, else they count as foreground" in note
    seg = evaluate_seg(truth, result)
    assert sum(wanted in note for note in seg.notes) == 1
    caplog.clear()
    for notes in (
        evaluate_objects(truth, result, ignore=mark).notes,
        evaluate_pixels(truth, result, foreground=True, ignore=mark).notes,
        evaluate_seg(truth, result, ignore=mark).notes,
    ):
        assert not [note for note in notes if "have the number" in note]


@pytest.mark.parametrize("page", ALONE.values(), ids=ALONE)
def test_a_number_of_too_many_pixels_is_asked_about_in_a_result_too(tmp_path, page):
    truth, result = pair(tmp_path, [*SHIFTED, CELLS_THERE], [*CELLS, page], ("man_seg", "mask"))
    wanted = f"have the number {page.max()}, as many as"
    for notes, becomes in (
        (evaluate_objects(truth, result).notes, "count as one cell"),
        (evaluate_pixels(truth, result, foreground=True).notes, "count as foreground"),
        (evaluate_seg(truth, result).notes, "count as one cell"),
    ):
        (note,) = [note for note in notes if wanted in note]
        assert f"they {becomes}: is it the background, or no result, which must be 0?" in note
        assert "--ignore" not in note


def test_a_stack_is_judged_as_its_pages_in_files_are(tmp_path):
    truth, result = np.stack([*CELLS, half(255)]), np.stack([*SHIFTED, CELLS_THERE])
    for name, stack in (("t.tif", truth), ("r.tif", result)):
        tifffile.imwrite(tmp_path / name, stack.astype(np.uint16), imagej=True, metadata={"axes": "TYX"})
    for notes in (
        evaluate_objects(tmp_path / "t.tif", tmp_path / "r.tif").notes,
        evaluate_pixels(tmp_path / "t.tif", tmp_path / "r.tif", foreground=True).notes,
    ):
        assert sum("t.tif page 2: 4000 pixels have the number 255" in note for note in notes) == 1


USUAL = {
    "a cell 255": np.where(cells() == 3, 255, cells()),
    "a cell 255 alone": np.where(cells() == 3, 255, 0),
    "a cell 65535 alone": np.where(cells() == 3, 65535, 0),
    "cells up to 255": cells(244),
    "a large cell": np.where(np.indices((80, 100)).max(0) < 22, 7, cells()),
}


@pytest.mark.parametrize("page", USUAL.values(), ids=USUAL)
def test_cells_of_usual_size_and_number_are_not_asked_about(tmp_path, page):
    truth, result = pair(tmp_path, [*CELLS, page], [*SHIFTED, np.roll(page, 1, 1)], ("man_seg", "mask"))
    for notes in (
        evaluate_objects(truth, result).notes,
        evaluate_pixels(truth, result, foreground=True).notes,
        evaluate_seg(truth, result).notes,
    ):
        assert not [note for note in notes if "--ignore" in note or "have the number" in note]


@pytest.mark.parametrize("mark", [255, 65535])
def test_instance_labels_compared_by_value_are_asked_about_the_mark(tmp_path, mark):
    truth = [half(mark, page) for page in CELLS]
    for name, shift in (("alike", 0), ("otherwise", 1)):
        (tmp_path / name).mkdir()
        result = [np.where(page > 0, (page + 5 * shift - 1) % 14 + 1, 0) for page in CELLS]
        notes = evaluate_pixels(*pair(tmp_path / name, truth, result)).notes
        assert sum(f"give --ignore {mark}" in note for note in notes) == 1
