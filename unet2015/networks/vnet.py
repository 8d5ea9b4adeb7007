"""V-Net in two dimensions: residual blocks, no pooling (Milletari et al. 2016, doi:10.1109/3DV.2016.79)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from unet2015.geometry import Geometry
from unet2015.networks.architecture import exactly
from unet2015.networks.padding import PaddedArchitecture, PaddedNetwork, Reached, reached_at_the_top
from unet2015.settings.network import VNetSettings

DOWN, UP = (1, 2, 3, 3, 3), (1, 2, 3, 3)
"""Convolutions of each level, from the uppermost (Fig. 2)."""


def convolution(before: int, after: int) -> nn.Sequential:
    """Return a 5x5 convolution with batch normalisation (open) and PReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, 5, padding=2, bias=False), nn.BatchNorm2d(after), nn.PReLU(after)
    )


class Residual(nn.Module):
    """Convolutions whose result is added to what they read."""

    def __init__(self, channels: int, times: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(convolution(channels, channels) for _ in range(times)))
        self.activate = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        activated: Tensor = self.activate(self.layers(x) + x)
        return activated


class VNet(PaddedNetwork):
    """Levels of 16, 32, 64, 128 and 256 channels; the decoder's have twice as many, but for the lowest.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image and of the scores.
    geometry : Geometry
        Of inference.
    width : int
        Channels of the uppermost level.
    down, up : sequence of int
        Convolutions of each level of the encoder and of the decoder, from the uppermost. The first block of
        the encoder has one: its result is added to copies of the image.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        geometry: Geometry,
        width: int,
        down: Sequence[int] = DOWN,
        up: Sequence[int] = UP,
    ) -> None:
        super().__init__(in_channels, classes, geometry)
        widths = [width << level for level in range(len(down))]
        self.first = nn.Sequential(
            nn.Conv2d(in_channels, width, 5, padding=2, bias=False), nn.BatchNorm2d(width)
        )
        self.activate = nn.PReLU(width)
        self.halve = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(above, here, 2, stride=2, bias=False), nn.BatchNorm2d(here), nn.PReLU(here)
            )
            for above, here in pairwise(widths)
        )
        self.contract = nn.ModuleList(map(Residual, widths[1:], down[1:]))
        below = [*(4 * here for here in widths[:-2]), widths[-1]]
        self.upsample = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(before, here, 2, stride=2), nn.BatchNorm2d(here), nn.PReLU(here))
            for before, here in zip(below, widths, strict=False)
        )
        self.expand = nn.ModuleList(map(Residual, (2 * here for here in widths), up))
        self.last = convolution(2 * width, classes)
        self.head = nn.Conv2d(classes, classes, 1)

    def whole_scores(self, image: Tensor) -> list[Tensor]:
        """Return the scores of the whole image."""
        x = self.first(image)
        copies = -(-x.shape[1] // image.shape[1])
        x = self.activate(x + image.repeat(1, copies, 1, 1)[:, : x.shape[1]])
        skips = []
        for halve, convolve in zip(self.halve, self.contract, strict=True):
            skips.append(x)
            x = convolve(halve(x))
        for raise_, convolve in zip(reversed(self.upsample), reversed(self.expand), strict=True):
            x = convolve(torch.cat([raise_(x), skips.pop()], dim=1))
        return [exactly(self.head, self.last(x))]


class VNetEntry(PaddedArchitecture[VNetSettings, VNet]):
    """The entry of the table."""

    settings, network, encoder = VNetSettings, VNet, ("first", "activate", "halve", "contract")
    source = "doi:10.1109/3DV.2016.79"
    choose = (
        "touching cells (SEG 0.657) and single ones (SEG 0.923): the best of eight, by little. Its "
        "margin of 276 px makes small images dear"
    )
    examples = (VNetSettings(width=2, depth=1),)

    def reached(self, settings: VNetSettings) -> Reached:
        """Return what padding has reached in the scores."""
        down, up = _levels(settings.depth)
        return reached_at_the_top(down, up, kernel=5).convolved(kernel=5)

    def build(self, settings: VNetSettings, in_channels: int, classes: int) -> VNet:
        """Return a network."""
        return VNet(in_channels, classes, self.geometry(settings), settings.width, *_levels(settings.depth))

    def describe(self, settings: VNetSettings) -> str:
        """Return what the network is, in a few words."""
        return f"V-Net in two dimensions of width {settings.width} and depth {settings.depth}"


def _levels(depth: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return DOWN[: depth + 1], UP[:depth]
