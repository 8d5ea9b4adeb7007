"""What there is in the table of networks, at the published sizes."""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from unet2015.geometry import Geometry
from unet2015.networks import NETWORKS, build, describe


@dataclass(frozen=True)
class NetworkFacts:
    """A kind of network with its default settings, for images of its fewest channels and two classes.

    Attributes
    ----------
    kind, words, source, choose : str
        Its name in settings, what it is, where it is published, and when to choose it.
    parameters : int
        Weights that are trained.
    channels : tuple of int
        How many channels an image may have; empty: any number.
    geometry, training : Geometry
        Of inference and of training: pixels lost on each side, legal sides, whether tiled equals whole.
    encoder_weights : bool
        Whether its encoder takes pretrained weights from a file.
    """

    kind: str
    words: str
    source: str
    choose: str
    parameters: int
    channels: tuple[int, ...]
    geometry: Geometry
    training: Geometry
    encoder_weights: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return asdict(self)


def list_networks() -> list[NetworkFacts]:
    """Return the facts of every network of the table, in its order."""
    return [_facts(kind) for kind in NETWORKS]


def _facts(kind: str) -> NetworkFacts:
    entry = NETWORKS[kind]
    chosen = entry.settings()
    channels = entry.channels(chosen)
    with torch.device("meta"):  # nothing is drawn, and no memory is taken
        network = build(chosen, (channels or (1,))[0], 2)
    return NetworkFacts(
        kind,
        describe(chosen),
        entry.source,
        entry.choose,
        sum(parameter.numel() for parameter in network.parameters()),
        channels,
        entry.geometry(chosen),
        entry.training_geometry(chosen),
        bool(entry.encoder_weights),
    )
