"""The table of networks: code that builds, loads, plans, predicts, trains or reports uses it.

A new network is one file in this folder, with the module and its :class:`Architecture`; one class of
settings in :mod:`unet2015.settings`; and one line in the table. The tests of the table go over all entries.
"""

from typing import Any

from torch import nn

from unet2015.device import drawing
from unet2015.errors import UsageError
from unet2015.geometry import Geometry
from unet2015.networks.architecture import Architecture, FastPath, Network, TrainingScores
from unet2015.networks.attention import Attention
from unet2015.networks.base import Base
from unet2015.networks.compact import Compact
from unet2015.networks.nested import Nested
from unet2015.networks.padded import Padded
from unet2015.networks.unet2015_entry import Paper
from unet2015.networks.vgg19 import VGG19
from unet2015.networks.vnet import VNetEntry
from unet2015.settings import AnyNetworkSettings, InitialisationSettings

__all__ = [
    "NETWORKS",
    "Architecture",
    "FastPath",
    "Network",
    "TrainingScores",
    "architecture",
    "architecture_of",
    "build",
    "check_channels",
    "describe",
    "geometry",
    "inexact",
    "training_geometry",
]

NETWORKS: dict[str, Architecture[Any, Any]] = {
    entry.kind: entry
    for entry in (
        Paper(),  # the default
        Padded(),
        VGG19(),
        Base(),
        Compact(),
        Nested(),
        Attention(),
        VNetEntry(),
    )
}


def architecture(settings: AnyNetworkSettings) -> Architecture[Any, Any]:
    """Return the entry for the ``kind`` of the settings."""
    return NETWORKS[settings.kind]


def architecture_of(network: nn.Module) -> Architecture[Any, Any]:
    """Return the entry that builds networks of exactly this class; a subclass may compute differently.

    Raises
    ------
    UsageError
        No entry builds it.
    """
    for entry in NETWORKS.values():
        if type(network) is entry.network:
            return entry
    raise UsageError(
        f"{type(network).__name__} is no network of the table unet2015.networks ({', '.join(NETWORKS)}); "
        "give it a line there"
    )


def build(
    settings: AnyNetworkSettings,
    in_channels: int,
    classes: int,
    first: InitialisationSettings | None = None,
) -> Network:
    """Return a network in training mode.

    Parameters
    ----------
    settings : AnyNetworkSettings
        Its ``kind`` chooses the architecture.
    in_channels, classes : int
        Channels of the image and of the scores.
    first : InitialisationSettings, optional
        How the initial weights are drawn. Default: as the network's class does.

    Raises
    ------
    UsageError
        The network does not read images of so many channels.
    """
    check_channels(settings, in_channels)
    entry = architecture(settings)
    with drawing():
        network: Network = entry.build(settings, in_channels, classes)
        if first is not None:
            entry.initialise(network, first)
    return network


def check_channels(settings: AnyNetworkSettings, channels: int) -> None:
    """Raise a `UsageError` unless the network of such settings reads images of so many channels."""
    entry = architecture(settings)
    legal = entry.channels(settings)
    if legal and channels not in legal:
        raise UsageError(
            f"the network {settings.kind} reads images of {' or '.join(map(str, legal))} channels, but there "
            f"{'is' if channels == 1 else 'are'} {channels}: {entry.other_channels}"
        )


def geometry(settings: AnyNetworkSettings) -> Geometry:
    """Return the geometry of the network of such settings, without building it."""
    return architecture(settings).geometry(settings)


def training_geometry(settings: AnyNetworkSettings) -> Geometry:
    """Return the geometry in which the network of such settings is trained, without building it."""
    return architecture(settings).training_geometry(settings)


def inexact(settings: AnyNetworkSettings) -> str:
    """Return why tiled does not equal whole with the network of such settings; empty if it does."""
    entry = architecture(settings)
    return "" if entry.geometry(settings).exact else entry.why_inexact(settings)


def describe(settings: AnyNetworkSettings) -> str:
    """Return what the network of such settings is, in a few words."""
    return architecture(settings).describe(settings)
