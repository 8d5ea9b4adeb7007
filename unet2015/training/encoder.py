"""The contracting path of a network in fine-tuning: frozen, or learning at a lower rate."""

from itertools import groupby
from typing import Any

from torch import Tensor, nn

from unet2015.networks import Network, architecture_of
from unet2015.settings import FineTuningSettings

RATE_FACTOR = "rate_factor"
"""Key in a group of an optimizer: its learning rate is that of the step times this."""


def freeze(network: Network, rule: FineTuningSettings) -> list[nn.Module]:
    """Freeze what the settings say, and return its modules.

    They take no gradient. In a training they must also be in evaluation mode, so that running means of
    normalisation layers stay.
    """
    if rule.freeze == "none":
        return []
    frozen = _encoder(network)
    for module in frozen:
        module.requires_grad_(False)
    return frozen


def weight_groups(network: Network, rule: FineTuningSettings) -> list[Tensor] | list[dict[str, Any]]:
    """Return the weights for an optimizer: in the network's order, in groups where their rates differ."""
    weights: list[Tensor] = list(network.parameters())
    if rule.encoder_rate == 1:
        return weights
    slow = {id(weight) for module in _encoder(network) for weight in module.parameters()}
    # Runs and not two groups, so that the numbers of the weights stay those of the network's order.
    runs = groupby(weights, key=lambda weight: id(weight) in slow)
    return [
        {"params": list(run), RATE_FACTOR: rule.encoder_rate if is_slow else 1.0} for is_slow, run in runs
    ]


def _encoder(network: Network) -> list[nn.Module]:
    return [network.get_submodule(name) for name in architecture_of(network).encoder]
