"""Pages of which all pixels are equal are said: in the list, in the record, and by Python."""

import json
import logging

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from unet2015 import segment
from unet2015.images.array_image import ArrayImage
from unet2015.images.constant import ConstantPage, FewValues, constant_pages, notes_on_constant
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings import MappingSettings, TrainingSettings
from unet2015.settings.objects import ObjectSettings
from unet2015.training.checks.training_set import inspect_set

NOISE = np.random.default_rng(0).integers(0, 9, (32, 40), np.uint8)


def notes_of(array, axes=None, fill_value=None):
    image = ArrayImage(array, axes)
    return list(notes_on_constant(constant_pages(image, fill_value), image.pages))


def filled(value):
    return np.full_like(NOISE, value)


NEARLY = filled(0)
NEARLY[-1, -2:] = 1, 2
STACK = np.stack([filled(255), filled(0), NOISE, NEARLY, filled(0)])
TWO = ["page 0: all pixels are 255; a lost or saturated frame?", "pages 1, 4: all pixels are 0; a lost"]


@pytest.mark.parametrize("objects", [None, ObjectSettings()])
def test_constant_pages_are_said_in_list_and_record(objects, tmp_path, model, caplog):
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, STACK, metadata={"axes": "TYX"})
    options = SegmentOptions(objects=objects)
    for again in (False, True):  # done before: the record has them
        caplog.clear()
        with caplog.at_level(logging.WARNING, "unet2015"):
            (result,) = segment_files([file], tmp_path / "out", model, options)
        said = [note for note in result.notes if "all pixels" in note]
        assert len(said) == 2, again
        assert all(note.startswith(wanted) for note, wanted in zip(said, TWO, strict=True))
        assert all(note in caplog.text for note in said)
        records = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*.json")]
        assert any(set(said) <= set(record.get("notes", ())) for record in records)


def test_python_says_them_too(model, caplog):
    with caplog.at_level(logging.WARNING, "unet2015"):
        segment(STACK, model)
        assert all(wanted in caplog.text for wanted in TWO)
        caplog.clear()
        segment(NOISE, model)
        assert "all pixels" not in caplog.text


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_the_note_says_page_channel_and_value(dtype):
    noise, flat = NOISE.astype(dtype), filled(100).astype(dtype)
    assert notes_of(flat) == ["all pixels are 100; a lost or saturated frame?"]
    assert notes_of(np.stack([noise, flat]), "CYX") == [
        "all pixels of channel 1 are equal; a lost or saturated frame?"
    ]
    assert notes_of(np.stack([flat, flat + 1]), "CYX") == [
        "all pixels of each channel are equal; a lost or saturated frame?"
    ]
    assert notes_of(np.stack([flat] * 5)) == [
        "pages 0, 1, 2 and 2 more: all pixels are 100; a lost or saturated frame?"
    ]
    assert notes_of(NEARLY.astype(dtype)) == notes_of(noise) == notes_of(flat[:1, :1]) == []


def test_training_images_with_constant_pages_are_said(tmp_path):
    labels = np.zeros(STACK.shape, np.uint8)
    labels[:, 3:9, 3:9], labels[:, 15:22, 20:27] = 1, 2
    tifffile.imwrite(tmp_path / "i.tif", STACK)
    tifffile.imwrite(tmp_path / "l.tif", labels)
    found = inspect_set([(tmp_path / "i.tif", tmp_path / "l.tif")], TrainingSettings()).problems
    said = [problem for problem in found if "all pixels are" in problem.message]
    assert [problem.severity for problem in said] == ["warning"] * 2
    assert all(wanted in problem.message for wanted, problem in zip(TWO, said, strict=True))


FRAMED = np.zeros_like(NOISE)
FRAMED[4:-5, 3:-2] = 255
LEFT = "all pixels but those left out are 255; a lost or saturated frame?"
TWO_VALUES = "all pixels are 0 or 255; a lost frame with a filled border, or a mask in place of an image?"


def test_what_is_left_out_does_not_hide_a_lost_frame():
    stack = np.stack([NOISE, FRAMED, filled(0), NOISE])
    assert notes_of(stack, fill_value=0.0) == [
        f"page 1: {LEFT}",
        "page 2: all pixels are 0; a lost or saturated frame?",
    ]
    assert notes_of(FRAMED[None], "CYX", 0.0) == [LEFT]
    assert notes_of(np.stack([FRAMED, NOISE]), "CYX", 0.0) == []  # 0 in both channels at some pixels alone
    both = np.stack([FRAMED, np.where(FRAMED, NOISE + 7, 0)])
    assert notes_of(both, "CYX", 0.0) == [
        "all pixels but those left out of channel 0 are equal; a lost or saturated frame?"
    ]


def test_two_values_are_no_image_either():
    assert notes_of(FRAMED) == notes_of(FRAMED, fill_value=7.0) == [TWO_VALUES]
    assert notes_of(np.stack([FRAMED, filled(3)]), "CYX") == [
        "all pixels of channel 1 are equal; a lost or saturated frame?"
    ]
    assert notes_of(np.stack([FRAMED, FRAMED // 5]), "CYX") == [
        "all pixels of each channel have one of two values; " + TWO_VALUES.partition("; ")[2]
    ]
    assert notes_of(np.stack([FRAMED, NOISE]), "CYX") == []


@given(
    few=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    fill_value=st.sampled_from([None, 0.0, 1.0]),
    rows=st.integers(1, 3),
)
def test_as_counted_by_hand(few, fill_value, rows):
    page = np.array(few, np.uint8).reshape(3, 2)
    seen = FewValues(ArrayImage(page), 0, fill_value)
    for row in range(0, 3, rows):
        seen.add(row, page[None, row : row + rows])
    kept = sorted({value for value in few if value != fill_value})
    found = seen.found()
    if len(kept) > 2:
        assert found is None
    elif kept:
        assert found == ConstantPage(0, (tuple(kept),), fill_value in few)
    else:
        assert found == ConstantPage(0, ((fill_value,),))


def test_lost_frames_are_said_where_a_value_is_left_out(tmp_path, job, caplog):
    model = job[1]
    noise = np.pad(NOISE + 1, 3)
    stack = np.stack([noise, np.pad(filled(255), 3), noise])
    file = tmp_path / "f.tif"
    tifffile.imwrite(file, stack, photometric="minisblack", metadata={"axes": "TYX"})
    options = SegmentOptions(fill_value=0, objects=ObjectSettings())
    (result,) = segment_files([file], tmp_path / "out", model, options)
    assert f"page 1: {LEFT}" in result.notes
    with caplog.at_level(logging.WARNING, "unet2015"):
        segment(stack, model, fill_value=0)
    assert f"page 1: {LEFT}" in caplog.text
    labels = np.zeros(stack.shape, np.uint8)
    labels[:, 3:9, 3:9], labels[:, 15:22, 20:27] = 1, 2
    tifffile.imwrite(tmp_path / "l.tif", labels, photometric="minisblack")
    settings = TrainingSettings(mapping=MappingSettings(method="standardise", fill_value=0))
    problems = inspect_set([(file, tmp_path / "l.tif")], settings).problems
    assert any(f"page 1: {LEFT}" in problem.message for problem in problems)
