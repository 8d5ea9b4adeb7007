"""What a program has set of torch before it calls this one changes no result, and is as it was afterwards."""

from contextlib import contextmanager

import numpy as np
import pytest
import tifffile
import torch

import unet2015
from unet2015.models.model_file import ModelInfo, build_network, save_model
from unet2015.settings import load_settings, parse_settings


@contextmanager
def double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


SET = {
    "autocast": lambda: torch.autocast("cpu"),
    "another device": lambda: torch.device("meta"),
    "another type": double,
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
}
TINY = {
    "network": {"width": 2, "depth": 1, "dropout": 0.0},
    "labels": {"kind": "mask"},
    "optimisation": {"steps": 2, "warmup": 1, "tile": 44},
    "validation": {"fraction": 0.0, "interval": 2},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """An image, its mask, and models of two networks: with a fast path on a CPU, and without."""
    folder = tmp_path_factory.mktemp("files")
    image = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)
    tifffile.imwrite(folder / "image.tif", image)
    tifffile.imwrite(folder / "mask.tif", (image > 99).astype(np.uint8))
    for kind in ("unet2015", "nested"):
        said = {"network": {"kind": kind, "width": 2, "depth": 1}, "class_names": ("background", "cell")}
        info = parse_settings(ModelInfo, said | {"mapping": {"method": "integer-range"}}, kind)
        torch.manual_seed(0)
        save_model(folder / f"{kind}.safetensors", build_network(info), info)
    return folder


def results(folder, out):
    """What segmenting and training give, as bytes."""
    image, models = folder / "image.tif", [folder / f"{kind}.safetensors" for kind in ("unet2015", "nested")]
    maps = [unet2015.segment(image, model, probabilities=True, device="cpu") for model in models]
    trained = unet2015.train(
        image, folder / "mask.tif", out, settings=load_settings(None, TINY), device="cpu"
    )
    weights = [weight.detach().numpy() for weight in trained.network.parameters()]
    return [values.tobytes() for values in (*maps, *weights)]


@pytest.fixture(scope="module")
def expected(files):
    return results(files, files / "run")


@pytest.mark.parametrize("name", SET)
def test_results_are_the_same(name, files, expected, tmp_path):
    with SET[name]():
        before = state()
        assert results(files, tmp_path / "run") == expected
        assert state() == before


def state():
    """What is set of torch."""
    modes = torch.is_autocast_enabled("cpu"), torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    return *modes, torch.get_default_device(), torch.get_default_dtype()
