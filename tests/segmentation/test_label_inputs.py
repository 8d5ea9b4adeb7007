"""What `label` and `measure` take beside maps and labels, and what they say of many files."""

import csv
import json

import numpy as np
import pytest
import tifffile
from pyarrow import parquet

from unet2015.cli.app import main
from unet2015.errors import ImageWriteError, UsageError
from unet2015.images.reader import open_image, read_pages
from unet2015.objects.instances import label_objects
from unet2015.safe_files import sha256
from unet2015.segmentation import map_files
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import ObjectSettings

FILES, ANY = 3, ObjectSettings()


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def maps(tmp_path):
    """A probability map, and an image of two channels, for each of three files; none has a record."""
    values = np.zeros((20, 30), np.float32)
    values[4:9, 5:12], values[12:16, 20:26] = 0.9, 0.8
    for folder in ("maps", "images", "masks"):
        (tmp_path / folder).mkdir()
    for name in "abc":
        image = np.stack([values * 100, values * 200]).astype(np.uint16)
        metadata = {"axes": "CYX", "unit": "um"}
        tifffile.imwrite(
            tmp_path / "images" / f"{name}.tif", image, imagej=True, resolution=(4, 4), metadata=metadata
        )
        calibrated = {"resolution": (2, 2), "imagej": True, "metadata": {"axes": "YX", "unit": "um"}}
        tifffile.imwrite(tmp_path / "maps" / f"{name}.probability.tif", values, **calibrated)
        tifffile.imwrite(tmp_path / "masks" / f"{name}.tif", (values > 0).astype(np.uint8), **calibrated)
    return tmp_path


def said_once(caplog, *notes):
    """Each note came with the first file, and then with the number of the others; nothing came for each."""
    for note in notes:
        found = [message for message in caplog.messages if note in message]
        assert len(found) == 2, found
        assert found[1] == f"{found[0]} (and {FILES - 1} more files)"
    caplog.clear()


def test_what_is_the_same_on_many_maps_is_said_once(maps, caplog):
    results = label_files([maps / "maps"], maps / "out", images=maps / "images")
    assert [one.error for one in results] == [None] * FILES
    size = "has pixels of 0.5 x 0.5 µm, but its image has pixels of 0.25 x 0.25 µm"
    said_once(caplog, "no record beside it says the model's threshold; 0.5 is taken", size)
    measure_files(maps / "out", maps / "m", maps / "images")
    said_once(caplog, size)
    label_files([maps / "masks"], maps / "other", ObjectSettings(of_class=7))
    said_once(caplog, "no pixel is of class 7")


@pytest.mark.parametrize(("channel", "mean"), [("0", 90), ("1", 180)])
def test_one_channel_of_the_images_is_measured(maps, channel, mean):
    images = ["--images", str(maps / "images"), "--channel", channel]
    for arguments in (
        ["label", str(maps / "maps"), "-o", str(maps / "out"), *images],
        ["measure", str(maps / "out"), "-o", str(maps / "m"), *images],
    ):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 0
    for folder in ("out", "m"):
        first = rows_of(maps / folder / "a.objects.csv")[0]
        assert float(first["intensity_mean"]) == mean
        assert "intensity_0_mean" not in first


def test_what_the_images_do_not_have_is_the_failure_of_each(maps):
    for options, words in (({"channel": 2}, "it has 2 channels"), ({"scene": 1}, "one image")):
        for result in (
            *label_files([maps / "maps"], maps / "out", images=maps / "images", **options),
            *measure_files(maps / "masks", maps / "m", maps / "images", **options),
        ):
            assert words in str(result.error)


def test_channel_and_scene_are_those_of_images(maps):
    with pytest.raises(UsageError, match="give the images"):
        label_files([maps / "maps"], maps / "out", channel=1)
    with pytest.raises(UsageError, match="give the images"):
        measure_files(maps / "masks", maps / "m", scene="A")
    assert not (maps / "out").exists()


def joined(folder, ending=".csv"):
    """The rows of the tables of each file, one after the other."""
    return [row for path in sorted(folder.glob(f"*.objects{ending}")) for row in rows_of(path)]


def test_tables_of_each_file_and_one_of_all(maps, caplog):
    caplog.set_level("INFO", "unet2015")
    label_files([maps / "maps"], maps / "out", views=["parquet"])
    assert f"6 objects in 3 images, 2 to 2 an image; all in {maps / 'out' / 'objects.csv'}" in caplog.text
    measure_files(maps / "out", maps / "m", parquet=True)
    for folder, command in ((maps / "out", "label"), (maps / "m", "measure")):
        assert rows_of(folder / "objects.csv") == joined(folder)
        assert len(joined(folder)) == 2 * FILES
        every = parquet.read_table(folder / "objects.parquet")
        assert every["label"].to_pylist() == [1, 2] * FILES
        assert json.loads((folder / "objects.record.json").read_text())["command"] == command
    assert all(one.error is None for one in measure_files(maps / "out", maps / "m"))  # over its own tables


def test_one_table_that_is_named_is_the_only_one(maps):
    label_files([maps / "maps"], maps / "out")
    measure_files(maps / "out", maps / "all.csv")
    assert len(rows_of(maps / "all.csv")) == 2 * FILES
    with pytest.raises(UsageError, match="give a folder"):
        measure_files(maps / "out", maps / "other.csv", parquet=True)


def test_a_table_of_all_that_another_command_wrote_stays(maps, model):
    segment_files([maps / "images" / "a.tif"], maps / "out", model, SegmentOptions(channel=0, objects=ANY))
    before = (maps / "out" / "objects.csv").read_bytes()
    result, table = label_files([maps / "maps" / "b.probability.tif"], maps / "out")
    assert result.error is None
    assert (maps / "out" / "objects.csv").read_bytes() == before
    assert (table.input, table.outputs) == (maps / "out" / "objects.csv", ())
    assert "is a result of segment" in str(table.error)
    assert "the table of each image is there" in str(table.error)


def test_a_threshold_is_not_rounded_to_the_half_precision_of_a_map(tmp_path):
    values = np.zeros((20, 30), np.float16)
    values[4:9, 5:12] = 0.3  # stored as 0.300048828125
    tifffile.imwrite(tmp_path / "half.tif", values)
    for threshold, count in ((0.3, 1), (0.30001, 1), (0.3001, 0)):
        settings = ObjectSettings(threshold=threshold)
        (found,) = label_files([tmp_path / "half.tif"], tmp_path / str(threshold), settings)
        assert read_pages(found.outputs[0]).max() == count
        assert label_objects(values, threshold).max() == count


@pytest.fixture
def zarr_map(maps, model):
    """A segmentation in OME-Zarr with objects."""
    options = SegmentOptions(channel=0, objects=ANY)
    segment_files([maps / "images" / "a.tif"], maps / "a.classes.zarr", model, options)
    return maps / "a.classes.zarr"


def test_labels_of_an_ome_zarr_are_ome_zarr(zarr_map, maps):
    (found,) = label_files([zarr_map], maps / "zl", ANY)
    assert found.error is None
    assert [path.name for path in found.outputs] == ["a.labels.zarr", "a.objects.csv"]
    with (
        open_image(maps / "zl" / "a.labels.zarr", labels=True) as labels,
        open_image(zarr_map / "labels" / "labels", labels=True) as before,
        open_image(zarr_map) as image,
    ):
        assert labels.dtype == np.uint16
        assert np.array_equal(labels.read(0, 0, 20, 0, 30), before.read(0, 0, 20, 0, 30))
        assert labels.calibration == image.calibration
    assert "image-label" in (maps / "zl" / "a.labels.zarr" / "labels" / "labels" / "zarr.json").read_text()
    (measured,) = measure_files(maps / "zl", maps / "m.csv")
    assert measured.error is None
    assert len(rows_of(maps / "m.csv")) == len(rows_of(maps / "zl" / "a.objects.csv")) > 0


def test_a_label_image_in_ome_zarr_is_ours_or_stays(zarr_map, maps):
    label_files([zarr_map], maps / "zl", ANY)
    place = maps / "zl" / "a.labels.zarr"
    digest = sha256(place)
    for _ in range(2):
        (again,) = label_files([zarr_map], maps / "zl", ANY)
        assert again.error is None
        assert sha256(place) == digest
    next(path for path in place.rglob("c/**/0") if path.is_file()).write_bytes(b"mine")
    changed = sha256(place)
    (refused,) = label_files([zarr_map], maps / "zl", ANY)
    assert "was changed" in str(refused.error)
    assert sha256(place) == changed
    assert [path.name for path in (maps / "zl").iterdir() if path.name.startswith(".")] == []


def test_a_label_image_in_ome_zarr_is_whole_or_absent(zarr_map, maps, monkeypatch):
    def broken(*_):
        raise ImageWriteError(f"{map_files.__name__}: the disk is full")

    monkeypatch.setattr(map_files, "write_table", broken)
    (result,) = label_files([zarr_map], maps / "zl", ANY)
    assert "the disk is full" in str(result.error)
    assert [path.name for path in (maps / "zl").iterdir()] == []
