"""What networks that pad have in common: trained on whole tiles, cropped and so exact in inference.

Padding keeps the size of a map, but the pixels at its border are computed from zeros that no image has.
The arithmetic of :class:`Reached` counts them, layer by layer; inference crops such scores.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from unet2015.geometry import Geometry
from unet2015.networks.architecture import Architecture, Network, exactly
from unet2015.networks.live_values import live_values
from unet2015.settings.network import PaddingSettings


@dataclass(frozen=True, slots=True)
class Reached:
    """How many pixels at each end of an axis padding has reached, in the map behind some layer.

    All sides are even where a layer halves them.
    """

    near: int = 0
    far: int = 0

    def convolved(self, kernel: int = 3, times: int = 1) -> "Reached":
        """Behind so many padded convolutions."""
        more = kernel // 2 * times
        return Reached(self.near + more, self.far + more)

    def halved(self) -> "Reached":
        """Behind a 2x2 pooling or convolution of stride 2."""
        return Reached((self.near + 1) // 2, (self.far + 1) // 2)

    def strided(self) -> "Reached":
        """Behind a 3x3 convolution of stride 2 with padding 1: pixel i is made of 2i - 1, 2i and 2i + 1."""
        return Reached(self.near // 2 + 1, (self.far + 1) // 2)

    def doubled(self) -> "Reached":
        """Behind a 2x2 up-convolution of stride 2."""
        return Reached(2 * self.near, 2 * self.far)

    def raised(self) -> "Reached":
        """Behind a 3x3 up-convolution of stride 2: pixel i goes to 2i - 1, 2i and 2i + 1."""
        return Reached(2 * self.near, 2 * self.far + 1)

    def joined(self, *others: "Reached") -> "Reached":
        """Behind a sum or a concatenation of maps."""
        every = (self, *others)
        return Reached(max(one.near for one in every), max(one.far for one in every))


def reached_at_the_top(down: Sequence[int], up: Sequence[int], kernel: int = 3) -> Reached:
    """Return what padding has reached behind an encoder and a decoder.

    `down` and `up` are the convolutions of each level, from the uppermost; the lowest has no `up`.
    """
    reached, skips = Reached(), []
    for level, times in enumerate(down):
        reached = reached.convolved(kernel, times)
        if level < len(up):
            skips.append(reached)
            reached = reached.halved()
    for times in reversed(up):
        reached = reached.doubled().joined(skips.pop()).convolved(kernel, times)
    return reached


class PaddedNetwork(Network, ABC):
    """A network whose maps keep their size by padding with zeros.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the image and of the scores.
    geometry : Geometry
        Of inference: its margin is cropped.
    """

    def __init__(self, in_channels: int, classes: int, geometry: Geometry) -> None:
        super().__init__()
        self.in_channels, self.classes, self.geometry = in_channels, classes, geometry

    @abstractmethod
    def whole_scores(self, image: Tensor) -> list[Tensor]:
        """Return one map of scores (N, classes, H, W), or several, for an image (N, in_channels, H, W)."""

    @property
    def training_geometry(self) -> Geometry:
        """The loss sees the scores of the whole tile."""
        return uncropped(self.geometry.factor)

    def training_scores(self, image: Tensor) -> list[Tensor]:
        """Return the scores of the whole tile, also where padding reaches them."""
        self.training_geometry.check(*image.shape[-2:])
        return self.whole_scores(image)

    def forward(self, image: Tensor) -> Tensor:
        """Return scores (N, classes, H - 2 * margin, W - 2 * margin); of several maps, their mean."""
        height, width = image.shape[-2:]
        self.geometry.check(height, width)
        maps = self.whole_scores(image)
        scores = maps[0] if len(maps) == 1 else torch.stack(maps).mean(dim=0)
        edge = self.geometry.margin
        return scores[..., edge : height - edge, edge : width - edge]


def uncropped(factor: int) -> Geometry:
    """Return the geometry of a network that keeps what padding reaches.

    Its lowest map has at least 2 x 2 pixels: the mean and the deviation of a single one say nothing.
    """
    return Geometry(factor, 0, 2 * factor, exact=False)


def outputs_of_head(classes: int) -> int:
    """Return the channels of a head that gives one logit for two classes, and else a score for each."""
    return 1 if classes == 2 else classes


def class_scores(head: nn.Conv2d, x: Tensor) -> Tensor:
    """Return scores of all classes from a head that may give one logit.

    A logit z of class 1 becomes the scores (0, z). Their softmax is (1 - sigmoid(z), sigmoid(z)), and their
    cross-entropy is the binary cross-entropy of z.
    """
    scores = exactly(head, x)
    return torch.cat([torch.zeros_like(scores), scores], dim=1) if head.out_channels == 1 else scores


S = TypeVar("S", bound=PaddingSettings)
M = TypeVar("M", bound=PaddedNetwork)


class PaddedArchitecture(Architecture[S, M]):
    """An entry of a network that pads."""

    @abstractmethod
    def reached(self, settings: S) -> Reached:
        """Return what padding has reached in the scores."""

    def is_exact(self, settings: S) -> bool:
        """Whether a score depends on nothing but the pixels of its receptive field."""
        return True

    def geometry(self, settings: S) -> Geometry:
        """Return the geometry of inference: what padding reaches is lost, or kept if the settings say so."""
        factor = 1 << settings.depth
        if settings.border == "padded":
            return uncropped(factor)
        reached = self.reached(settings)
        margin = max(reached.near, reached.far)
        smallest = factor * max(2, 2 * margin // factor + 1)
        return Geometry(factor, margin, smallest, exact=self.is_exact(settings))

    def why_inexact(self, settings: S) -> str:
        """Return why tiled does not equal whole: padding is kept, or a norm is the tile's own."""
        if settings.border == "padded":
            return 'scores that padding reaches are kept (border = "padded")'
        return 'instance normalisation takes mean and deviation of each tile (norm = "instance")'

    def training_geometry(self, settings: S) -> Geometry:
        """Return the geometry of the training: nothing is lost."""
        return uncropped(1 << settings.depth)

    def peak_values(self, network: M, height: int, width: int) -> int:
        """Return how many values are alive at once, at most: measured on a small input, for its area."""
        side = network.training_geometry.smallest
        return -(-live_values(network, network.whole_scores, side) * height * width // side**2)
