"""Attention U-Net: gates decide what of a skip comes through (Oktay et al. 2018, arXiv:1804.03999).

As MONAI builds it: the gate compares the skip with what was raised to its size, and convolutions of stride 2
stand in place of pooling.
"""

import torch
from torch import Tensor, nn

from unet2015.geometry import Geometry
from unet2015.networks.architecture import exactly
from unet2015.networks.nested import block, normalisation
from unet2015.networks.padding import PaddedArchitecture, PaddedNetwork, Reached
from unet2015.settings.network import AttentionSettings


class Gate(nn.Module):
    """Multiplies a skip by numbers from 0 to 1, one for each pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.signal = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner))
        self.skip = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner))
        self.share = nn.Sequential(nn.Conv2d(inner, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(self, signal: Tensor, skip: Tensor) -> Tensor:
        """Return what of `skip` comes through, given the `signal` from below, of the same shape."""
        share: Tensor = self.share((self.signal(signal) + self.skip(skip)).relu_())
        return skip * share


class AttentionUNet(PaddedNetwork):
    """Levels of 64, 128, 256, 512 and 1024 channels.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image and of the scores.
    geometry : Geometry
        Of inference.
    width, depth : int
        Channels of the uppermost level, doubled at each level below; number of halvings.
    norm : {"batch", "instance"}
        What follows the convolution that merges gated skip and signal; in MONAI: instance.
    """

    def __init__(
        self, in_channels: int, classes: int, geometry: Geometry, width: int, depth: int, norm: str
    ) -> None:
        super().__init__(in_channels, classes, geometry)
        widths = [width << level for level in range(depth + 1)]
        self.contract = nn.ModuleList(
            block(before, after, "batch", stride=1 if after == width else 2)
            for before, after in zip((in_channels, *widths), widths, strict=False)
        )
        self.upsample = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(2 * here, here, 3, stride=2, padding=1, output_padding=1),
                nn.BatchNorm2d(here),
                nn.ReLU(inplace=True),
            )
            for here in widths[:-1]
        )
        self.gates = nn.ModuleList(map(Gate, widths[:-1]))
        self.merge = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2 * here, here, 3, padding=1), normalisation(norm, here), nn.PReLU())
            for here in widths[:-1]
        )
        self.head = nn.Conv2d(width, classes, 1)

    def whole_scores(self, image: Tensor) -> list[Tensor]:
        """Return the scores of the whole image."""
        maps = [image]
        for convolve in self.contract:
            maps.append(convolve(maps[-1]))
        x = maps.pop()
        for level in reversed(range(len(self.gates))):
            signal = self.upsample[level](x)
            gated = self.gates[level](signal, maps.pop())
            x = self.merge[level](torch.cat([gated, signal], dim=1))
        return [exactly(self.head, x)]


class Attention(PaddedArchitecture[AttentionSettings, AttentionUNet]):
    """The entry of the table."""

    settings, network, encoder = AttentionSettings, AttentionUNet, ("contract",)
    source = "arXiv:1804.03999"
    choose = "single cells (SEG 0.918); on EM and touching cells worse than the paper's"
    examples = (AttentionSettings(width=2, depth=2),)

    def reached(self, settings: AttentionSettings) -> Reached:
        """Return what padding has reached in the scores."""
        maps = [Reached().convolved(times=2)]
        for _ in range(settings.depth):
            maps.append(maps[-1].strided().convolved())
        reached = maps.pop()
        for skip in reversed(maps):
            reached = reached.raised().joined(skip).convolved()
        return reached

    def is_exact(self, settings: AttentionSettings) -> bool:
        """Whether tiled equals whole: instance normalisation takes mean and deviation of the tile."""
        return settings.norm == "batch"

    def build(self, settings: AttentionSettings, in_channels: int, classes: int) -> AttentionUNet:
        """Return a network."""
        chosen = settings.width, settings.depth, settings.norm
        return AttentionUNet(in_channels, classes, self.geometry(settings), *chosen)

    def describe(self, settings: AttentionSettings) -> str:
        """Return what the network is, in a few words."""
        return f"Attention U-Net of width {settings.width} and depth {settings.depth}, {settings.norm} norm"
