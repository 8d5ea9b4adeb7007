"""``unet2015 replay``: 0 where the bytes are the same, 1 where not or where something is gone."""

import json

import numpy as np
import pytest
import tifffile
import torch

import unet2015.segmentation.replay as replaying
from unet2015.errors import ModelError
from unet2015.models.model_file import ModelInfo, read_model_file, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.safe_files import signed
from unet2015.settings import Mapping, NetworkSettings


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    info = ModelInfo(
        network=NetworkSettings(width=2, depth=1),
        mapping=Mapping(method="standardise"),
        class_names=("membrane", "cell"),
    )
    save_model(tmp_path / "model.safetensors", UNet(width=2, depth=1), info)
    return tmp_path / "model.safetensors"


@pytest.fixture
def record(cli, data, model):
    more = [
        "--probability",
        "--tile",
        "44",
        "--batch",
        "2",
        "--pyramid",
        "--skip-empty",
        "--average",
        "flips",
    ]
    ended = cli("segment", data / "images", "--model", model, "-o", data / "out", *more)
    assert ended.status == 0
    with tifffile.TiffFile(data / "out" / "a.classes.ome.tif") as tif:
        assert tif.pages[0].is_tiled
    return data / "out" / "a.record.json"


def test_the_same_bytes(cli, record, data):
    listing = sorted(data.rglob("*"))
    ended = cli("replay", record)
    assert ended.status == 0
    assert ended.out.splitlines() == ["same       a.classes.ome.tif", "same       a.probability.ome.tif"]
    said = json.loads(cli("replay", record, "--json").out)
    assert (said["same"], said["differences"]) == (True, {})
    assert set(said["beside"].values()) == {"recorded"}
    assert sorted(data.rglob("*")) == listing, "nothing is written beside the results"
    found = data / "out" / "a.classes.ome.tif"
    found.write_bytes(found.read_bytes()[:-1] + b"!")
    (data / "out" / "a.probability.ome.tif").unlink()
    ended = cli("replay", record)
    assert ended.status == 1
    changed, missing = ended.out.splitlines()
    assert changed.startswith("changed    a.classes.ome.tif: what was made now is as recorded, but the file")
    assert missing == "same       a.probability.ome.tif: there is none beside the record"
    said = json.loads(cli("replay", record, "--json").out)
    assert (said["same"], [*said["beside"].values()]) == (False, ["changed", "missing"])
    found.unlink()
    assert cli("replay", record).status == 0


def test_other_bytes_and_other_versions(cli, record):
    said = json.loads(record.read_text())
    said["outputs"]["a.probability.ome.tif"] = "0" * 64
    said["versions"]["torch"] = "1.0"
    record.write_text(json.dumps(signed(said)))
    ended = cli("replay", record)
    assert ended.status == 1
    lines = ended.out.splitlines()
    assert lines[0] == "same       a.classes.ome.tif"
    assert (
        lines[1]
        == "different  a.probability.ome.tif: the file beside the record was changed after it was written"
    )
    assert lines[2].startswith("  torch was 1.0, is ")


def test_the_plan_is_that_of_the_record(cli, record):
    said = json.loads(record.read_text())
    assert said["plan"]["tile"] == [44, 44]
    said["settings"]["tile"] = None  # chosen by the memory that was free then
    record.write_text(json.dumps(signed(said)))
    assert cli("replay", record).status == 0


def test_a_record_that_somebody_changed_is_not_believed(cli, refused, record):
    whole = json.loads(record.read_text())
    changed = whole | {"settings": whole["settings"] | {"threshold": 0.7}}
    record.write_text(json.dumps(changed))
    refused(cli("replay", record), 1, record, "was changed after this program wrote it", "not believed")
    del whole["record_sha256"]
    record.write_text(json.dumps(whole, indent=4))
    ended = cli("replay", record)
    assert (ended.status, ended.out.splitlines()[-1][:40]) == (0, "  the record has no digest of itself, as")
    assert json.loads(cli("replay", record, "--json").out)["signed"] is False


@pytest.mark.slow
def test_what_is_gone_or_changed_is_said(cli, refused, record, data, model, tmp_path):
    image = data / "images" / "a.tif"
    moved = image.rename(tmp_path / "moved.tif")
    refused(cli("replay", record), 1, image, "No such file", "--input")
    assert cli("replay", record, "--input", moved).status == 0
    moved.rename(image)
    pixels = tifffile.imread(image)
    original = image.read_bytes()
    tifffile.imwrite(image, np.flip(pixels), imagej=True, metadata={"axes": "ZYX"})
    refused(cli("replay", record), 1, image, "not the input", "SHA-256")
    image.write_bytes(original)
    loaded, before = read_model_file(model), model.read_bytes()
    with torch.no_grad():
        loaded.network.head.weight.mul_(2)
    save_model(model, loaded.network, loaded.info)
    refused(cli("replay", record), 2, model, "not the model", "SHA-256")
    model.unlink()
    refused(cli("replay", record), 2, model, "No such file", "--model")
    model.write_bytes(before)
    assert cli("replay", record).status == 0


def test_a_model_named_by_a_relative_path_is_found_from_any_folder(cli, data, model, tmp_path, monkeypatch):
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    for folder in (run, elsewhere):
        folder.mkdir()
    moved = model.rename(run / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    more = ["--tile", "92", "--batch", "2"]
    for number, given in enumerate(("run", "run/model.safetensors", "./run")):
        out = data / f"out{number}"
        assert cli("segment", data / "images", "--model", given, "-o", out, *more).status == 0
        assert json.loads((out / "a.record.json").read_text())["model"] == str(moved)
    monkeypatch.chdir(elsewhere)
    assert cli("replay", data / "out0" / "a.record.json").status == 0


def test_a_shipped_model_is_found_where_the_package_is_now(record, monkeypatch, model, tmp_path):
    monkeypatch.setattr(replaying, "FOLDER", model.parent)
    with pytest.raises(ModelError, match=r"gone\.safetensors: No such file; .* --model"):
        replaying._recorded_model("/another/machine/gone.safetensors", record)
    assert replaying._recorded_model("/another/machine/model.safetensors", record) == model
    with pytest.raises(ModelError, match="not in a file"):
        replaying._recorded_model("", record)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"settings": 3}', "\x00"])
def test_what_is_no_record(cli, refused, tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    refused(cli("replay", path), 1, path, "record")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("plan", "batch"), -1),
        (("plan", "batch"), None),
        (("plan", "tile"), [60, 61]),
        (("plan", "tile"), "60"),
        (("outputs",), ["a.classes.ome.tif"]),
        (("outputs", "a.classes.ome.tif"), 5),
        (("input",), None),
        (("versions",), []),
        (("settings", "tile"), "60"),
        (("settings", "device"), 1),
        (("settings", "threshold"), "high"),
        (("settings", "skip_empty"), 2),
        (("settings", "axes"), []),
    ],
)
def test_a_record_with_a_value_that_cannot_be_is_an_error_that_names_it(cli, refused, record, place, value):
    said = json.loads(record.read_text())
    inner = said
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    record.write_text(json.dumps(said))
    refused(cli("replay", record), 1, record)


def test_no_record(cli, refused, tmp_path):
    refused(cli("replay", tmp_path / "none.json"), 1, tmp_path / "none.json", "No such file")
