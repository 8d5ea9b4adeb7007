"""Every network of the table goes out, and what goes out gives the model's answer."""

from typing import Literal

import numpy as np
import pytest
import torch

from tests.exchange.conftest import small_model
from tests.networks.others import EVERY, Pointwise, PointwiseNetwork, PointwiseSettings, registered
from unet2015 import networks
from unet2015.errors import ModelError
from unet2015.exchange import ExportOptions, export_model
from unet2015.settings import NETWORK_KINDS

pytestmark = pytest.mark.usefixtures("others")


@pytest.mark.parametrize(("entry", "settings"), EVERY)
def test_each_network_of_the_table_is_exported(entry, settings, tmp_path):
    channels = (entry.channels(settings) or (2,))[-1]
    model = small_model(settings, in_channels=channels, class_names=("a", "b", "c"))
    report = export_model(model, tmp_path, ExportOptions(formats=("torchscript", "safetensors")))
    assert len(report.differences) == 2
    assert max(report.differences.values()) < 1e-6
    tile, answer = (np.load(tmp_path / name) for name in ("test-input.npy", "test-output.npy"))
    assert tile.shape[:2] == (1, channels)
    assert answer.shape[:2] == (1, 3)
    assert answer.std() > 1e-3  # an answer that hangs on the image


class BranchingSettings(PointwiseSettings):
    kind: Literal["branching"] = "branching"


class BranchingNetwork(PointwiseNetwork):
    def forward(self, image):
        scores = super().forward(image)
        return scores if image.mean() > 0 else -scores  # which no graph can follow


class Branching(Pointwise):
    settings, network, examples = BranchingSettings, BranchingNetwork, (BranchingSettings(),)

    def build(self, settings, in_channels, classes):
        return BranchingNetwork(in_channels, classes, settings.width)


def test_a_network_that_torch_cannot_export_is_refused_with_the_reason(monkeypatch, tmp_path):
    monkeypatch.setitem(NETWORK_KINDS, "branching", BranchingSettings)
    monkeypatch.setitem(networks.NETWORKS, "branching", Branching())
    model = small_model(BranchingSettings())
    with pytest.raises(
        ModelError, match=r"pixel by pixel, 4 channels: torch cannot make an exported program"
    ):
        export_model(model, tmp_path / "out", ExportOptions(formats=("safetensors", "pt2")))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_trace_that_holds_for_one_size_only_is_found(monkeypatch, tmp_path):
    class Fixed(PointwiseNetwork):
        def forward(self, image):
            rows = torch.from_numpy(
                np.ones((image.shape[-2], 1), np.float32)
            )  # the height of the example stays
            return super().forward(image) * rows

    class Entry(Pointwise):
        network = Fixed

        def build(self, settings, in_channels, classes):
            return Fixed(in_channels, classes, settings.width)

    with registered():
        monkeypatch.setitem(networks.NETWORKS, "pointwise", Entry())
        with pytest.raises(
            ModelError, match=r"model.torchscript.pt: does not run on the test tiles of 64 x 65"
        ):
            export_model(small_model(PointwiseSettings()), tmp_path, ExportOptions(formats=("torchscript",)))
    assert list(tmp_path.iterdir()) == []
