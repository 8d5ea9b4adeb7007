"""What is said where a label image inside OME-Zarr is put together with another image than its own."""

import logging
import shutil

import numpy as np
import pytest
import tifffile
import zarr

from tests.images.test_zarr import make, metadata
from tests.segmentation.test_fields_of_plates import CELLS, field
from unet2015.metrics.object_folders import evaluate_objects
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings import TrainingSettings
from unet2015.settings.objects import ObjectSettings
from unet2015.training.checks.training_set import inspect_set

RANDOM = np.random.default_rng(0)
IMAGES = [RANDOM.integers(1, 200, (2, *CELLS.shape)).astype(np.uint8)[number] for number in (0, 1)]


@pytest.fixture(params=["plate.zarr", "plate"])
def fields(request, tmp_path):
    """Two fields of a plate, each with its cells inside."""
    root = tmp_path / request.param
    return [
        field(root, f"A/{well}/0", pixels, cells=CELLS) for well, pixels in zip("12", IMAGES, strict=True)
    ]


def cells(image):
    return image / "labels" / "cells"


def notes(labels, image, out):
    (result,) = measure_files(labels, out, image)
    assert result.error is None
    return [note for note in result.notes if "is a label image of" in note]


def said(own, other, why="where it lies"):
    return [f"is a label image of {own} by {why}, and not of {other}; see that they belong together"]


def test_labels_measured_on_another_field(fields, tmp_path, caplog):
    one, other = fields
    assert notes(cells(one), one, tmp_path / "right") == []
    assert notes(cells(one), other, tmp_path / "wrong") == said(one, other)
    assert f"{cells(one)}: {said(one, other)[0]}" in caplog.text


def test_labels_that_are_linked_or_named_from_within(fields, tmp_path, monkeypatch):
    one = fields[0]
    folder = tmp_path / "links"
    folder.mkdir()
    for number, image in enumerate(fields):
        (folder / f"cells{number}").symlink_to(cells(image))
        (folder / f"image{number}").symlink_to(image)
    monkeypatch.chdir(cells(one).parent)
    for labels in (folder / "cells0", "cells"):
        assert notes(labels, folder / "image0", tmp_path / "right") == []
        found = notes(labels, folder / "image1", tmp_path / "wrong")
        assert found == said(one, folder / "image1")


def test_labels_are_measured_on_their_own_image_among_several(fields, tmp_path):
    one, other = fields
    for label in (one, other):
        out = tmp_path / label.parent.name
        out.mkdir()
        (result,) = measure_files(cells(label), out / "all.csv", str(one.parent.parent / "*" / "0"))
        assert (result.error, result.notes) == (None, ())
        assert measure_files(cells(label), out / "own.csv", label)[0].objects == result.objects
        assert (out / "all.csv").read_bytes() == (out / "own.csv").read_bytes()


def test_a_map_inside_another_field_is_labelled(fields, tmp_path):
    one, other = fields
    inside = make(one / "labels" / "map", (CELLS % 2).astype(np.uint8))
    for image, expected in ((one, []), (other, said(one, other))):
        (result,) = label_files(inside, tmp_path / image.parent.name, images=image)
        assert result.error is None
        assert [note for note in result.notes if "is a label image of" in note] == expected


def test_labels_trained_on_with_another_field(fields):
    one, other = fields
    for image, expected in ((one, []), (other, said(one, other))):
        found = inspect_set([(image, cells(one))], TrainingSettings()).problems
        assert [problem.message for problem in found if "is a label image of" in problem.message] == expected
        assert all(problem.severity == "warning" for problem in found)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_that_name_their_image(tmp_path, version):
    one, other = (make(tmp_path / f"{name}.zarr", pixels) for name, pixels in zip("ab", IMAGES, strict=True))
    for number, (source, image, expected) in enumerate(
        [
            ("../a.zarr", one, []),
            ("../a.zarr", other, said(one, other, "its metadata")),
            ("../gone.zarr", other, []),
            ("../", other, []),
            (7, other, []),
        ]
    ):
        labels = make(tmp_path / "cells.zarr", CELLS, version=version)
        metadata(
            labels, lambda said, source=source: said.update({"image-label": {"source": {"image": source}}})
        )
        assert notes(labels, image, tmp_path / str(number)) == expected


def test_a_copy_of_the_image_is_the_image(fields, tmp_path):
    one, _ = fields
    shutil.copytree(one, tmp_path / "copy.zarr")
    shutil.rmtree(tmp_path / "copy.zarr" / "labels")
    tifffile.imwrite(tmp_path / "converted.tif", IMAGES[0])
    for name in ("copy.zarr", "converted.tif"):
        assert notes(cells(one), tmp_path / name, tmp_path / f"{name}-out") == []


def test_a_copy_of_several_channels_is_the_image_whichever_is_measured(tmp_path):
    both = np.stack(IMAGES)
    one = make(tmp_path / "one.zarr", both, "cyx")
    zarr.open_group(one / "labels", mode="a", zarr_format=2)
    make(one / "labels" / "cells", CELLS)
    other = make(tmp_path / "other.zarr", both[::-1], "cyx")
    copy = make(tmp_path / "copy.zarr", both, "cyx")
    for image, expected in ((copy, False), (other, True)):
        (result,) = measure_files(cells(one), tmp_path / image.stem, image, channel=1)
        assert result.error is None
        assert any("is a label image of" in note for note in result.notes) == expected


def test_results_that_lost_their_record_lie_in_no_image(tmp_path, model, stack):
    for number in (0, 1):
        tifffile.imwrite(tmp_path / f"{number}.tif", stack[number])
    options = SegmentOptions(objects=ObjectSettings(), products=("probability",))
    segment_files([tmp_path / "0.tif"], tmp_path / "r.zarr", model, options)
    label_files(tmp_path / "r.zarr", tmp_path / "l")
    for made in (tmp_path / "r.zarr", tmp_path / "l" / "r.labels.zarr"):
        kept = tmp_path / "kept" / made.name
        shutil.copytree(made, kept)
        assert notes(kept / "labels" / "labels", tmp_path / "1.tif", tmp_path / made.stem) == []


def evaluated(truth, result, caplog):
    caplog.clear()
    evaluate_objects(truth, result)
    return [
        one.getMessage()
        for one in caplog.records
        if one.levelno == logging.WARNING and "of another image" in one.getMessage()
    ]


def test_results_of_another_field_than_the_truth(fields, tmp_path, caplog, model):
    one, other = fields
    for image in fields:
        make(image / "labels" / "found", CELLS)
        segment_files([image], tmp_path / image.parent.name, model, SegmentOptions(objects=ObjectSettings()))
    for image in fields:
        made = tmp_path / image.parent.name / "0.classes.zarr" / "labels" / "labels"
        for found in (image / "labels" / "found", made):
            expected = (
                f"{found}: is of another image than its truth, by where both lie, or the record beside it: "
                f"of {image}, and its truth of {one}; see that they belong together"
            )
            assert evaluated(cells(one), found, caplog) == ([] if image == one else [expected])
    gone = other.rename(tmp_path / "elsewhere")  # which image it is now is not known
    assert gone.is_dir()
    made = tmp_path / "2" / "0.classes.zarr" / "labels" / "labels"
    assert evaluated(cells(one), made, caplog) == []
