"""The layers of the network `vgg19` without pretraining: what the pretrained one is compared with."""

from unet2015.networks.padding import PaddedArchitecture, Reached
from unet2015.networks.vgg19 import VGGUNet, vgg_reached
from unet2015.settings.network import BaseSettings


class Base(PaddedArchitecture[BaseSettings, VGGUNet]):
    """The entry of the table; images of any number of channels, and no statistics of ImageNet."""

    settings, network, encoder = BaseSettings, VGGUNet, ("features",)
    source = "the layers: arXiv:1409.1556"
    choose = (
        "to see what the pretraining of vgg19 gives; in itself worse than the paper's on touching "
        "cells (SEG 0.514)"
    )
    examples = (BaseSettings(width=2, depth=1),)

    def reached(self, settings: BaseSettings) -> Reached:
        """Return what padding has reached in the scores."""
        return vgg_reached(settings.depth)

    def build(self, settings: BaseSettings, in_channels: int, classes: int) -> VGGUNet:
        """Return a network."""
        chosen = settings.width, settings.depth, settings.dropout
        return VGGUNet(in_channels, classes, self.geometry(settings), *chosen)

    def describe(self, settings: BaseSettings) -> str:
        """Return what the network is, in a few words."""
        return f"U-Net with the layers of VGG-19, of width {settings.width} and depth {settings.depth}"
