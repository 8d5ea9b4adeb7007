"""Networks that are not of the paper, to see that nothing but the table needs to know them.

``padded``: a U-Net as it is mostly built today, with padding and batch normalisation; it crops from its
scores what the padding reaches. ``pointwise``: no pixel depends on another one, so there is no margin.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from unet2015 import networks
from unet2015.geometry import Geometry
from unet2015.networks import Architecture, Network
from unet2015.networks.architecture import exactly
from unet2015.settings import NETWORK_KINDS, AnyNetworkSettings


class PaddedSettings(AnyNetworkSettings):
    kind: Literal["padded"] = "padded"
    width: int = 4
    depth: int = 2


def padded_geometry(depth: int) -> Geometry:
    """Two 3x3 convolutions on each level, down and up; a pixel of a lower level covers a square of pixels."""
    factor = 1 << depth
    reach = 4 * (factor - 1) + 2 * factor + factor - 1
    margin = -(-reach // factor) * factor
    return Geometry(factor, margin, 2 * margin + factor)


def block(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [nn.Conv2d(channels, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)]
        layers += [nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class PaddedNetwork(Network):
    def __init__(self, in_channels: int, classes: int, width: int, depth: int) -> None:
        super().__init__()
        # Not the last of its children, which a bfloat16 must not depend on.
        self.head = nn.Conv2d(width, classes, 1)
        self.in_channels, self.classes, self.depth = in_channels, classes, depth
        self.geometry = padded_geometry(depth)
        widths = [in_channels, *(width << level for level in range(depth + 1))]
        self.down = nn.ModuleList(map(block, widths, widths[1:]))
        self.raise_ = nn.ModuleList(
            nn.ConvTranspose2d(width << level + 1, width << level, 2, stride=2) for level in range(depth)
        )
        self.up = nn.ModuleList(block(2 * width << level, width << level) for level in range(depth))

    def forward(self, image: Tensor) -> Tensor:
        self.geometry.check(*image.shape[-2:])
        x, skips = image, []
        for level, convolve in enumerate(self.down):
            x = convolve(x)
            if level < self.depth:
                skips.append(x)
                x = functional.max_pool2d(x, 2)
        for level in reversed(range(self.depth)):
            x = self.up[level](torch.cat([skips.pop(), self.raise_[level](x)], dim=1))
        edge = self.geometry.margin
        return exactly(self.head, x[..., edge:-edge, edge:-edge])


class Padded(Architecture[PaddedSettings, PaddedNetwork]):
    settings, network, encoder = PaddedSettings, PaddedNetwork, ("down",)
    examples = (PaddedSettings(width=3, depth=2), PaddedSettings(width=2, depth=1))

    def geometry(self, settings: PaddedSettings) -> Geometry:
        return padded_geometry(settings.depth)

    def build(self, settings: PaddedSettings, in_channels: int, classes: int) -> PaddedNetwork:
        return PaddedNetwork(in_channels, classes, settings.width, settings.depth)

    def describe(self, settings: PaddedSettings) -> str:
        return f"padded U-Net of width {settings.width} and depth {settings.depth}"

    def peak_values(self, network: PaddedNetwork, height: int, width: int) -> int:
        """All that is ever made, which is more than what is alive at once."""
        first = network.head.in_channels
        made = (network.in_channels + first + network.classes) * height * width
        for level in range(network.depth + 1):
            made += 12 * (first << level) * (height >> level) * (width >> level)
        return made


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


OTHERS = (Padded(), Pointwise())
EVERY = [
    pytest.param(entry, settings, id=f"{entry.kind}-{number}")
    for entry in (*networks.NETWORKS.values(), *OTHERS)
    for number, settings in enumerate(entry.examples)
]
"""Each entry of the table, and of the others, with each of its examples."""


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
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.bias, std=0.3)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.running_mean, std=0.3)
                nn.init.uniform_(module.running_var, 0.3, 2)
                module.num_batches_tracked.fill_(2**40 + seed)
    return network.eval()
