"""What a validation means: whether anything is learned yet, when that is first asked, what is better."""

from typing import Any

from unet2015.settings import TrainingSettings
from unet2015.training.validation import Validation

_EARLIEST = 100

ADVICE = (
    "try another seed, a lower learning rate, optimizer = adam, or look at what 'unet2015 check' says of the "
    "labels"
)
"""What to try where nothing is learned."""


def nothing_learned(result: Validation) -> str:
    """Say why a network has learned nothing yet; empty where it has learned something."""
    return "every pixel is predicted alike" if result.constant else ""


def is_better(result: Validation, best: dict[str, Any]) -> bool:
    """Whether a validation is better than the best before, as the state keeps it; empty: there is none."""
    return not best or result.f1 > best["f1"]


def first_check(settings: TrainingSettings) -> int:
    """Return the step after which the first validation decides whether to begin again.

    Early, so that an attempt on the plateau costs little, but not before a network that learns can show
    it: a tenth of the steps, at least 100 and twice the warm-up, and never later than the first validation
    that the settings ask for.
    """
    rule = settings.optimisation
    early = max(_EARLIEST, 2 * rule.warmup, rule.steps // 10)
    return min(early, settings.validation.interval, rule.steps)


def is_check(settings: TrainingSettings, step: int) -> bool:
    """Whether the held-out pages are looked at after so many steps."""
    at_end = step == settings.optimisation.steps
    return at_end or step == first_check(settings) or step % settings.validation.interval == 0
