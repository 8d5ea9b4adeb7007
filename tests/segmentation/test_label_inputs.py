"""What `label` and `measure` take beside maps and labels, and what they say of many files."""

import csv

import numpy as np
import pytest
import tifffile

from unet2015.cli.app import main
from unet2015.errors import UsageError
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.settings.objects import ObjectSettings

FILES = 3


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
