import json

import numpy as np
import pytest
import tifffile
import torch

import unet2015
from unet2015.images.reader import open_image, read_pages
from unet2015.models.model_file import ModelInfo, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.settings import Mapping, NetworkSettings
from unet2015.tiling import plan
from unet2015.tiling.predictor import Predictor


@pytest.fixture
def model(tmp_path):
    """An untrained model of a very small network."""
    info = ModelInfo(
        network=NetworkSettings(width=2, depth=1),
        mapping=Mapping(method="integer-range"),
        class_names=("membrane", "cell"),
    )
    path = tmp_path / "model.safetensors"
    torch.manual_seed(0)  # of some draws all pixels get the same probability, which is said
    save_model(path, UNet(width=2, depth=1), info)
    return path


@pytest.fixture
def segment(cli, data, model):
    def call(*more, inputs=("images",)):
        return cli("segment", *(data / name for name in inputs), "--model", model, "-o", data / "out", *more)

    return call


def test_results_are_those_of_the_python_function_with_the_axes_of_the_input(segment, data, model):
    ended = segment("--device", "cpu")
    result = data / "out" / "a.classes.tif"
    assert (ended.status, ended.out) == (0, f"{result}\n")
    np.testing.assert_array_equal(
        read_pages(result), unet2015.segment(data / "images" / "a.tif", model, device="cpu")
    )
    with open_image(data / "images" / "a.tif") as before, open_image(result) as after:
        assert (after.axes, after.shape, after.calibration) == (before.axes, before.shape, before.calibration)


def test_options_reach_the_segmentation(segment, data, model):
    ended = segment(
        "--probability", "--threshold", "0.25", "--average", "flips", "--tile", "44", "--batch", "3",
        "--max-memory", "2G", "--axes", "TYX",
    )  # fmt: skip
    assert ended.status == 0
    classes, probability = ended.out.split()
    record = json.loads((data / "out" / "a.record.json").read_text())
    assert record["axes"] == "TYX"
    for option, value in {
        "threshold": 0.25,
        "average": "flips",
        "tile": 44,
        "batch": 3,
        "max_memory": 2 * 2**30,
        "precision": "float32",
        "device": "auto",
    }.items():
        assert record["settings"][option] == value
    np.testing.assert_array_equal(read_pages(classes), read_pages(probability) > np.float32(0.25))


@pytest.mark.parametrize(
    ("options", "endings"),
    [
        (["--regions", "imagej"], [".rois.zip"]),
        (["--regions", "geojson", "--overlay"], [".geojson", ".overlay.png"]),
        (["--regions", "both"], [".rois.zip", ".geojson"]),
        (["--overlay", "--parquet"], [".objects.parquet", ".overlay.png"]),
    ],
)
def test_views_of_objects(segment, data, options, endings):
    ended = segment("--objects", *options)
    paths = [data / "out" / f"a{end}" for end in (".classes.tif", ".labels.tif", ".objects.csv", *endings)]
    assert (ended.status, ended.out.split()) == (0, [str(path) for path in paths])
    assert all(path.is_file() for path in paths)


def test_a_bad_file_does_not_stop_the_others(segment, data, cut_short):
    ended = segment()
    assert ended.status == 1
    assert ended.out == f"{data / 'out' / 'a.classes.tif'}\n"
    reason, total = ended.err.splitlines()
    assert reason.startswith(f"unet2015: error: {cut_short}")
    assert total == "unet2015: error: 1 of 2 files failed"
    assert not (data / "out" / "cut.classes.tif").exists()


def test_json(segment, data, cut_short):
    ended = segment("--json")
    assert ended.status == 1
    whole, cut = json.loads(ended.out)
    (note,) = whole.pop("notes")
    assert note.startswith("this image has pixels of ")
    assert "was not checked" not in ended.err
    assert whole == {
        "input": str(data / "images" / "a.tif"),
        "outputs": [str(data / "out" / "a.classes.tif")],
        "error": None,
    }
    assert cut["outputs"] == []
    assert str(cut_short) in cut["error"]


def test_a_plan_writes_nothing(segment, data, cut_short):
    ended = segment("--plan")
    assert ended.status == 1
    assert "tiles" in ended.out
    assert "refused" in ended.out
    assert "all 2 files, without 1 refused" in ended.out
    plans = json.loads(segment("--plan", "--json").out)
    assert [plan["input"] for plan in plans] == [str(data / "images" / "a.tif"), str(cut_short)]
    assert plans[0]["memory_bytes"] > 0
    assert not (data / "out").exists()
    one = segment("--plan", inputs=["images/a.tif"])
    assert one.status == 0
    assert "all 1 files" not in one.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--max-memory", "much"], ["much", "4G"]),
        (["--max-memory", "1M"], ["memory cap", "--max-memory"]),
        (["--tile", "45"], ["45", "44 or 46"]),
        (["--threshold", "2"], ["threshold", "2"]),
        (["--device", "abacus"], ["abacus"]),
        (["--regions", "imagej"], ["--regions", "--objects"]),
        (["--overlay"], ["--overlay", "--objects"]),
        (["--parquet"], ["--parquet", "--objects"]),
        (["--objects", "--regions", "qupath"], ["qupath", "imagej", "geojson", "both"]),
    ],
)
def test_options_that_cannot_be_met(segment, data, refused, options, words):
    refused(segment(*options), 2, *words)
    assert not (data / "out").exists()


def test_inputs_that_are_not_there(segment, data, refused):
    refused(segment(inputs=["none.tif"]), 2, data / "none.tif")
    refused(segment(inputs=["images", "nothing*.tif"]), 2, "nothing*.tif")


def test_a_model_that_is_none(cli, data, refused):
    image = data / "images" / "a.tif"
    refused(cli("segment", image, "-o", data / "out", "--model", image), 2, image, "model")
    refused(cli("segment", image, "-o", data / "out", "--model", data / "none"), 2, data / "none")


@pytest.mark.slow
def test_the_installed_command(installed, data, model):
    tifffile.imwrite(data / "images" / "empty.tif", np.zeros((5, 5), np.uint8))
    ended = installed("segment", data / "images" / "empty.tif", "-o", data / "out", "--model", model)
    assert ended.status == 0, ended.err
    assert ended.out == f"{data / 'out' / 'empty.classes.tif'}\n"
    # An untrained network on a constant image says the same everywhere, which is worth a message.
    assert "unet2015: " in ended.err
    assert "Traceback" not in ended.err


def test_ctrl_c_ends_with_130_and_the_next_run_goes_on_inside_the_image(segment, data, monkeypatch):
    monkeypatch.setattr(plan, "PART_PIXELS", 4 * 44 * 44)
    real, seen, stop = Predictor.__call__, [], [9]

    def counting(self, tiles):
        if len(seen) == stop[0]:
            raise KeyboardInterrupt
        seen.extend(tiles)
        return real(self, tiles)

    monkeypatch.setattr(Predictor, "__call__", counting)
    ended = segment("--tile", "44", "--device", "cpu")
    assert ended.status == 130
    assert ended.err.splitlines()[-1] == "unet2015: interrupted"
    assert "Traceback" not in ended.err
    assert not list((data / "out").glob("*.tif"))
    (kept,) = (data / "out").iterdir()
    tiles = json.loads((kept / "job.json").read_text())["tiles"]
    stop[0] = -1
    assert segment("--tile", "44", "--device", "cpu").status == 0
    assert tiles < len(seen) < 9 + tiles, "finished parts must not be computed again"
    assert sorted(path.name for path in (data / "out").iterdir()) == ["a.classes.tif", "a.record.json"]


def test_each_page_is_mapped_by_itself_where_that_is_asked_for(segment, data, model):
    loaded = unet2015.load_model(model)
    info = loaded.info.model_copy(update={"mapping": Mapping(method="standardise")})
    save_model(model, loaded.network, info)
    assert segment("--map-each", "page", "--device", "cpu").status == 0
    record = json.loads((data / "out" / "a.record.json").read_text())
    assert (record["settings"]["map_each"], record["mapping"]["each"]) == ("page", "page")
    refused = segment("--map-each", "frame")
    assert refused.status == 2
    assert "'file', 'page'" in refused.err
