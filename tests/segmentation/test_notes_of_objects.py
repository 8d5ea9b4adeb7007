"""What label and measure say of a file is in its result, too: for programs that read --json."""

import json

import numpy as np
import pytest
import tifffile

from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files

CELLS = np.kron(np.array([[1, 0, 2], [0, 0, 0], [0, 3, 0]], np.uint8), np.ones((9, 9), np.uint8))
MASK = (CELLS > 0).astype(np.uint8)


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name, page in (("a", MASK), ("b", CELLS), ("c", MASK[::-1]), ("d", MASK[:-1])):
        tifffile.imwrite(folder / f"{name}.tif", page)
    return folder


def test_each_file_has_its_own_notes_also_where_they_were_said_once(files, tmp_path, caplog):
    results = measure_files(files, tmp_path / "out")
    of = {one.input.stem: json.loads(json.dumps(one.as_dict()))["notes"] for one in results}
    (size,) = of["b"]
    assert size.startswith("no pixel size in a known unit")
    assert of["a"] == of["c"]
    (note,) = {*of["a"]} - {size}
    assert "mask" in note
    assert f"{files / 'a.tif'}: {note}" in caplog.text
    assert f"{files / 'c.tif'}: {note}" not in caplog.text


def test_notes_on_the_image_name_it_and_a_file_that_fails_has_its_notes(files, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for name in "abcd":
        tags = {"resolution": (2, 2), "metadata": {"unit": "um"}, "imagej": True}
        tifffile.imwrite(images / f"{name}.tif", CELLS * 50, **tags)
    tifffile.imwrite(files / "b.tif", CELLS, resolution=(4, 4), metadata={"unit": "um"}, imagej=True)
    results = {one.input.stem: one for one in measure_files(files, tmp_path / "out", images=images)}
    assert results["d"].error is not None
    assert any("µm" in note or "um" in note for note in results["b"].notes)
    assert all(str(files) not in note for one in results.values() for note in one.notes[:1])


def test_label_has_them_as_well(files, tmp_path):
    tifffile.imwrite(tmp_path / "inverted.tif", 1 - np.pad(MASK, 9))
    (result,) = label_files([tmp_path / "inverted.tif"], tmp_path / "out")
    assert result.as_dict()["notes"] == list(result.notes)
    assert [note for note in result.notes if "is it the background" in note]
