"""What counts as an object of the shipped model: how it is chosen, and that model and card say it."""

import json

import pytest
import tifffile
import torch

from pipelines import em_objects
from tests.docs.markdown import ROOT
from unet2015 import load_model
from unet2015.models.model_file import read_model_file
from unet2015.settings.objects import ObjectSettings
from unet2015.synthetic import em_stack

RESULT = json.loads((ROOT / "pipelines" / "results" / "em-membrane" / "objects.json").read_text())


@pytest.fixture
def data(tmp_path):
    """A folder as that of the challenge, with tiny slices."""
    images, membranes = em_stack(pages=4, height=64, width=72, seed=0)
    (tmp_path / "isbi2012").mkdir()
    for name, pages in (("train-volume", images), ("train-labels", membranes), ("test-volume", images)):
        tifffile.imwrite(tmp_path / "isbi2012" / f"{name}.tif", pages, photometric="minisblack")
    return tmp_path


def test_settings_are_chosen_measured_and_written_with_the_same_weights(data, monkeypatch):
    compared = []

    def choose(network, pages, threshold, *_):
        compared.append([page.name for page in pages])
        return ObjectSettings(smallest=9 + len(pages)), {"panoptic_quality": 0.5, "plain": 0.25, "pages": 1}

    monkeypatch.setattr(em_objects, "choose_objects", choose)
    monkeypatch.setattr(em_objects, "UNSEEN", 1)
    words = ["--data", str(data), "--twin", "em-membrane", "--out", str(data / "out")]
    assert em_objects.main([*words, "--to", str(data / "m.safetensors")]) == 0
    found = json.loads((data / "out" / "objects.json").read_text())
    assert [len(pages) for pages in compared] == [4, 2, 2]
    assert found["settings"]["smallest"] == 13
    assert [half["settings"]["smallest"] for half in found["halves"]] == [11, 11]
    counts = [half["ways"]["plain"]["true"] for half in found["halves"]]
    assert min(counts) > 1
    assert 0 < found["unseen"]["ways"]["plain"]["true"] < sum(counts)
    model, shipped = read_model_file(data / "m.safetensors"), load_model("em-membrane")
    assert model.info.objects.model_dump() == found["settings"]
    ours, theirs = model.network.state_dict(), shipped.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours.keys() | theirs.keys())


def test_missing_data_are_told(tmp_path, capsys):
    assert em_objects.main(["--data", str(tmp_path)]) != 0
    assert "train-volume.tif" in capsys.readouterr().err


def test_the_shipped_model_and_its_card_say_what_was_chosen():
    info = load_model("em-membrane").info
    assert info.objects.model_dump() == RESULT["settings"]
    assert info.training["objects"] == {
        name: value for name, value in RESULT["quality"].items() if name != "slices"
    }
    text = " ".join((ROOT / "docs" / "em-membrane.md").read_text(encoding="utf-8").split())
    assert f"fewer than {info.objects.smallest} px" in text
    for ways in (*(half["ways"] for half in RESULT["halves"]), RESULT["unseen"]["ways"]):
        plain, chosen = ways["plain"], ways["chosen"]
        row = f"{plain['f1']:.3f} | {chosen['f1']:.3f} | {plain['found']:,} | {chosen['found']:,} |"
        assert f"{plain['true']:,} | {row}" in text
