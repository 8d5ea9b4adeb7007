import logging

import numpy as np
import pytest
import tifffile
import torch

from unet2015.models.model_file import ModelInfo, read_model_file, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.settings import Mapping, NetworkSettings


@pytest.fixture(autouse=True)
def no_messages_of_before():
    """Remove what a command in this process has added to show its messages."""
    yield
    logger = logging.getLogger("unet2015")
    for handler in [one for one in logger.handlers if one.get_name() == "show_messages"]:
        logger.removeHandler(handler)


@pytest.fixture
def make_model():
    """Write an untrained model of a small network whose classes differ over the image."""
    return _make_model


def _make_model(path, channels=1, classes=2, threshold=0.5, method="integer-range", seed=0, width=2):
    torch.manual_seed(seed)
    network = UNet(channels, classes, width, 2)
    with torch.no_grad():  # so that classes differ over the image
        network.head.weight.mul_(3)
    info = ModelInfo(
        in_channels=channels,
        classes=classes,
        network=NetworkSettings(width=width, depth=2),
        mapping=Mapping(method=method, low=(1.0,), high=(99.0,))
        if method == "image-percentiles"
        else Mapping(method=method),
        class_names=tuple("abcd"[:classes]),
        threshold=threshold if classes == 2 else None,
    )
    save_model(path, network, info)
    return path


@pytest.fixture
def model(tmp_path):
    return _make_model(tmp_path / "m.safetensors")


@pytest.fixture
def percentile_model(tmp_path):
    """The smallest model, read from its file; each image is mapped by its own percentiles."""
    info = ModelInfo(
        network=NetworkSettings(width=1, depth=1),
        mapping=Mapping(method="image-percentiles", low=(1.0,), high=(99.0,)),
        class_names=("membrane", "cell"),
    )
    save_model(tmp_path / "m.safetensors", UNet(width=1, depth=1), info)
    return read_model_file(tmp_path / "m.safetensors")


@pytest.fixture
def stack():
    return np.random.default_rng(0).integers(0, 256, (3, 61, 75)).astype(np.uint8)


@pytest.fixture
def stack_file(tmp_path, stack):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(
        path, stack, imagej=True, resolution=(4, 4), metadata={"axes": "ZYX", "spacing": 2, "unit": "um"}
    )
    return path


@pytest.fixture
def job(tmp_path, monkeypatch):
    """An image of two pages and a model, as files, and parts of a few tiles."""
    monkeypatch.setattr("unet2015.tiling.plan.PART_PIXELS", 5000)
    torch.manual_seed(0)
    info = ModelInfo(
        network=NetworkSettings(width=2, depth=2),
        mapping=Mapping(method="standardise"),
        class_names=("background", "cell"),
    )
    save_model(tmp_path / "m.safetensors", UNet(1, 2, 2, 2), info)
    stack = np.random.default_rng(0).integers(0, 256, (2, 61, 75)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    return tmp_path / "a.tif", tmp_path / "m.safetensors"
