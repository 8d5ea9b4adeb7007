"""What `label` and `measure` refuse or say of maps, records and intensities that contradict themselves."""

import json

import numpy as np
import pytest
import tifffile
import zarr

from unet2015.errors import ImageWriteError
from unet2015.safe_files import claim, signed
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import ObjectSettings

MASK = np.zeros((20, 30), np.int8)
MASK[3:9, 3:9] = MASK[12:18, 10:20] = 1


@pytest.fixture
def label(tmp_path):
    def call(page, **settings):
        tifffile.imwrite(tmp_path / "a.tif", page, photometric="minisblack")
        (result,) = label_files([tmp_path / "a.tif"], tmp_path / "o", ObjectSettings(**settings))
        return result

    return call


@pytest.mark.parametrize("page", [-MASK, MASK * np.int16(300)])
def test_values_that_are_no_class_get_advice_that_can_be_followed(label, page):
    error = str(label(page).error)
    assert "classes are 1 to 254; save it as 0 and 1" in error
    assert "--class" not in error


EIGHT = np.zeros((20, 60), np.uint16)
for _number in range(8):
    EIGHT[4:14, 5 + 6 * _number : 11 + 6 * _number] = _number + 1


@pytest.mark.parametrize(
    "page",
    [
        EIGHT,
        EIGHT.astype(np.uint8),
        np.where(EIGHT == 8, 300, EIGHT),
        np.where(EIGHT == 8, 255, EIGHT),
        EIGHT * 100,
        EIGHT * (EIGHT < 3),
        EIGHT.astype(np.int32) * -1,
        np.arange(1200, dtype=np.uint16).reshape(20, 60),
    ],
    ids=["8", "8 bits", "a gap", "255", "hundreds", "two", "negative", "many"],
)
def test_instance_labels_get_no_advice_that_joins_cells_that_touch(label, page):
    error = str(label(page).error)
    assert "unet2015 measure" in error
    assert "0 and 1" not in error  # eight cells that touch would be one object


def test_a_class_that_does_not_occur_is_said(label, caplog):
    assert label(MASK * np.uint8(2), of_class=7).objects["objects"] == 0
    assert "no pixel is of class 7; its values are 0, 2" in caplog.text
    caplog.clear()
    assert label(MASK * np.uint8(2), of_class=2).objects["objects"] == 2
    assert "no pixel is of class" not in caplog.text


@pytest.mark.parametrize("most", [255, 65535])
@pytest.mark.parametrize("levels", [3, 10, 255])
def test_a_probability_map_of_whole_numbers_is_refused_with_what_to_do(label, most, levels):
    steps = np.round(np.linspace(0, 1, levels + 1) * most)
    page = np.resize(steps, (20, 30)).astype(np.uint8 if most == 255 else np.uint16)
    for settings in ({}, {"threshold": 0.5}):
        assert "must be divided by these and saved as floats" in str(label(page, **settings).error)
    objects = label((page / most).astype(np.float32), threshold=0.5).objects
    assert objects["objects"] > 0


def test_a_map_without_a_pixel_above_the_threshold_says_what_is_highest(label, caplog):
    assert label(MASK.astype(np.float32) / 255, threshold=0.5).objects["objects"] == 0
    assert "no probability is above the threshold, 0.5: the highest is 0.00392" in caplog.text
    caplog.clear()
    assert label(MASK.astype(np.float32), threshold=0.5).objects["objects"] == 2
    assert "highest" not in caplog.text


def test_a_record_that_contradicts_itself_is_refused(tmp_path, model, stack_file):
    segment_files([stack_file], tmp_path, model, SegmentOptions(products=("probability",), threshold=0.5))
    path = tmp_path / "stack.record.json"
    record = json.loads(path.read_text())
    record["threshold"]["value"] = 0.9
    path.write_text(json.dumps(signed(record)))
    (result,) = label_files([tmp_path / "stack.probability.tif"], tmp_path / "o")
    assert "contradicts itself: its threshold is 0.9 and, among the settings, 0.5" in str(result.error)
    (result,) = label_files(
        [tmp_path / "stack.probability.tif"], tmp_path / "o", ObjectSettings(threshold=0.4)
    )
    assert result.error is None


def test_a_record_that_was_edited_is_not_believed(tmp_path, model, stack_file, caplog):
    segment_files([stack_file], tmp_path, model, SegmentOptions(products=("probability",), threshold=0.5))
    path, probability = tmp_path / "stack.record.json", tmp_path / "stack.probability.tif"
    whole = json.loads(path.read_text())
    both = {"settings": whole["settings"] | {"threshold": 0.9}, "threshold": {"name": "given", "value": 0.9}}
    path.write_text(json.dumps(whole | both))
    (result,) = label_files([probability], tmp_path / "o")
    assert "the record beside it, stack.record.json, was changed after this program wrote it" in str(
        result.error
    )
    assert "no digest" not in caplog.text
    del whole["record_sha256"]
    path.write_text(json.dumps(whole))
    (result,) = label_files([probability], tmp_path / "o")
    assert result.error is None
    assert f"{probability}: the record beside it has no digest of itself" in caplog.text


def test_two_runs_do_not_label_one_map_at_a_time(label, tmp_path):
    (tmp_path / "o").mkdir()
    with claim(tmp_path / "o" / "a.objects.csv"):
        assert "another run is writing it" in str(label(MASK).error)
        assert isinstance(label(MASK).error, ImageWriteError)
    assert label(MASK).error is None
    of_map = ["a.labels.record.json", "a.labels.tif", "a.objects.csv", "a.objects.record.json"]
    found = sorted(path.name for path in (tmp_path / "o").iterdir())
    assert found == [*of_map, "objects.csv", "objects.record.json"]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_intensities_that_are_no_numbers_are_refused_where_objects_are(tmp_path, bad):
    image = np.ones((20, 30), np.float32)
    tifffile.imwrite(tmp_path / "a.tif", MASK.astype(np.uint8), photometric="minisblack")
    for row, refused in ((0, False), (4, True)):
        image[row, 4] = bad
        tifffile.imwrite(tmp_path / "i.tif", image, photometric="minisblack")
        (result,) = measure_files(tmp_path / "a.tif", tmp_path / "o", tmp_path / "i.tif")
        assert (result.error is not None) == refused
    assert f"{tmp_path / 'i.tif'}: page 0: 1 pixels of objects" in str(result.error)


@pytest.mark.parametrize("lowest", [1.7976931348623157e308, -1.7976931348623157e308, 1e306])
def test_intensities_whose_sums_are_infinite_are_refused_where_objects_are(tmp_path, lowest):
    image = np.ones((20, 30))
    tifffile.imwrite(tmp_path / "a.tif", MASK.astype(np.uint8), photometric="minisblack")
    for row, refused in ((0, False), (4, True)):
        image[row, 4] = lowest
        tifffile.imwrite(tmp_path / "i.tif", image, photometric="minisblack")
        (result,) = measure_files(tmp_path / "a.tif", tmp_path / "o", tmp_path / "i.tif")
        assert (result.error is not None) == refused
    assert f"{tmp_path / 'i.tif'}: page 0: expected intensities whose sums" in str(result.error)


def test_a_mask_of_one_bit_is_not_measured_and_says_what_numbers_its_objects(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", MASK > 0, photometric="minisblack")
    (result,) = measure_files(tmp_path / "m.tif", tmp_path / "o")
    assert "it is a mask: number its objects first, with unet2015 label" in str(result.error)


def test_an_ome_zarr_image_measured_as_labels_names_the_labels_inside(tmp_path, caplog):
    path = tmp_path / "a.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    noise = np.random.default_rng(0).integers(1, 200, (40, 60), np.uint16)
    group.create_array("0", data=noise)
    axes = [{"name": name, "type": "space"} for name in "yx"]
    scale = {"coordinateTransformations": [{"type": "scale", "scale": [1, 1]}], "path": "0"}
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [scale]}]
    group.create_group("labels").create_group("cells")
    measure_files(path, tmp_path / "o")
    said = [record.message for record in caplog.records if "is it an image?" in record.message]
    assert said[0].endswith(f"; its labels are {path / 'labels' / 'cells'}")
