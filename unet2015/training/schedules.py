"""Schedules by name: how learning rate and momentum change from step to step.

A new one needs a line in `SCHEDULES`, and its name in :class:`unet2015.settings.OptimisationSettings`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from unet2015.settings import OptimisationSettings

Rule = OptimisationSettings

SCHEDULES: dict[str, Callable[[float, Rule], float]] = {
    "constant": lambda done, rule: 1.0,
    "cosine": lambda done, rule: (1 + math.cos(math.pi * done)) / 2,
    "linear": lambda done, rule: 1 - done,
    "polynomial": lambda done, rule: (1 - done) ** rule.power,
    "plateau": lambda done, rule: 1.0,  # until the validation says otherwise: see `Plateau`
}
"""From the share of the steps after the warm-up that is done, and the rule, to the share of the peak rate."""

_LOWEST = 0.9
"""Where a momentum ramp begins."""

LEAST_FALL = 1e-4
"""A cross-entropy that falls by less than this share is on a plateau."""


def learning_rate(rule: OptimisationSettings, step: int, cuts: int = 0) -> float:
    """Return the learning rate of a step, counted from 0: a linear warm-up, then the schedule.

    `cuts` says how often ``plateau`` has divided the rate so far.

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
    rate = rule.learning_rate * share
    return rate / rule.plateau_factor**cuts if cuts else rate


def momentum(rule: OptimisationSettings, step: int) -> float:
    """Return the momentum of a step, counted from 0; with a ramp it rises linearly from 0.9."""
    if step >= rule.momentum_ramp or rule.momentum <= _LOWEST:
        return rule.momentum
    return _LOWEST + (rule.momentum - _LOWEST) * step / rule.momentum_ramp


@dataclass
class Plateau:
    """Where the schedule ``plateau`` stands: part of the state of a training.

    Attributes
    ----------
    lowest : float or None
        The lowest cross-entropy of a validation so far; None before the first.
    waited : int
        Validations since then, or since the rate was divided.
    cuts : int
        How often the rate was divided.
    """

    lowest: float | None = None
    waited: int = 0
    cuts: int = 0

    def look(self, rule: OptimisationSettings, cross_entropy: float) -> bool:
        """Take in a validation; return whether the rate must be divided now (`cuts` is not changed).

        Lower means lower by at least `LEAST_FALL` of the lowest, as in torch's ``ReduceLROnPlateau``.
        """
        if self.lowest is None or cross_entropy < (1 - LEAST_FALL) * self.lowest:
            self.lowest, self.waited = cross_entropy, 0
        else:
            self.waited += 1
        if self.waited < rule.plateau_looks:
            return False
        self.waited = 0
        return True
