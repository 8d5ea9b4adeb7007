"""What a network declares so that it can be built, trained, planned, tiled and described."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from unet2015.geometry import Geometry, inference_tile
from unet2015.networks.initialisation import draw_weights
from unet2015.settings import AnyNetworkSettings, InitialisationSettings

FASTEST = "fastest"
"""Asks a fast path for the way of its convolutions that is fastest on this machine."""


class Network(nn.Module):
    """What all networks of the table have in common.

    Called with an image (N, in_channels, H, W) of legal size, it returns scores (N, classes,
    H - 2 * margin, W - 2 * margin). The receptive field of a score reaches ``geometry.margin`` pixels from
    its own pixel; a network that pads must crop the scores that the padding reaches, or declare that it is
    not exact. Buffers are persistent.

    A network may be trained on other scores than it gives in inference: on those that padding reaches, or on
    several at once. Then it has a `training_geometry` and `training_scores` of its own.

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

    @property
    def heads(self) -> list[nn.Conv2d]:
        """The last layers, where there is more than one map of scores."""
        return [self.head]

    @property
    def training_geometry(self) -> Geometry:
        """The legal sizes of tiles in training, and the sides of :meth:`training_scores`."""
        return self.geometry

    def training_scores(self, image: Tensor) -> list[Tensor]:
        """Return what the loss sees of an image of legal size: one map of scores, or several.

        The loss of a step is the mean of the losses of all maps. Each is (N, classes, h, w), with the output
        sides of `training_geometry`.
        """
        return [self(image)]

    def inference_tile(self, tile: int) -> int:
        """Return the side of the tile whose scores in inference cover those of a `tile` of the training."""
        return inference_tile(self.geometry, self.training_geometry, tile)


class TrainingScores(nn.Module):
    """A module whose call is a network's ``training_scores``, for what wraps the call of a module: DDP.

    Parameters
    ----------
    network : Network
        Not copied.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return all maps of scores that the loss sees."""
        return self.network.training_scores(image)


def exactly(head: nn.Conv2d, x: Tensor) -> Tensor:
    """Return ``head(x)`` in the precision of the head's weights, whatever that of `x`, also under autocast.

    A softmax follows: from scores with the 8 bits of bfloat16, probabilities near 0 and 1 become coarse.
    """
    x = x.to(head.weight.dtype)
    kind = x.device.type
    if not torch.amp.is_autocast_available(kind):  # as on the device "meta"
        return head(x)  # type: ignore[no-any-return]
    with torch.autocast(kind, enabled=False):
        return head(x)  # type: ignore[no-any-return]


def make_bfloat16(network: Network) -> None:
    """Make a network compute in bfloat16, except its heads and its normalisation, which stay float32."""
    network.to(torch.bfloat16)
    for module in network.modules():
        if module in network.heads or isinstance(module, nn.BatchNorm2d):
            module.to(torch.float32)


S = TypeVar("S", bound=AnyNetworkSettings)
M = TypeVar("M", bound=Network)


class FastScores(Protocol):
    """A function from (N, in_channels, H, W) to scores that keeps memory for the next call."""

    def __call__(self, image: Tensor, /) -> Tensor:
        """Return the scores."""

    def release(self) -> None:
        """Free that memory; the next call takes it again."""


@dataclass(frozen=True)
class FastPath(Generic[M]):
    """A faster way to compute a network's scores in inference, on a CPU."""

    scores: Callable[[M, torch.dtype, str | None], FastScores]
    """(network, dtype of all layers but the head, way of its convolutions): a function from (N, in_channels,
    H, W) to scores."""
    way: Callable[[M, torch.dtype, str | None], str | None]
    """(network, dtype, which way is wanted): the way of its convolutions, in words, which decides how scores
    are rounded; None where there is one alone. `FASTEST` is what this machine computes fastest, None what is
    usual. It raises `UsageError` for words that it does not know."""
    workspace_values: Callable[[M, int, int, int], int]
    """(network, height, width, bytes of a value): values alive at most while a batch of such tiles goes
    through, one tile after the other, without the batch itself."""
    weight_values: Callable[[M], int]
    """(network): values of the copies that it makes of the parameters."""
    tile_geometry: Callable[[M], Geometry]
    """(network): the geometry for which it is fastest; its legal sizes are legal for the network, too."""


class Architecture(ABC, Generic[S, M]):
    """An entry of the table.

    Attributes
    ----------
    settings : type
        How its settings look; registered with :func:`unet2015.settings.network_kind`.
    network : type
        What it builds.
    examples : tuple of settings
        Small ones, one of each variant, for the tests of the table.
    fast : FastPath or None
        None: inference on a CPU calls the network itself.
    encoder : tuple of str
        Names of the modules of its contracting path, for fine-tuning; empty where it has none.
    encoder_weights : str
        Name of the module whose weights a file may hold under the same names; empty where no file does.
    other_channels : str
        What to do with images whose number of channels it does not read.
    source : str
        Where it is published.
    choose : str
        When to choose it, from what was measured: docs/results.md, the published widths on one GPU.
    """

    settings: type[S]
    network: type[M]
    examples: tuple[S, ...]
    fast: FastPath[M] | None = None
    encoder: tuple[str, ...] = ()
    encoder_weights: str = ""
    other_channels: str = ""
    source: str = ""
    choose: str = ""

    @property
    def kind(self) -> str:
        """Its name in the table, in settings and in model files."""
        kind: str = self.settings.model_fields["kind"].default
        return kind

    @abstractmethod
    def geometry(self, settings: S) -> Geometry:
        """Return the geometry of the network of such settings, without building it."""

    def training_geometry(self, settings: S) -> Geometry:
        """Return the geometry of the network's training. Default: that of its inference."""
        return self.geometry(settings)

    def why_inexact(self, settings: S) -> str:
        """Return why tiled does not equal whole, where the geometry says so."""
        return "its scores depend on the tile"

    def channels(self, settings: S) -> tuple[int, ...]:
        """Return which numbers of channels an image may have. Default: empty, which is any."""
        return ()

    @abstractmethod
    def build(self, settings: S, in_channels: int, classes: int) -> M:
        """Return a network, in training mode, on torch's default device."""

    @abstractmethod
    def describe(self, settings: S) -> str:
        """Return what the network is, in a few words: "U-Net (paper) of width 64 and depth 4"."""

    @abstractmethod
    def peak_values(self, network: M, height: int, width: int) -> int:
        """Return how many values are alive at once, at most, while one input goes through in inference.

        The input counts, the parameters do not.
        """

    def gpu_scores(self, network: M) -> Callable[[Tensor], Tensor] | None:
        """Return a faster way to compute the scores on a GPU in inference; None: there is none.

        The network is on its device, in the precision that it computes in; its parameters may be shared.
        """
        return None

    def gpu_peak_values(self, network: M, height: int, width: int) -> int:
        """Return what `peak_values` is on a GPU: with `gpu_scores`, if there are any."""
        return self.peak_values(network, height, width)

    def initialise(self, network: M, rule: InitialisationSettings) -> None:
        """Draw the initial weights."""
        draw_weights(network, network.heads, rule)


def shared_copy(network: M) -> M:
    """Return a copy whose parameters and buffers are those of `network` themselves, under the same names.

    A step that changes one changes both, and so does a gradient. Modules may be replaced in the copy; modes
    (training or not) are its own.
    """
    same: dict[int, Any] = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return deepcopy(network, same)


def counterparts(modules: Iterable[nn.Module], network: nn.Module, copy: nn.Module) -> list[nn.Module]:
    """Return the modules of a copy that have the names of some modules of a network."""
    wanted = set(modules)
    return [copy.get_submodule(name) for name, module in network.named_modules() if module in wanted]
