"""Pages whose answer is known beforehand: a network that gives back the map that it is shown."""

import shutil
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from tests.conftest import try_fewer_objects, write_small_set
from unet2015.geometry import Geometry
from unet2015.networks import NETWORKS
from unet2015.settings import OptimisationSettings
from unet2015.training.pages import TrainingPage


class Echo(nn.Module):
    """Returns the channels of the image as scores; of one channel, 0 and that channel."""

    def __init__(self, classes=2, factor=16):
        super().__init__()
        self.classes, self.geometry = classes, Geometry(factor, 0, factor)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, image):
        scores = image * self.scale
        return torch.cat([torch.zeros_like(scores), scores], 1) if scores.shape[1] == 1 else scores


@dataclass
class Pixels:
    """Pixels (C, H, W) as a source of one page."""

    pixels: np.ndarray

    def read(self, page, y0, y1, x0, x1):
        assert page == 0
        assert min(y0, x0) >= 0
        assert y1 <= self.pixels.shape[1]
        assert x1 <= self.pixels.shape[2]
        return self.pixels[:, y0:y1, x0:x1]


def page_of(probability, classes, name="page"):
    """A page for which `Echo` answers the probability (H, W) of class 1, or those (C, H, W) of all."""
    p = np.asarray(probability, np.float64)
    scores = np.log(p / (1 - p))[None] if p.ndim == 2 else np.log(p)
    return TrainingPage(
        name, Pixels(scores.astype(np.float32)), np.asarray(classes, np.uint8), np.empty((0, 0), np.float32)
    )


def equal(one, other):
    """Whether two sets of tensors by name are the same, to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def rule(**values):
    """Settings of the optimisation with round numbers, but for those given."""
    return OptimisationSettings(
        **{"steps": 100, "warmup": 10, "momentum_ramp": 0, "learning_rate": 2.0} | values
    )


@pytest.fixture
def nothing_chosen(monkeypatch):
    """Leave out what a training chooses at its end, which takes most of its time."""
    from unet2015.training import loop

    monkeypatch.setattr(loop, "complete_model", lambda *_: None)


@pytest.fixture(autouse=True)
def fewer_objects(monkeypatch):
    """The choice itself has tests of its own, in ``test_object_choice.py``, with all settings."""
    try_fewer_objects(monkeypatch)


@pytest.fixture(scope="session")
def ended_run(tmp_path_factory, small_settings):
    """A finished training on the small set, to be read only; its newest checkpoints are of steps 6 and 8."""
    from unet2015.training.loop import train

    folder = tmp_path_factory.mktemp("ended")
    with pytest.MonkeyPatch.context() as monkeypatch:
        try_fewer_objects(monkeypatch)
        train(*write_small_set(folder / "set"), folder / "run", settings=small_settings(), device="cpu")
    return folder / "run"


@pytest.fixture
def small_run(ended_run, tmp_path):
    """A copy of it, ``run``, that a test may change."""
    return shutil.copytree(ended_run, tmp_path / "run")


@pytest.fixture
def answers(monkeypatch):
    """A network that answers what a page asks for, in the table of networks, and how such a page is made."""
    monkeypatch.setitem(NETWORKS, "echo", SimpleNamespace(network=Echo, fast=None))
    return SimpleNamespace(Echo=Echo, page_of=page_of)
