"""Trainings that begin with an encoder's weights from a file: what is trained on, recorded, and refused."""

import logging

import numpy as np
import pytest
import tifffile
import torch

from unet2015.errors import ModelError, SettingsError, UsageError
from unet2015.models.tensors import load_tensors
from unet2015.networks import build
from unet2015.safe_files import sha256
from unet2015.training import loop
from unet2015.training.loop import train


@pytest.fixture
def vgg(tmp_path, monkeypatch, small_settings):
    """An RGB set, settings of a narrow VGG-19 that keeps its encoder, and a file with other weights."""
    monkeypatch.setattr(loop, "complete_model", lambda *_: None)
    random = np.random.default_rng(0)
    masks = np.zeros((3, 40, 48), np.uint8)
    masks[:, 10:30, 12:36] = 255
    images = random.integers(0, 90, (3, 40, 48, 3)).astype(np.uint8) + (masks // 3)[..., None]
    tifffile.imwrite(tmp_path / "i.tif", images, photometric="rgb")
    tifffile.imwrite(tmp_path / "l.tif", masks, photometric="minisblack")
    settings = small_settings(
        labels={"kind": "mask"},
        network={"kind": "vgg19", "width": 2, "depth": 2},
        mapping={"method": "integer-range"},
        optimisation={"tile": 40, "optimizer": "adam"},
        phase=[{"steps": 3, "freeze": ["features"]}, {"steps": 2}],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        weights = build(settings.network, 3, 2).state_dict()
    torch.save({k: v for k, v in weights.items() if k.startswith("features")}, tmp_path / "vgg.pth")
    return (tmp_path / "i.tif", tmp_path / "l.tif"), settings, weights, tmp_path / "vgg.pth"


def test_the_encoder_begins_with_the_file_and_the_record_names_it(tmp_path, vgg, caplog):
    files, settings, weights, file = vgg
    run = tmp_path / "run"
    kept = train(*files, run, settings=settings, encoder_weights=file, device="cpu")
    after = load_tensors(run / "checkpoints" / "step-00000003.safetensors")[0]
    features = [key for key in weights if key.startswith("features")]
    assert features
    assert all(torch.equal(after[f"network.{key}"], weights[key]) for key in features)
    assert kept.info.training["encoder_weights"] == {"file": "vgg.pth", "sha256": sha256(file)}
    assert "drawn weights" not in caplog.text
    (run / "checkpoints" / "step-00000005.safetensors").unlink()
    with pytest.raises(SettingsError, match=r"with other weights of the encoder \(vgg.pth\); resume with"):
        train(*files, run, settings=settings, device="cpu", resume=True)
    again = train(*files, run, settings=settings, encoder_weights=file, device="cpu", resume=True)
    assert all(
        torch.equal(a, b)
        for a, b in zip(*(m.network.state_dict().values() for m in (kept, again)), strict=True)
    )


def test_without_a_file_a_line_says_that_the_weights_are_drawn(tmp_path, vgg, caplog):
    files, settings, _, _ = vgg
    with caplog.at_level(logging.INFO, "unet2015"):
        kept = train(*files, tmp_path / "run", settings=settings, device="cpu")
    assert "the encoder of vgg19 has drawn weights, as no --encoder-weights FILE is given" in caplog.text
    assert "encoder_weights" not in kept.info.training
    with pytest.raises(UsageError, match="the model to start from; give one of both"):
        train(*files, tmp_path / "b", settings=settings, start=kept, encoder_weights="v.pth", device="cpu")


def test_weights_that_do_not_fit_or_have_no_place_are_refused(tmp_path, vgg, small_set, small_settings):
    files, settings, _, file = vgg
    wider = settings.model_copy(update={"network": settings.network.model_copy(update={"width": 3})})
    with pytest.raises(
        ModelError, match=r"features\.0\.weight has shape \(2, 3, 3, 3\), but .*\(3, 3, 3, 3\)"
    ):
        train(*files, tmp_path / "a", settings=wider, encoder_weights=file, device="cpu")
    with pytest.raises(UsageError, match=r"the network unet2015 takes no weights of an encoder"):
        train(*small_set, tmp_path / "c", settings=small_settings(), encoder_weights=file, device="cpu")
