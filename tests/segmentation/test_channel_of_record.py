"""Of a map that was made from one channel, it is said where all channels of the image are measured."""

import json

import numpy as np
import pytest
import tifffile

from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import ObjectSettings

NAMES = ("DAPI", "GFP 2")


@pytest.fixture
def image(tmp_path):
    """An image of two named channels."""
    planes = np.random.default_rng(0).integers(0, 250, (2, 60, 70)).astype(np.uint8)
    metadata = {"axes": "CYX", "Channel": {"Name": list(NAMES)}}
    tifffile.imwrite(tmp_path / "a.ome.tif", planes, metadata=metadata, photometric="minisblack")
    return tmp_path / "a.ome.tif"


def uses(image, out, to, **options):
    """The notes of labels that are made and measured with an image, and of those measured again."""
    done = [
        *label_files([*out.glob("a.probability.*tif")], to / "l", images=image, **options),
        *measure_files(next(out.glob("a.labels.*tif")), to / "m", image, **options),
        *measure_files(to / "l", to / "n", image, **options),
    ]
    assert [one.error for one in done] == [None] * 3
    return [[note for note in one.notes if "was made from channel" in note] for one in done]


@pytest.mark.parametrize("channel", ["GFP 2", 1])
def test_the_channel_of_the_segmentation_is_said_where_all_are_taken(tmp_path, model, image, channel):
    options = SegmentOptions(channel=channel, objects=ObjectSettings(), products=("probability", "classes"))
    (result,) = segment_files([image], tmp_path / "out", model, options)
    assert result.error is None
    for notes in uses(image, tmp_path / "out", tmp_path / "all"):
        (note,) = notes
        assert f"was made from channel {channel} of its image" in note
        assert "all 2 channels" in note
        assert ("--channel 'GFP 2'" if channel != 1 else "--channel 1") in note
    for folder in "lmn":
        table = tmp_path / "all" / folder / "a.objects.csv"
        assert "channel" not in json.loads(table.with_suffix(".record.json").read_text())
        assert {"intensity_0_mean", "intensity_1_mean"} <= set(table.read_text().split("\n")[0].split(","))
    assert uses(image, tmp_path / "out", tmp_path / "one", channel=1) == [[], [], []]
    assert uses(image, tmp_path / "out", tmp_path / "other", channel="DAPI") == [[], [], []]


def test_nothing_is_said_of_an_image_of_one_channel(tmp_path, model):
    page = np.random.default_rng(0).integers(0, 250, (60, 70)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", page)
    options = SegmentOptions(channel=0, objects=ObjectSettings(), products=("probability",))
    (result,) = segment_files([tmp_path / "a.tif"], tmp_path / "out", model, options)
    assert result.error is None
    assert uses(tmp_path / "a.tif", tmp_path / "out", tmp_path / "all") == [[], [], []]
