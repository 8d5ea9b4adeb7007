"""Pages of which all pixels are equal are said: in the list, in the record, and by Python."""

import json
import logging

import numpy as np
import pytest
import tifffile

from unet2015 import segment
from unet2015.images.array_image import ArrayImage
from unet2015.images.constant import constant_pages, notes_on_constant
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings import TrainingSettings
from unet2015.settings.objects import ObjectSettings
from unet2015.training.checks.training_set import inspect_set

NOISE = np.random.default_rng(0).integers(0, 9, (32, 40), np.uint8)


def notes_of(array, axes=None):
    image = ArrayImage(array, axes)
    return list(notes_on_constant(constant_pages(image), image.pages, image.channels))


def filled(value):
    return np.full_like(NOISE, value)


NEARLY = filled(0)
NEARLY[-1, -1] = 1
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
