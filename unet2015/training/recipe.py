"""The recipe: optimizers, losses and schedules by name, and what a step does with them.

Each table has one line an entry; a new one needs that line and its name in
:class:`unet2015.settings.OptimisationSettings`.
"""

import math
from collections.abc import Callable, Iterable
from copy import deepcopy

import torch
from torch import Tensor

from unet2015.networks import Network
from unet2015.settings import OptimisationSettings
from unet2015.training.augment import Sample
from unet2015.training.loss import weighted_cross_entropy
from unet2015.training.muon import Muon

Rule = OptimisationSettings

OPTIMIZERS: dict[str, Callable[[Iterable[Tensor], Rule], torch.optim.Optimizer]] = {
    "sgd": lambda weights, rule: torch.optim.SGD(
        weights, rule.learning_rate, rule.momentum, weight_decay=rule.weight_decay, nesterov=rule.nesterov
    ),
    "adam": lambda weights, rule: torch.optim.Adam(
        weights, rule.learning_rate, rule.betas, weight_decay=rule.weight_decay
    ),
    "adamw": lambda weights, rule: torch.optim.AdamW(
        weights, rule.learning_rate, rule.betas, weight_decay=rule.weight_decay
    ),
    "muon": lambda weights, rule: Muon(
        weights, rule.learning_rate, rule.momentum, rule.betas, rule.weight_decay
    ),
}
"""Weights and rule to an optimizer."""

LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor, Rule], Tensor]] = {
    "cross-entropy": lambda scores, classes, weights, rule: weighted_cross_entropy(
        scores, classes, weights, rule.loss_divisor
    ),
}
"""Scores (N, K, h, w), classes (N, h, w), weights (N, h, w) and rule to a scalar."""

SCHEDULES: dict[str, Callable[[float, Rule], float]] = {
    "constant": lambda done, rule: 1.0,
    "cosine": lambda done, rule: (1 + math.cos(math.pi * done)) / 2,
    "linear": lambda done, rule: 1 - done,
    "polynomial": lambda done, rule: (1 - done) ** rule.power,
}
"""From the share of the steps after the warm-up that is done, and the rule, to the share of the peak rate."""

_LOWEST = 0.9
"""Where a momentum ramp begins."""


def learning_rate(rule: OptimisationSettings, step: int) -> float:
    """Return the learning rate of a step, counted from 0: a linear warm-up, then the schedule.

    A warm-up longer than the training ends with it. A constant gradient moves a weight by
    rate / (1 - momentum) a step. While the momentum of sgd rises, the rate is scaled so that this quotient
    has its final value already.
    """
    warmup = min(rule.warmup, rule.steps)
    if step < warmup:
        share = (step + 1) / warmup
    else:
        share = SCHEDULES[rule.schedule]((step - warmup) / max(1, rule.steps - warmup), rule)
    if rule.optimizer == "sgd":
        share *= (1 - momentum(rule, step)) / (1 - rule.momentum)
    return rule.learning_rate * share


def momentum(rule: OptimisationSettings, step: int) -> float:
    """Return the momentum of a step, counted from 0; with a ramp it rises linearly from 0.9."""
    if step >= rule.momentum_ramp or rule.momentum <= _LOWEST:
        return rule.momentum
    return _LOWEST + (rule.momentum - _LOWEST) * step / rule.momentum_ramp


def tile_losses(rule: OptimisationSettings, scores: Tensor, sample: Sample) -> list[Tensor]:
    """Return the loss of each tile of a batch, so that each tile counts the same, whatever its weights."""
    loss = LOSSES[rule.loss]
    tiles = [slice(k, k + 1) for k in range(len(scores))]
    return [loss(scores[k], sample.classes[k], sample.weights[k], rule) for k in tiles]


def descend(optimizer: torch.optim.Optimizer, rule: OptimisationSettings, step: int, rate: float) -> None:
    """Take a step down the gradients of the weights, with the rate and the momentum of this step."""
    for group in optimizer.param_groups:
        group["lr"] = rate
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
