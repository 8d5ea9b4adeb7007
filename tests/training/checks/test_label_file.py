"""What is said about label files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import ndimage

from unet2015.settings import LabelSettings
from unet2015.training.checks.label_file import inspect_labels
from unet2015.training.labels import class_frequencies, make_targets, separation_border

MEMBRANE = LabelSettings(kind="membrane")
APART = LabelSettings(separation_border=False)


def problems_of(*args):
    return inspect_labels(*args).problems


def notes_of(*args):
    report = inspect_labels(*args)
    assert report.problems == []
    return report.notes


class TestProblems:
    @pytest.mark.parametrize(
        ("labels", "coding", "hint"),
        [
            (np.array([[0, 255]]), LabelSettings(), "mask"),
            (np.array([[0, -1]]), LabelSettings(), "ignore = -1"),
            (np.array([[0, 7]]), LabelSettings(kind="classes", classes=3), "7"),
        ],
    )
    def test_one_line_that_names_the_file(self, labels, coding, hint):
        (problem,) = problems_of(labels, coding, "a.tif")
        assert problem.startswith("a.tif")
        assert hint in problem

    @pytest.mark.parametrize(
        ("labels", "coding", "hint"),
        [
            (np.zeros((3, 3), int), LabelSettings(), "every annotated pixel is background"),
            (np.ones((3, 3), int), LabelSettings(), "every annotated pixel is cells"),
            (np.full((3, 3), 255), MEMBRANE, "every annotated pixel is cells"),
            (np.full((2, 2), 2), LabelSettings(kind="classes", classes=3), "is class 2"),
        ],
    )
    def test_one_class_in_a_file_is_a_note(self, labels, coding, hint):
        # Not a problem: other files of the set may hold the other classes.
        assert problems_of(labels, coding, "a.tif") == []
        assert any(note.startswith("a.tif") and hint in note for note in notes_of(labels, coding, "a.tif"))

    def test_pages_are_named(self):
        stack = np.array([[[0, 1]], [[0, -1]], [[0, -2]]])
        problems = problems_of(stack, LabelSettings(), "a.tif")
        assert [problem.split(":")[0] for problem in problems] == ["a.tif, page 1", "a.tif, page 2"]

    def test_classes_may_lie_on_different_pages(self):
        assert problems_of(np.array([[[0, 0]], [[1, 1]]]), LabelSettings(), "a.tif") == []

    def test_nothing_to_say_about_good_labels(self):
        labels = np.array([[1, 0, 2], [1, 0, 2]])
        assert problems_of(labels, LabelSettings(), "a.tif") == []
        assert notes_of(labels, LabelSettings(), "a.tif") == []


class TestNotes:
    def test_cells_in_several_pieces(self):
        labels = np.array([[50, 0, 50, 0, 7], [0, 0, 0, 7, 0]])
        (note,) = notes_of(labels, LabelSettings(), "a.tif")
        assert note.startswith("a.tif")
        assert "(1 of 2): 50" in note

    def test_a_single_cell(self):
        (note,) = notes_of(np.array([[0, 1, 1]]), LabelSettings(), "a.tif")
        assert "single cell" in note

    def test_nothing_annotated_is_a_note_as_other_files_may_teach(self):
        report = inspect_labels(np.full((2, 2), 9), LabelSettings(ignore=9), "a.tif")
        (note,) = report.notes
        assert note.startswith("a.tif: no pixel is annotated (ignore = 9)")
        assert report.problems == []
        assert not report.frequencies.any()

    def test_ignore_value_that_is_nowhere(self):
        (note,) = notes_of(np.array([[0, 1, 0, 2]]), LabelSettings(ignore=255), "a.tif")
        assert "255" in note

    @pytest.mark.parametrize("ids", [(1, 3), (1, 2), (3, 4), (254, 256), (1, 300)])
    def test_an_ignore_value_that_a_cell_may_have(self, ids):
        ignore = 255 if max(ids) > 250 else 2 if ids != (1, 2) else 3
        labels = np.array([[0, ids[0], 0, ids[1], 0, ignore, ignore]])
        (note,) = notes_of(labels, LabelSettings(ignore=ignore), "a.tif")
        assert note.startswith(f"a.tif: the ignore value {ignore} is also a number among those of the cells")
        assert f"({ids[0]} to {ids[1]}), and its 2 pixels" in note
        # On any page of the file.
        stack = np.stack([labels, np.where(labels == ignore, 0, labels)])
        assert notes_of(stack, LabelSettings(ignore=ignore), "a.tif") == [note]
        assert notes_of(labels, LabelSettings(), "a.tif") == []

    @pytest.mark.parametrize("ignore", [-1, 99, 255])
    def test_an_ignore_value_that_no_cell_has(self, ignore):
        labels = np.array([[0, 1, 0, 2, 0, ignore]])
        assert notes_of(labels, LabelSettings(ignore=ignore), "a.tif") == []


def test_cells_that_touch_are_one_in_a_mask():
    one = np.zeros((9, 9), np.uint8)
    one[2:5, 2:7] = 255
    (note,) = notes_of(one, LabelSettings(kind="mask"), "m.tif")
    assert note.startswith("m.tif: a single cell")
    assert "cells that touch are one: if these are several, give each its own id" in note
    (note,) = notes_of(one // 255, LabelSettings(), "m.tif")
    assert "a mask of many cells" in note
    assert "--label-kind mask" in note
    (note,) = notes_of(one, MEMBRANE, "m.tif")
    assert "mask" not in note


def test_masks_and_images_read_as_instances_are_said():
    settings = LabelSettings(kind="instances")
    mask = np.zeros((40, 40), np.uint8)
    mask[np.ix_(np.arange(40) % 8 < 3, np.arange(40) % 8 < 3)] = 1
    (text,) = problems_of(mask, settings, "m.tif")
    assert "25 separate cells have the id 1" in text
    assert "--label-kind mask" in text
    assert notes_of(mask, LabelSettings(kind="mask"), "m.tif") == []
    noise = np.random.default_rng(0).integers(0, 30, (60, 60)).astype(np.uint8)
    (text,) = problems_of(noise, settings, "n.tif")
    assert "is it an image" in text
    cells = np.zeros((40, 40), np.uint8)
    cells[2:10, 2:10], cells[12:20, 2:10], cells[2:10, 30:35] = 1, 2, 1
    assert problems_of(cells, settings, "c.tif") == []


@given(
    stack=npst.arrays(np.uint8, (3, 6, 7), elements=st.sampled_from([0, 1, 2, 5, 255])),
    border=st.booleans(),
    ignore=st.sampled_from([None, 5]),
)
@settings(max_examples=40)
def test_frequencies_are_those_that_the_training_sees(stack, border, ignore):
    coding = LabelSettings(separation_border=border, ignore=ignore)
    report = inspect_labels(stack, coding, "a.tif", numbered=True)
    if report.problems:
        return
    expected = [class_frequencies(make_targets(page, coding, "", numbered=True)) for page in stack]
    np.testing.assert_array_equal(report.frequencies, expected)


def cells_that_the_border_changes(page):
    """The ids that vanish, and those in more pieces than before; one cell after the other."""
    drawn, eight = separation_border(page), np.ones((3, 3))
    erased, torn = [], []
    for cell in np.unique(page[page > 0]).tolist():
        before, after = (ndimage.label(labels == cell, eight)[1] for labels in (page, drawn))
        if after == 0:
            erased.append(cell)
        elif after > before:
            torn.append(cell)
    return erased, torn


@given(page=npst.arrays(np.uint16, (5, 6), elements=st.sampled_from([0, 3, 255, 256, 9])))
@settings(max_examples=60)
def test_cells_that_the_border_erases_or_tears_are_named(page):
    report = inspect_labels(page, LabelSettings(), "a.tif", numbered=True)
    if report.problems:
        return
    for verb, cells in zip(("erases", "tears"), cells_that_the_border_changes(page), strict=True):
        said = [note for note in report.notes if f"the separation border {verb} " in note]
        assert len(said) == bool(cells)
        if cells:
            assert said[0].startswith("a.tif: ")
            assert f" {verb} {len(cells)} of " in said[0]
            assert f"cells, labelled {', '.join(map(str, cells))}" in said[0]
    assert not any("border" in note for note in inspect_labels(page, APART, "a.tif", numbered=True).notes)


def test_thin_cells_of_which_the_border_leaves_little_are_named():
    page = np.zeros((60, 60), np.uint16)
    page[10:50, 10:50] = np.arange(40) // 2 + 1  # stripes of two columns that touch
    (note,) = (note for note in notes_of(page, LabelSettings(), "a.tif") if "border" in note)
    assert (
        "a.tif: the separation border leaves less than half of 18 of 20 cells, labelled 2, 3, 4, 5, 6 and 13"
        in note
    )
    page[10:50, 10:50] = np.arange(40) // 4 + 1
    assert not any("border" in note for note in notes_of(page, LabelSettings(), "a.tif"))
    page[10:50, 10:14] = np.arange(4) // 2 + 1  # one more cell of eleven
    page[:2, ::3] = 100 + np.arange(20)  # cells apart from each other
    assert not any("border" in note for note in notes_of(page, LabelSettings(), "a.tif"))


def test_cells_that_the_border_erases_are_named_with_their_pages():
    stack = np.zeros((4, 6, 40), np.uint16)
    stack[1, 2:4, :30] = 1 + np.arange(30)  # columns of one pixel: all but the first go
    stack[3, :, 3:9], stack[3, 2, 9] = 41, 44
    (note,) = (note for note in notes_of(stack, LabelSettings(), "a.tif") if "border" in note)
    assert "erases 30 of 32 cells on the pages where cells touch, labelled 2 (page 1), 3 (page 1)" in note
    assert "separation_border = false" in note
    stack[1, 2:4, 5:] = 0
    (note,) = (note for note in notes_of(stack, LabelSettings(), "a.tif") if "border" in note)
    assert "5 (page 1), 44 (page 3)" in note


@pytest.mark.parametrize("place", range(3))
def test_a_page_with_the_cell_255_alone_is_fine_where_another_has_ids(place):
    stack = np.zeros((3, 8, 8), np.uint8)
    stack[place, 2:5, 2:5] = 255
    assert "0 and 255" in problems_of(stack, LabelSettings(), "a.tif")[0]
    stack[(place + 1) % 3, 1:3, 1:3] = 254
    assert problems_of(stack, LabelSettings(), "a.tif") == []


@pytest.mark.parametrize(
    ("dtype", "value"), [("uint8", 255), ("uint16", 65535), ("int32", 2**31 - 1), ("uint8", 99)]
)
def test_a_number_that_may_mean_not_annotated_is_said(dtype, value):
    page = np.zeros((40, 60), dtype)
    for number in range(6):
        page[2:8, 10 * number + 1 : 10 * number + 7] = number + 1
    page[20:] = value
    (note,) = [one for one in notes_of(page[None], LabelSettings(), "a.tif") if "--ignore" in one]
    assert note.startswith(f"a.tif, page 0: 1200 pixels have the number {value}, as many as 33 cells")
    assert f"give --ignore {value}, else" in note
    near = np.where(page == value, 7, page).astype(dtype)
    for fine, coding in (
        (near, LabelSettings()),
        (page, LabelSettings(ignore=value)),
        (page[:22, :50], LabelSettings()),
    ):
        assert not [one for one in notes_of(fine[None], coding, "a.tif") if "give --ignore" in one]


@pytest.mark.parametrize(
    ("kind", "zero"), [("instances", "background"), ("mask", "background"), ("membrane", "membrane")]
)
def test_an_ignore_value_that_all_pixels_of_the_other_class_have_is_named(kind, zero):
    for left, lost in ((0, "cells"), (1, zero)):
        labels = np.array([[left, 255, left, 255]])
        notes = notes_of(labels, LabelSettings(kind=kind, ignore=255), "a.tif")
        (note,) = [one for one in notes if "every annotated pixel" in one]
        assert note.endswith(
            f"; all other pixels have the ignore value 255, and are left out: if 255 means {lost}, leave out "
            "--ignore 255"
        )


def test_so_is_that_of_all_other_classes():
    notes = notes_of(np.array([[2, 1, 1]]), LabelSettings(kind="classes", classes=3, ignore=1), "a.tif")
    (note,) = [one for one in notes if "every annotated pixel" in one]
    assert note.endswith("have the ignore value 1, and are left out: if 1 is a class, leave out --ignore 1")
