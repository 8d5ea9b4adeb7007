"""A U-Net whose encoder is VGG-19 (Simonyan and Zisserman 2015, arXiv:1409.1556), for RGB images."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from unet2015.geometry import Geometry
from unet2015.networks.padding import (
    PaddedArchitecture,
    PaddedNetwork,
    Reached,
    class_scores,
    outputs_of_head,
    reached_at_the_top,
)
from unet2015.settings.network import VGG19Settings

CONVOLUTIONS = (2, 2, 4, 4, 4)
"""Of each level of the encoder, up to conv5_4."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pixels of ImageNet, from 0 to 1: what torchvision's weights were trained with."""


def vgg19_features(in_channels: int, widths: list[int]) -> list[nn.Module]:
    """Return the layers of VGG-19 in torchvision's order; levels begin with a pooling, but for the first."""
    layers: list[nn.Module] = []
    for times, width in zip(CONVOLUTIONS, widths, strict=False):
        layers += [nn.MaxPool2d(2)] if layers else []
        for _ in range(times):
            layers += [nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            in_channels = width
    return layers


def block(before: int, after: int, dropout: float) -> nn.Sequential:
    """Return two 3x3 convolutions of the decoder, each with ReLU and drop-out of whole channels."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [nn.Conv2d(channels, after, 3, padding=1), nn.ReLU(inplace=True), nn.Dropout2d(dropout)]
    return nn.Sequential(*layers)


class VGGUNet(PaddedNetwork):
    """The layers of VGG-19, and a decoder that mirrors its levels; drawn weights.

    Attributes
    ----------
    features : nn.Sequential
        The encoder, numbered as torchvision numbers it: ``features.34`` is conv5_4.
    """

    def __init__(
        self, in_channels: int, classes: int, geometry: Geometry, width: int, depth: int, dropout: float
    ) -> None:
        super().__init__(in_channels, classes, geometry)
        widths = [width << min(level, 3) for level in range(depth + 1)]
        self.features = nn.Sequential(*vgg19_features(in_channels, widths))
        self.upsample = nn.ModuleList(
            nn.ConvTranspose2d(below, here, 2, stride=2) for here, below in pairwise(widths)
        )
        self.expand = nn.ModuleList(block(2 * here, here, dropout) for here in widths[:-1])
        self.head = nn.Conv2d(width, outputs_of_head(classes), 3, padding=1)

    def whole_scores(self, image: Tensor) -> list[Tensor]:
        """Return the scores of the whole image."""
        x, skips = image, []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                skips.append(x)
            x = layer(x)
        for raise_, convolve in zip(reversed(self.upsample), reversed(self.expand), strict=True):
            x = convolve(torch.cat([raise_(x), skips.pop()], dim=1))
        return [class_scores(self.head, x)]


class VGG19UNet(VGGUNet):
    """The same with ImageNet's mean and deviation as its first step, for pixels from 0 to 1.

    A gray image, if one channel is declared, is shown as three equal ones.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, in_channels: int, classes: int, geometry: Geometry, width: int, depth: int, dropout: float
    ) -> None:
        super().__init__(3, classes, geometry, width, depth, dropout)
        self.in_channels = in_channels
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None])

    def whole_scores(self, image: Tensor) -> list[Tensor]:
        """Return the scores of the whole image."""
        return super().whole_scores((image.expand(-1, 3, -1, -1) - self.mean) / self.deviation)


class VGG19(PaddedArchitecture[VGG19Settings, VGG19UNet]):
    """The entry of the table."""

    settings, network, encoder = VGG19Settings, VGG19UNet, ("features",)
    examples = (VGG19Settings(width=2, depth=2, gray="repeat"),)
    source = "the encoder: arXiv:1409.1556"
    choose = (
        "for RGB photographs, with pretrained weights of the encoder. With drawn ones no better "
        "than the paper's, on EM and on touching cells worse"
    )
    encoder_weights = "features"
    other_channels = (
        "it reads RGB; give images of three channels, or show gray ones as three equal channels "
        '(gray = "repeat" in [network]), or choose another network'
    )

    def channels(self, settings: VGG19Settings) -> tuple[int, ...]:
        """Return which numbers of channels an image may have."""
        return (3,) if settings.gray == "refuse" else (1, 3)

    def reached(self, settings: VGG19Settings) -> Reached:
        """Return what padding has reached in the scores; the head is a 3x3 convolution."""
        return vgg_reached(settings.depth)

    def build(self, settings: VGG19Settings, in_channels: int, classes: int) -> VGG19UNet:
        """Return a network."""
        chosen = settings.width, settings.depth, settings.dropout
        return VGG19UNet(in_channels, classes, self.geometry(settings), *chosen)

    def describe(self, settings: VGG19Settings) -> str:
        """Return what the network is, in a few words."""
        return f"U-Net with VGG-19 as encoder, of width {settings.width} and depth {settings.depth}"


def vgg_reached(depth: int) -> Reached:
    """Return what padding has reached behind the head, a 3x3 convolution."""
    return reached_at_the_top(CONVOLUTIONS[: depth + 1], [2] * depth).convolved()
