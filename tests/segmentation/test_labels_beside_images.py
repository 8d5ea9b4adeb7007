"""Images and their labels in one folder, as Cellpose and others save them; results given as images."""

import glob
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unet2015.images.pairs import labels_beside_images, pattern_of_labels
from unet2015.images.result_records import record_of_result
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.file_plan import plan_files
from unet2015.segmentation.in_memory import segment
from unet2015.segmentation.jobs import find_inputs
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import ObjectSettings

LABELS = np.kron(np.array([[1, 0], [0, 2]], np.uint16), np.ones((8, 8), np.uint16))


@pytest.fixture
def folder(tmp_path):
    def write(*names: str) -> Path:
        place = tmp_path / "cells"
        place.mkdir()
        for name in names:
            image = np.arange(256, dtype=np.uint16).reshape(16, 16) if len(name) == 1 else LABELS
            tifffile.imwrite(place / f"{name}.tif", image)
        return place

    return write


@pytest.mark.parametrize("name", ["{}_cp_masks", "{}_mask", "{}-labels", "mask_{}", "{}_gt"])
def test_labels_beside_their_images_are_said_where_images_are_meant(folder, caplog, name):
    place = folder("a", "b", name.format("a"), name.format("b"))
    assert len(find_inputs([place])) == 4
    assert f"{name.format('a')}.tif is named as labels of a.tif beside it, but is segmented" in caplog.text
    assert "as an image, as 1 more file;" in caplog.text
    caplog.clear()
    find_inputs([place / "?.tif"])
    assert not caplog.text


def test_maps_copied_beside_their_images_are_said_where_images_are_meant(folder, caplog):
    place = folder("a", "b", "a.classes", "a.probability", "b.classes", "a.labels")
    assert len(find_inputs([place])) == 6
    assert (
        "a.classes.tif is named as a result of a.tif beside it, but is segmented as an image" in caplog.text
    )
    assert "as an image, as 2 more files; where only images are meant" in caplog.text
    assert "a.labels.tif is named as labels of a.tif beside it, but is segmented as an image;" in caplog.text


def test_names_that_only_seem_so_are_fine(tmp_path):
    for names in (["a", "b"], ["a_1", "a_2"], ["mask_1", "mask_2"], ["a", "a_gfp"], ["cell", "cells"]):
        assert labels_beside_images([tmp_path / f"{name}.tif" for name in names]) == {}
    assert labels_beside_images([tmp_path / "x" / "a.tif", tmp_path / "y" / "a_mask.tif"]) == {}


@pytest.mark.parametrize("name", ["{}_cp_masks", "mask_{}"])
def test_images_given_as_labels_get_a_pattern_that_works(folder, tmp_path, name):
    place = folder("a", "b", name.format("a"), name.format("b"))
    failed = [one.error for one in measure_files(place, tmp_path / "m", images=place) if one.error]
    pattern = pattern_of_labels(place / f"{name.format('a')}.tif", place / "a.tif")
    assert len(failed) == 4
    for error in map(str, failed):
        assert "both given as labels, but by the names one is the image of the other" in error
        assert f"pattern in quotes such as '{pattern}'" in error
        assert "leave out the images" not in error
    assert labels_beside_images(place.glob("*.tif")).keys() == {*map(Path, glob.glob(pattern))}
    done = measure_files(pattern, tmp_path / "n", images=place)
    assert [one.error for one in done] == [None] * len(done)


@pytest.mark.parametrize("target", ["results", "results/a.classes.zarr"])
def test_results_that_are_given_as_images_are_said_to_be_results(tmp_path, make_model, stack, caplog, target):
    model = make_model(tmp_path / "m.safetensors", method="standardise")
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", stack[0])
    options = SegmentOptions(products=("classes", "probability"), objects=ObjectSettings())
    (image,) = segment_files([tmp_path / "in"], tmp_path / target, model, options)
    again = segment_files([tmp_path / "results"], tmp_path / "again", model)
    said = "is a result of this program, by the record beside it, and no image"
    caplog.clear()
    plan_files([tmp_path / "results"], tmp_path / "planned", model)
    assert said in caplog.text
    assert not any(said in note for note in image.notes)
    for one in again:
        assert one.error is None
        assert sum(said in note for note in one.notes) == 1
        assert said in record_of_result(one.outputs[0])["notes"][0]
    caplog.clear()
    segment(tmp_path / "in" / "a.tif", model)
    assert said not in caplog.text
    segment(again[0].input, model)
    assert said in caplog.text
