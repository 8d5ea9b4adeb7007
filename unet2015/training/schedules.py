"""Schedules by name: how learning rate and momentum change from step to step.

A new one needs a line in `SCHEDULES`, and its name in :class:`unet2015.settings.OptimisationSettings`.
"""

import math
from collections.abc import Callable

from unet2015.settings import OptimisationSettings

Rule = OptimisationSettings

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
