"""``--channel`` and ``--scene`` go from the command to the images, the model and the record."""

import json

import numpy as np
import pytest
import tifffile

from tests.images.test_microscope_files import write
from unet2015.models.model_file import read_model_file
from unet2015.training.validation import Validation

TINY = """
[network]
depth = 1
[optimisation]
tile = 44
warmup = 1
[validation]
interval = 2
attempts = 1
"""


@pytest.fixture
def coloured(data, fewer_objects, monkeypatch):
    """The training set with its images as the second of two channels."""
    stack = tifffile.imread(data / "images" / "a.tif")
    both = np.stack([np.zeros_like(stack), stack], 1)
    metadata = {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    (data / "coloured").mkdir()
    path = data / "coloured" / "a.tif"
    tifffile.imwrite(path, both, ome=True, metadata=metadata, photometric="minisblack")
    (data / "tiny.toml").write_text(TINY)
    monkeypatch.setattr(Validation, "learned", True)
    return path


def test_train_resume_and_segment_with_one_channel(cli, data, coloured, refused):
    def train(images, out, *more):
        return cli(
            "train", "--images", images, "--labels", data / "labels", "-o", out, "--label-kind", "membrane",
            "--settings", data / "tiny.toml", "--width", "2", "--device", "cpu", "--steps", "2", *more,
        )  # fmt: skip

    assert train(data / "images", data / "alone").status == 0
    assert train(coloured, data / "run", "--channel", "GFP").status == 0
    one, alone = (read_model_file(data / run / "model.safetensors") for run in ("run", "alone"))
    assert one.info.in_channels == 1
    assert one.info.training["channel"] == "GFP"
    assert "channel" not in alone.info.training
    assert one.info.training["validation"] == alone.info.training["validation"]
    ended = train(coloured, data / "run", "--channel", "0", "--resume")
    assert ended.status == 1
    assert "another --channel" in ended.err
    refused(train(coloured, data / "run", "--channel", "RFP", "--resume"), 1, "0:DAPI, 1:GFP")
    assert train(coloured, data / "run", "--channel", "GFP", "--resume").status == 0

    model = ["--model", one.path, "--device", "cpu"]
    ended = cli("segment", coloured, "-o", data / "o", *model)
    assert ended.status == 1
    assert "choose a channel with --channel (it was trained on GFP): 0:DAPI, 1:GFP" in ended.err
    assert cli("segment", coloured, "-o", data / "o", *model, "--channel", "1").status == 0
    assert json.loads((data / "o" / "a.record.json").read_text())["settings"]["channel"] == "1"
    assert cli("segment", data / "images", "-o", data / "p", *model).status == 0
    results = [tifffile.imread(next((data / name).glob("a.classes.*"))) for name in "op"]
    np.testing.assert_array_equal(*results)


def test_train_check_and_report_take_one_scene(cli, data, coloured):
    stack = tifffile.imread(data / "images" / "a.tif")
    path = data / "coloured" / "two.lif"
    write(path, [np.zeros_like(stack)[None, :, None], stack[None, :, None]], names=("dark", "cells"))
    both = ["--images", path, "--labels", data / "labels" / "a.tif", "--label-kind", "membrane"]
    assert "it holds 2 images (scenes): 0:dark, 1:cells" in cli("check", *both).out
    assert "0 errors, 1 warning" in cli("check", *both, "--scene", "1").out  # of the pixel size
    assert "there is nothing to learn" in cli("check", *both, "--scene", "dark").out
    options = ["--settings", data / "tiny.toml", "--width", "2", "--device", "cpu", "--steps", "2"]
    train = ["train", *both, "-o", data / "run", *options]
    assert cli(*train, "--scene", "cells").status == 0
    assert read_model_file(data / "run" / "model.safetensors").info.training["scene"] == "cells"
    ended = cli(*train, "--scene", "dark", "--resume")
    assert (ended.status, "another --channel or --scene" in ended.err) == (1, True)
    assert cli("report", data / "run", "--device", "cpu").status == 0


def test_check_looks_at_one_channel(cli, data, coloured):
    options = ["check", "--images", coloured, "--labels", data / "labels", "--label-kind", "membrane"]
    assert "0 errors, 0 warnings" in cli(*options, "--channel", "1").out
    assert "there is nothing to learn" in cli(*options, "--channel", "DAPI").out
    ended = cli(*options, "--channel", "2")
    assert ended.status == 1
    assert "error: " in ended.out
    assert "not '2'; it has 2 channels: 0:DAPI, 1:GFP" in ended.out


def test_inspect_names_the_channels(cli, coloured, data):
    assert "2 (0:DAPI, 1:GFP)" in cli("inspect", coloured).out
    assert json.loads(cli("inspect", coloured, "--json").out)[0]["channel_names"] == ["DAPI", "GFP"]
    assert json.loads(cli("inspect", data / "images", "--json").out)[0]["channel_names"] == []
