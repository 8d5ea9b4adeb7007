"""What a network declares so that it can be built, trained, planned, tiled and described."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from unet2015.geometry import Geometry
from unet2015.networks.weights import draw_weights
from unet2015.settings import AnyNetworkSettings, InitialisationSettings


class Network(nn.Module):
    """What all networks of the table have in common.

    Called with an image (N, in_channels, H, W) of legal size, it returns scores (N, classes,
    H - 2 * margin, W - 2 * margin). Each score depends on the pixels within ``geometry.margin`` of its
    own alone: a network that pads crops what the padding reaches. Buffers are persistent.

    Attributes
    ----------
    geometry : Geometry
        Its legal sizes, and what becomes of them.
    in_channels, classes : int
        Channels of the image and of the scores (before the softmax).
    head : nn.Conv2d
        The last layer, computed in float32 also where all others are in ``bfloat16``; see
        :func:`exactly`.
    """

    geometry: Geometry
    in_channels: int
    classes: int
    head: nn.Conv2d


def exactly(head: nn.Conv2d, x: Tensor) -> Tensor:
    """Return ``head(x)`` in the precision of the head's weights, whatever that of `x`, under autocast too."""
    x = x.to(head.weight.dtype)
    kind = x.device.type
    if not torch.amp.is_autocast_available(kind):  # as on the device "meta"
        return head(x)  # type: ignore[no-any-return]
    with torch.autocast(kind, enabled=False):
        return head(x)  # type: ignore[no-any-return]


def make_bfloat16(network: Network) -> None:
    """Let a network compute in bfloat16, but its head, and what normalises, in float32."""
    network.to(torch.bfloat16)
    for module in network.modules():
        if module is network.head or isinstance(module, nn.BatchNorm2d):
            module.to(torch.float32)


S = TypeVar("S", bound=AnyNetworkSettings)
M = TypeVar("M", bound=Network)


@dataclass(frozen=True)
class FastPath(Generic[M]):
    """Another way to a network's scores, on a processor, in inference."""

    scores: Callable[[M, torch.dtype], Callable[[Tensor], Tensor]]
    """Of a network, computed in a dtype but for the head: (N, in_channels, H, W) to scores."""
    workspace_values: Callable[[M, int, int, int], int]
    """(network, height, width, bytes a value): values alive at most while a batch of such tiles goes
    through, one after the other, without the batch itself."""
    weight_values: Callable[[M], int]
    """Values of the copies that it makes of the parameters."""
    steps: Callable[[M], Geometry]
    """The geometry that tiles had best have: legal sizes are legal for the network too."""


class Architecture(ABC, Generic[S, M]):
    """An entry of the table.

    Attributes
    ----------
    settings : type
        How its settings look; registered with :func:`unet2015.settings.network_kind`.
    network : type
        What it builds.
    examples : tuple of settings
        Small ones, one of each variant: the tests of the table go over them.
    fast : FastPath or None
        Where there is one.
    """

    settings: type[S]
    network: type[M]
    examples: tuple[S, ...]
    fast: FastPath[M] | None = None

    @property
    def kind(self) -> str:
        """The name in the table, in settings and model files."""
        kind: str = self.settings.model_fields["kind"].default
        return kind

    @abstractmethod
    def geometry(self, settings: S) -> Geometry:
        """Return the geometry of the network of such settings, without building it."""

    @abstractmethod
    def build(self, settings: S, in_channels: int, classes: int) -> M:
        """Return a network, in training mode, on torch's default device."""

    @abstractmethod
    def describe(self, settings: S) -> str:
        """Return what the network is, in a few words: "U-Net (paper) of width 64 and depth 4"."""

    @abstractmethod
    def peak_values(self, network: M, height: int, width: int) -> int:
        """Return how many values are alive at once, at most, while one input goes through in inference.

        With the input; without the parameters.
        """

    def initialise(
        self, network: M, rule: InitialisationSettings, generator: torch.Generator | None = None
    ) -> None:
        """Draw the first weights."""
        draw_weights(network, network.head, rule, generator)
