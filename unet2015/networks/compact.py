"""A small padded U-Net with batch normalisation and drop-out, as for competitions on small images."""

from functools import partial

from torch import nn

from unet2015.geometry import Geometry
from unet2015.networks.encoder_decoder import EncoderDecoder
from unet2015.networks.padding import PaddedArchitecture, Reached, reached_at_the_top
from unet2015.settings.network import CompactSettings


def block(before: int, after: int, dropout: float) -> nn.Sequential:
    """Return two 3x3 convolutions, each with batch normalisation and ReLU; drop-out at their end (open)."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [nn.Conv2d(channels, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Dropout(dropout))


class CompactUNet(EncoderDecoder):
    """Levels of 16, 32, 64, 128 and 256 channels; one logit for two classes."""

    def __init__(
        self, in_channels: int, classes: int, geometry: Geometry, width: int, depth: int, dropout: float
    ) -> None:
        widths = [width << level for level in range(depth + 1)]
        super().__init__(in_channels, classes, geometry, widths, partial(block, dropout=dropout))


class Compact(PaddedArchitecture[CompactSettings, CompactUNet]):
    """The entry of the table."""

    settings, network, encoder = CompactSettings, CompactUNet, ("contract",)
    source = "padding and batch normalisation as in most U-Nets since; arXiv:1502.03167"
    choose = (
        "where memory or time is short: a sixteenth of the weights, half the time of a step. "
        "Single cells as well as the others; on EM it left membranes open (Rand error 0.225)"
    )
    examples = (CompactSettings(width=2, depth=2),)

    def reached(self, settings: CompactSettings) -> Reached:
        """Return what padding has reached in the scores: 94 px at depth 4."""
        return reached_at_the_top([2] * (settings.depth + 1), [2] * settings.depth)

    def build(self, settings: CompactSettings, in_channels: int, classes: int) -> CompactUNet:
        """Return a network."""
        chosen = settings.width, settings.depth, settings.dropout
        return CompactUNet(in_channels, classes, self.geometry(settings), *chosen)

    def describe(self, settings: CompactSettings) -> str:
        """Return what the network is, in a few words."""
        return f"compact U-Net of width {settings.width} and depth {settings.depth}"
