"""Maps and labels that are not what they seem: exchanged labels, classes that lie as pages."""

import shutil

import numpy as np
import pytest
import tifffile
import zarr

from tests.segmentation.test_map_files import blobs
from unet2015.errors import ImageValueError
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import ObjectSettings

AXES = "name the axes (--axes CYX)"


@pytest.fixture
def two(tmp_path, model, stack):
    """Objects of two images, in one folder."""
    (tmp_path / "in").mkdir()
    for name, page in zip("ab", stack, strict=False):
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", page)
    segment_files([tmp_path / "in"], tmp_path / "out", model, SegmentOptions(objects=ObjectSettings()))
    return tmp_path / "in", tmp_path / "out"


def measured(two, tmp_path):
    results = measure_files(two[1], tmp_path / "measured", images=two[0])
    assert all(result.error is None for result in results)
    return [" ".join(note for note in result.notes if "record" in note) for result in results]


def test_labels_that_are_exchanged_are_said_and_whose_they_are(two, tmp_path):
    assert measured(two, tmp_path) == ["", ""]
    one, other = (two[1] / f"{name}.labels.tif" for name in "ab")
    one.rename(tmp_path / "kept.tif")
    other.rename(one)
    (tmp_path / "kept.tif").rename(other)
    first, second = measured(two, tmp_path)
    assert "holds b.labels.tif, by the record b.record.json beside it, and not what its own record" in first
    assert "holds a.labels.tif, by the record a.record.json" in second


def test_labels_that_were_changed_are_said(two, tmp_path):
    path = two[1] / "b.labels.tif"
    labels = tifffile.imread(path)
    labels[:3, :3] = labels.max() + 1
    tifffile.imwrite(path, labels)
    first, second = measured(two, tmp_path)
    assert first == ""
    assert "is not as its record says it was written; that is right where somebody corrected it" in second


def test_labels_of_an_image_of_the_same_name_elsewhere_are_said(two, tmp_path):
    shutil.copytree(two[1], tmp_path / "there")
    shutil.copy(two[1] / "a.labels.tif", tmp_path / "there" / "b.labels.tif")
    (tmp_path / "there" / "a.record.json").unlink()
    (tmp_path / "there" / "a.labels.tif").unlink()
    (note,) = measured((two[0], tmp_path / "there"), tmp_path)
    assert "is not as its record says" in note


def test_so_they_are_in_ome_zarr(tmp_path, model, stack):
    for name, page in zip("ab", stack, strict=False):
        tifffile.imwrite(tmp_path / f"{name}.tif", page)
        target = tmp_path / "out" / f"{name}.zarr"
        segment_files([tmp_path / f"{name}.tif"], target, model, SegmentOptions(objects=ObjectSettings()))
    two = tmp_path, tmp_path / "out"

    def of_a():
        (result,) = measure_files(two[1] / "a.zarr", tmp_path / "m", images=tmp_path / "a.tif")
        return " ".join(note for note in result.notes if "record" in note)

    assert of_a() == ""
    kept = shutil.copytree(two[1] / "a.zarr", tmp_path / "kept.zarr")
    labels = zarr.open(two[1] / "a.zarr" / "labels" / "labels" / "0", mode="r+")
    labels[:] = labels[:] + 1
    assert "lies in a.zarr, which is not as its record says it was written" in of_a()
    shutil.rmtree(two[1] / "a.zarr")
    shutil.copytree(two[1] / "b.zarr", two[1] / "a.zarr")
    assert "lies in a.zarr, which holds b.zarr, by the record" in of_a()
    shutil.rmtree(two[1] / "a.zarr")
    shutil.move(kept, two[1] / "a.zarr")
    assert of_a() == ""


def softmax(classes):
    maps = blobs(classes - 1, seed=5) / (classes - 1)
    return np.concatenate([1 - maps.sum(0, keepdims=True), maps]).astype(np.float32)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_classes_that_lie_as_pages_are_not_counted_as_pages(tmp_path, classes):
    tifffile.imwrite(tmp_path / "m.tif", softmax(classes), photometric="minisblack")
    (result,) = label_files([tmp_path / "m.tif"], tmp_path / "out")
    assert isinstance(result.error, ImageValueError)
    assert f"its {classes} pages add up to 1 at each pixel" in str(result.error)
    assert AXES in str(result.error)
    (named,) = label_files([tmp_path / "m.tif"], tmp_path / "out", ObjectSettings(of_class=1), axes="CYX")
    assert named.error is None


def test_named_pages_that_add_up_to_one_are_counted_and_said(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", softmax(2), metadata={"axes": "ZYX"}, photometric="minisblack")
    (result,) = label_files([tmp_path / "m.tif"], tmp_path / "out")
    assert result.error is None
    assert any(AXES in note for note in result.notes)


@pytest.mark.parametrize("maps", [blobs(2), np.stack([np.ones((50, 64)), np.zeros((50, 64))]), blobs(1)])
def test_pages_that_do_not_add_up_to_one_are_pages(tmp_path, maps):
    tifffile.imwrite(tmp_path / "m.tif", maps.astype(np.float32), photometric="minisblack")
    (result,) = label_files([tmp_path / "m.tif"], tmp_path / "out")
    assert result.error is None
    assert not any("add up" in note for note in result.notes)
