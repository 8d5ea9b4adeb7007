"""A U-Net as it is mostly built today: input and output of equal size, batch normalisation."""

from torch import nn

from unet2015.geometry import Geometry
from unet2015.networks.encoder_decoder import EncoderDecoder
from unet2015.networks.padding import PaddedArchitecture, Reached, reached_at_the_top
from unet2015.settings.network import PaddedSettings


def block(before: int, after: int) -> nn.Sequential:
    """Return two 3x3 convolutions without bias, each with batch normalisation and ReLU6."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [nn.Conv2d(channels, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)]
        layers += [nn.ReLU6(inplace=True)]
    return nn.Sequential(*layers)


class PaddedUNet(EncoderDecoder):
    """Levels of 64, 128, 256, 512 and 1024 channels; one logit for two classes."""

    def __init__(self, in_channels: int, classes: int, geometry: Geometry, width: int, depth: int) -> None:
        widths = [width << level for level in range(depth + 1)]
        super().__init__(in_channels, classes, geometry, widths, block)


class Padded(PaddedArchitecture[PaddedSettings, PaddedUNet]):
    """The entry of the table."""

    settings, network, encoder = PaddedSettings, PaddedUNet, ("contract",)
    source = "padding and batch normalisation as in most U-Nets since; arXiv:1502.03167"
    choose = (
        "where tiles are small in training: it loses no border there. On EM and single cells like "
        "the paper's, on touching cells worse (SEG 0.560)"
    )
    examples = (PaddedSettings(width=3, depth=2), PaddedSettings(width=2, depth=1, border="padded"))

    def reached(self, settings: PaddedSettings) -> Reached:
        """Return what padding has reached in the scores: 94 px at depth 4."""
        return reached_at_the_top([2] * (settings.depth + 1), [2] * settings.depth)

    def build(self, settings: PaddedSettings, in_channels: int, classes: int) -> PaddedUNet:
        """Return a network."""
        return PaddedUNet(in_channels, classes, self.geometry(settings), settings.width, settings.depth)

    def describe(self, settings: PaddedSettings) -> str:
        """Return what the network is, in a few words."""
        return f"padded U-Net of width {settings.width} and depth {settings.depth}"
