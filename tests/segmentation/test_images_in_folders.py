"""Images in folders below the one that is given: by folders and names, else by the record of the result."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unet2015.errors import DataSetError
from unet2015.safe_files import signed
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import ObjectSettings

LEVELS = {"a/t0": 10, "a/t1": 30, "b/t0": 50, "b/u0": 70}
"""Images, each with the one value that tells it apart."""
LABELS = np.kron(np.array([[1, 0], [0, 2]], np.uint16), np.ones((30, 30), np.uint16))
OPTIONS = SegmentOptions(products=("probability",), objects=ObjectSettings())


@pytest.fixture
def images(tmp_path):
    for name, level in LEVELS.items():
        path = tmp_path / "images" / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(level).integers(0, 3, LABELS.shape)
        tifffile.imwrite(path, (level + noise).astype(np.uint8))
    return tmp_path / "images"


@pytest.fixture
def segmented(images, tmp_path, model):
    """The results of each folder of images in a folder of the same name."""
    for folder in "ab":
        for result in segment_files([images / folder], tmp_path / "out" / folder, model, OPTIONS):
            assert result.error is None
    return tmp_path / "out"


def write_labels(*places: Path) -> None:
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(place, LABELS)


def levels(results) -> dict[str, int]:
    """Return the level of the image that was measured for each label image or map, by folder and name."""
    found = {}
    for one in results:
        assert one.error is None, one.error
        (table,) = [path for path in one.outputs if path.name.endswith(".objects.csv")]
        with table.open() as file:
            least = {round(float(row["intensity_min"])) for row in csv.DictReader(file)}
        found[f"{one.input.parent.name}/{one.input.name.partition('.')[0]}"] = min(least) // 10 * 10
    return found


def both(given, out: Path, images: Path):
    yield measure_files(given, out / "m", images)
    yield label_files([given], out / "l", images=images)


@pytest.mark.parametrize("folder", "ab")
def test_results_of_one_folder_go_with_their_images_among_those_of_several(
    segmented, images, tmp_path, folder
):
    expected = {name: level for name, level in LEVELS.items() if name.startswith(folder)}
    for results in both(segmented / folder, tmp_path, images):
        assert levels(results) == expected
    measured = measure_files(tmp_path / "l", tmp_path / "again", images)  # labels that label made
    assert {*levels(measured).values()} == {*expected.values()}


def test_images_that_have_moved_are_known_by_their_bytes(segmented, images, tmp_path):
    moved = tmp_path / "archive"
    for place, name in (("a", "x"), ("b", "y")):
        shutil.copytree(images / place, moved / name)
    shutil.rmtree(images)
    for results in both(segmented / "a", tmp_path, moved):
        assert levels(results) == {"a/t0": 10, "a/t1": 30}


def test_an_image_that_has_changed_since_is_known_by_its_place_and_said(segmented, images, tmp_path, caplog):
    changed = images / "a" / "t0.tif"
    tifffile.imwrite(changed, np.full(LABELS.shape, 90, np.uint8))
    assert levels(measure_files(segmented / "a", tmp_path / "m", images)) == {"a/t0": 90, "a/t1": 30}
    assert f"whose SHA-256 is not that of {changed}" in caplog.text


def test_results_in_one_folder_go_with_images_in_several(images, tmp_path, model):
    given = [images / f"{name}.tif" for name in ("a/t0", "a/t1", "b/u0")]
    assert all(one.error is None for one in segment_files(given, tmp_path / "out", model, OPTIONS))
    for results in both(tmp_path / "out", tmp_path, images):
        assert levels(results) == {"out/t0": 10, "out/t1": 30, "out/u0": 70}


def test_maps_of_several_folders_go_with_images_in_folders_of_the_same_names(segmented, images, tmp_path):
    for record in segmented.rglob("*.record.json"):
        record.unlink()
    for name in ("b/t0", "a/t1"):
        for result in segmented.glob(f"{name}.*"):
            result.unlink()
    maps = label_files([segmented / "*" / "*.probability.tif"], tmp_path / "l", images=images)
    assert levels(maps) == {"a/t0": 10, "b/u0": 70}
    labels = measure_files(segmented, tmp_path / "m", images)
    assert levels(labels) == {"a/t0": 10, "b/u0": 70}


def test_folders_and_names_count_before_a_record_which_is_said(segmented, images, tmp_path, caplog):
    shutil.rmtree(segmented / "b")
    (segmented / "b").mkdir()
    for result in segmented.glob("a/t0.*"):
        result.rename(segmented / "b" / result.name)
    assert levels(measure_files(segmented, tmp_path / "m", images)) == {"a/t1": 30, "b/t0": 50}
    assert f"was made from {images / 'a' / 't0.tif'} by its record, whose SHA-256 is not that" in caplog.text


@pytest.mark.parametrize("ending", ["", "_mask", ".labels", "_cp_masks"])
def test_labels_of_other_programs_go_with_images_in_folders(images, tmp_path, ending):
    (images / "b" / "t0.tif").unlink()
    flat, mirrored = tmp_path / "flat", tmp_path / "mirrored"
    write_labels(*(flat / f"{name}{ending}.tif" for name in ("t0", "t1", "u0")))
    write_labels(*(mirrored / f"{name}{ending}.tif" for name in ("a/t0", "a/t1", "b/u0")))
    found = levels(measure_files(flat, tmp_path / "f", images))
    assert [*found.values()] == [10, 30, 70]
    found = levels(measure_files(mirrored, tmp_path / "n", images))
    assert [*found.values()] == [10, 30, 70]


@pytest.mark.parametrize("ending", ["", "_mask", ".labels"])
def test_where_two_images_may_be_meant_both_are_named(images, tmp_path, ending):
    write_labels(*(tmp_path / "flat" / f"{name}{ending}.tif" for name in ("t0", "t1", "u0")))
    with pytest.raises(DataSetError, match="could belong to each of") as caught:
        measure_files(tmp_path / "flat", tmp_path / "f", images)
    for name in ("flat/t0", "images/a/t0.tif", "images/b/t0.tif"):
        assert str(tmp_path / name) in str(caught.value)
    assert str(caught.value).endswith("images/exp1 and labels/exp1")  # the names are alike already
    flat = tmp_path / "images_of_all"
    shutil.copytree(images / "a", flat)
    write_labels(*(tmp_path / "deep" / f"{name}{ending}.tif" for name in ("a/t0", "b/t0")))
    with pytest.raises(DataSetError, match="could belong to each of") as caught:
        measure_files(tmp_path / "deep", tmp_path / "d.csv", flat)
    for name in ("deep/a/t0", "deep/b/t0"):
        assert str(tmp_path / name) in str(caught.value)


def test_an_edited_record_does_not_tell_which_image_it_is(segmented, images, tmp_path):
    place = segmented / "a" / "t0.record.json"
    said = json.loads(place.read_text())
    place.write_text(json.dumps(said | {"input": str(images / "b" / "t0.tif")}))
    with pytest.raises(DataSetError, match="could belong to each of"):
        measure_files(segmented / "a", tmp_path / "m", images)
    place.write_text(json.dumps(signed({key: said[key] for key in said if key != "record_sha256"})))
    assert levels(measure_files(segmented / "a", tmp_path / "m", images))["a/t0"] == 10


def test_what_has_no_image_among_those_given_is_told_where_its_image_was(segmented, images, tmp_path):
    results = measure_files(segmented / "b", tmp_path / "m", images / "a")
    alone = {one.input.name: str(one.error) for one in results if one.error}
    assert (
        f"by its record it was made from {images / 'b' / 'u0.tif'}, which is not among"
        in (alone["u0.labels.tif"])
    )
    assert "name them alike" not in alone["u0.labels.tif"]
