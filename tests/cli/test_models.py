import json

import pytest
import torch

from unet2015.models import shipped as shipped_models
from unet2015.models.model_file import Model, ModelInfo
from unet2015.networks.unet2015 import UNet
from unet2015.settings import Mapping, NetworkSettings
from unet2015.settings.objects import ObjectSettings


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped_models, "FOLDER", tmp_path / "models")
    torch.manual_seed(0)
    info = ModelInfo(
        network=NetworkSettings(width=2, depth=1),
        mapping=Mapping(method="integer-range"),
        class_names=("membrane", "cell"),
        objects=ObjectSettings(smallest=27),
        training={"step": 1200, "training_pages": 30, "date": "2026-11-21"},
    )
    return shipped_models.ship_model(
        Model(UNet(width=2, depth=1), info),
        shipped_models.ModelDescription(
            name="em-test",
            summary="membranes of neurites",
            modality="serial section TEM",
            citation="Cardona et al. 2010",
            terms="non-commercial",
            pixel_size_nm=4,
        ),
        tmp_path / "models",
    )


def test_models_are_listed_with_what_a_user_must_know(cli, shipped):
    ended = cli("models")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("em-test\n")
    for words in ("membranes of neurites", "4 nm a pixel", "Cardona et al. 2010", "non-commercial", "MB"):
        assert words in ended.out
    assert "the range of the pixels' type becomes 0 to 1" in ended.out
    assert "30 pages, 1200 steps, 2026-11-21" in ended.out
    assert "  objects      smaller than 27 px left out\n" in ended.out


def test_programs_get_all_of_it(cli, shipped):
    (model,) = json.loads(cli("models", "--json").out)
    assert model["name"] == "em-test"
    assert model["path"] == str(shipped)
    assert model["bytes"] == shipped.stat().st_size
    assert model["pixel_size_nm"] == 4
    assert model["training"]["step"] == 1200


def test_nothing_to_list_is_no_error(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped_models, "FOLDER", tmp_path)
    assert cli("models", "--json") == (0, "[]\n", "")
    ended = cli("models")
    assert (ended.status, ended.out) == (0, "")
    assert "no model" in ended.err


def test_an_unknown_name_is_one_line(cli, refused, data, shipped):
    ended = cli("segment", data / "images" / "a.tif", "-o", data / "out", "--model", "em-tset")
    refused(ended, 2, "em-tset", "did you mean em-test?")
