"""Optimizers by name, and what a step does with them.

A new one needs a line in `OPTIMIZERS`, and its name in :class:`unet2015.settings.OptimisationSettings`.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from unet2015.networks import Network
from unet2015.settings import OptimisationSettings
from unet2015.training import uncompiled
from unet2015.training.encoder import RATE_FACTOR
from unet2015.training.muon import Muon
from unet2015.training.schedules import momentum

Rule = OptimisationSettings

Weights = Iterable[Tensor] | Iterable[dict[str, Any]]
"""Of a network, in its order; in groups where their rates differ (`unet2015.training.encoder`)."""

OPTIMIZERS: dict[str, Callable[[Weights, Rule], torch.optim.Optimizer]] = {
    "sgd": lambda weights, rule: uncompiled.SGD(
        weights, rule.learning_rate, rule.momentum, weight_decay=rule.weight_decay, nesterov=rule.nesterov
    ),
    "adam": lambda weights, rule: uncompiled.Adam(
        weights, rule.learning_rate, rule.betas, weight_decay=rule.weight_decay
    ),
    "adamw": lambda weights, rule: uncompiled.AdamW(
        weights, rule.learning_rate, rule.betas, weight_decay=rule.weight_decay
    ),
    "muon": lambda weights, rule: Muon(
        weights, rule.learning_rate, rule.momentum, rule.betas, rule.weight_decay
    ),
}
"""Weights and rule to an optimizer."""


def descend(optimizer: torch.optim.Optimizer, rule: OptimisationSettings, step: int, rate: float) -> None:
    """Take a step down the gradients of the weights, with the rate and the momentum of this step."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get(RATE_FACTOR, 1.0)
        if "momentum" in group:
            group["momentum"] = momentum(rule, step)
    optimizer.step()


def clip_gradient(weights: Iterable[Tensor], longest: float) -> float:
    """Clip the gradient of all weights to a norm of `longest`; 0: do not clip.

    Returns
    -------
    float
        The norm before; not finite where any gradient is not.
    """
    weights = list(weights)
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if longest:
        torch.nn.utils.clip_grads_with_norm_(weights, longest, norm)
    return float(norm)


class MovingAverage:
    """The exponential moving average of a network's weights; buffers are those of the network.

    Parameters
    ----------
    network : Module
        Copied.
    decay : float
        Share of the average that a step keeps. At the beginning it is smaller, ``(1 + t) / (10 + t)`` at
        step t, so that the initial weights soon lose their influence.

    Attributes
    ----------
    network : Module
        A network with the averaged weights.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.network: Network = deepcopy(network).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: Network, step: int) -> None:
        """Take in the weights after a step, counted from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for mean, weight in zip(self.network.parameters(), network.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)
        for copied, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            copied.copy_(buffer)
