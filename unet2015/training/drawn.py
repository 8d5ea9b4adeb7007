"""The first weights of a training: drawn, with those of an encoder from a file where one is given."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from unet2015.device import drawing
from unet2015.errors import UsageError
from unet2015.models.encoder_weights import load_encoder_weights
from unet2015.networks import Network, architecture, build
from unet2015.settings import TrainingSettings

if TYPE_CHECKING:  # it reads image files, which who draws weights need not
    from unet2015.training.start import Start

_log = logging.getLogger("unet2015")


def drawn_network(settings: TrainingSettings, channels: int, seed: int) -> Network:
    """Return the network of a training with drawn weights; `seed` is one that torch accepts."""
    with drawing(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(settings.network, channels, settings.labels.classes, settings.initialisation)


def with_encoder(
    file: Path, settings: TrainingSettings, channels: int, seed: int
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return drawn weights with the encoder's of a file, and what a record says of the file.

    Raises
    ------
    UsageError
        No file holds weights for the encoder of this network.
    ModelError
        The file cannot be read or does not fit.
    """
    network = drawn_network(settings, channels, seed)
    digest = load_encoder_weights(network, file)
    return network.state_dict(), {"file": file.name, "sha256": digest}


def check_encoder(file: Path | None, start: "Start | None", settings: TrainingSettings) -> None:
    """Refuse weights of an encoder beside a model to start from; say where an encoder has drawn weights.

    Raises
    ------
    UsageError
        Both are given.
    """
    kind = settings.network.kind
    if file is not None and start is not None:
        raise UsageError(
            f"{file}: the encoder's weights come from {start.name}, the model to start from; give one of both"
        )
    if file is None and start is None and architecture(settings.network).encoder_weights:
        _log.warning("the encoder of %s has drawn weights, as no --encoder-weights FILE is given", kind)
