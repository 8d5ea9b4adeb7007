"""After which steps the held-out pages are segmented."""

from unet2015.settings import TrainingSettings

_EARLIEST = 100


def first_validation(settings: TrainingSettings) -> int:
    """Return the step after which the first validation decides whether to begin again.

    It is early, so that an attempt that does not learn costs little, but late enough that a network that
    learns can show it: after a tenth of the steps, at least 100 and twice the warm-up, and never later than
    the first validation in the settings.
    """
    rule = settings.optimisation
    early = max(_EARLIEST, 2 * rule.warmup, rule.steps // 10)
    return min(early, settings.validation.interval, rule.steps)


def is_validation_step(settings: TrainingSettings, step: int) -> bool:
    """Whether the held-out pages are segmented after so many steps."""
    at_end = step == settings.optimisation.steps
    return at_end or step == first_validation(settings) or step % settings.validation.interval == 0
