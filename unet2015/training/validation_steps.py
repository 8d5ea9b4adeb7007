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


def is_validation_step(settings: TrainingSettings, step: int, first: bool = True) -> bool:
    """Whether the held-out pages are segmented after so many steps of a phase.

    Only the `first` phase has the early validation.
    """
    at_end = step == settings.optimisation.steps
    early = first and step == first_validation(settings)
    return at_end or early or step % settings.validation.interval == 0


def validations(settings: TrainingSettings, step: int, first: bool) -> int:
    """Return after how many of the first `step` steps of a phase the held-out pages are segmented."""
    count, early, last = (
        step // settings.validation.interval,
        first_validation(settings),
        settings.optimisation.steps,
    )
    extra = {*([early] if first else []), last}
    return count + sum(one <= step and one % settings.validation.interval != 0 for one in extra)
