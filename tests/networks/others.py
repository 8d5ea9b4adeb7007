"""A network that is not in the table, to see that nothing but the table needs to know it.

``pointwise``: no pixel depends on another one, so there is no margin.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from unet2015 import networks
from unet2015.geometry import Geometry
from unet2015.networks import Architecture, Network
from unet2015.networks.architecture import exactly
from unet2015.settings import NETWORK_KINDS, AnyNetworkSettings


class PointwiseSettings(AnyNetworkSettings):
    kind: Literal["pointwise"] = "pointwise"
    width: int = 4


class PointwiseNetwork(Network):
    def __init__(self, in_channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.in_channels, self.classes, self.geometry = in_channels, classes, Geometry(1, 0, 1)
        self.first, self.head = nn.Conv2d(in_channels, width, 1), nn.Conv2d(width, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        return exactly(self.head, self.first(image).relu())


class Pointwise(Architecture[PointwiseSettings, PointwiseNetwork]):
    settings, network = PointwiseSettings, PointwiseNetwork
    examples = (PointwiseSettings(),)

    def geometry(self, settings: PointwiseSettings) -> Geometry:
        return Geometry(1, 0, 1)

    def build(self, settings: PointwiseSettings, in_channels: int, classes: int) -> PointwiseNetwork:
        return PointwiseNetwork(in_channels, classes, settings.width)

    def describe(self, settings: PointwiseSettings) -> str:
        return f"pixel by pixel, {settings.width} channels"

    def peak_values(self, network: PointwiseNetwork, height: int, width: int) -> int:
        channels = network.in_channels + 2 * network.head.in_channels + network.classes
        return channels * height * width


OTHERS = (Pointwise(),)
EVERY = [
    pytest.param(entry, settings, id=f"{entry.kind}-{number}")
    for entry in (*networks.NETWORKS.values(), *OTHERS)
    for number, settings in enumerate(entry.examples)
]
"""Each entry of the table, and of the others, with each of its examples."""
EXACT = [one for one in EVERY if one.values[0].geometry(one.values[1]).exact]
"""Those for which tiled equals whole."""


@contextmanager
def registered() -> Iterator[None]:
    """Have the others in the table for a while."""
    with pytest.MonkeyPatch.context() as patch:
        for entry in OTHERS:
            patch.setitem(NETWORK_KINDS, entry.kind, entry.settings)
            patch.setitem(networks.NETWORKS, entry.kind, entry)
        yield


def trained(entry, settings, in_channels: int, classes: int, seed: int) -> Network:
    """A network in evaluation mode whose biases and running means are as after a training: not 0 or 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = networks.build(settings, in_channels, classes)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
            if isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d):
                nn.init.normal_(module.bias, std=0.3)
                nn.init.uniform_(module.weight, 0.5, 1.5)
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.3)
                nn.init.uniform_(module.running_var, 0.3, 2)
                module.num_batches_tracked.fill_(2**40 + seed)
    return network.eval()
