"""Whoever goes on with a segmentation reads its image with the axes that were given for it."""

import csv

import numpy as np
import pytest
import tifffile

from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import ObjectSettings

FIRST, SECOND = (np.random.default_rng(seed).integers(0, 200, (70, 66), np.uint8) for seed in (0, 1))
PLANES = np.stack([[FIRST, SECOND], [FIRST // 2, SECOND // 2]])  # channels, then frames


@pytest.fixture(params=["none", "wrong"])
def file(request, tmp_path):
    """A file that does not say its axes, or says wrong ones that are as long."""
    said = {"imagej": True, "metadata": {"axes": "TCYX"}} if request.param == "wrong" else {"metadata": None}
    path = tmp_path / "w.tif"
    if request.param == "none":
        tifffile.imwrite(path, PLANES, photometric="minisblack")
    else:
        tifffile.imwrite(path, PLANES, **said)
    return path


def means(path):
    with path.open() as file:
        return [(row["page"], row["label"], row["intensity_mean"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("target", ["out", "out/w.zarr"])
def test_measure_and_label_take_the_axes_of_the_segmentation(file, target, tmp_path, make_model):
    out, labelled = tmp_path / target, tmp_path / "labelled"
    options = SegmentOptions(axes="CTYX", channel="0", objects=ObjectSettings())
    (result,) = segment_files([file], out, make_model(tmp_path / "m.safetensors"), options)
    assert result.error is None
    expected = means(tmp_path / "out" / "w.objects.csv")
    assert {page for page, *_ in expected} == {"0", "1"}
    (measured,) = measure_files(out, tmp_path / "m.csv", images=file, channel="0")
    assert measured.error is None
    assert means(tmp_path / "m.csv") == expected
    (done,) = label_files([out], labelled, images=file, channel="0")
    assert done.error is None
    assert means(labelled / "w.objects.csv") == expected
    (again,) = measure_files(labelled, tmp_path / "n.csv", images=file, channel="0")
    assert again.error is None
    assert means(tmp_path / "n.csv") == expected


@pytest.mark.parametrize("target", ["out", "out/w.zarr"])
def test_another_image_is_read_as_its_file_says(target, tmp_path, make_model):
    film, other = tmp_path / "w.tif", tmp_path / "other" / "w.tif"
    other.parent.mkdir()
    tifffile.imwrite(film, PLANES[0], photometric="minisblack")
    tifffile.imwrite(other, PLANES[1], photometric="minisblack", metadata={"axes": "ZYX"})
    options = SegmentOptions(axes="TYX", objects=ObjectSettings())
    (result,) = segment_files([film], tmp_path / target, make_model(tmp_path / "m.safetensors"), options)
    assert result.error is None
    (measured,) = measure_files(tmp_path / target, tmp_path / "m.csv", images=other)
    notes = [str(measured.error), *measured.notes]
    assert any("SHA-256" in note or "axes" in note for note in notes)
