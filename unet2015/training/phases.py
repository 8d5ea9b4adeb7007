"""The parts of a training in numbers: its phases, and epochs as steps."""

from unet2015.settings import TrainingSettings


def parts_of(settings: TrainingSettings, pages: int, processes: int = 1) -> list[TrainingSettings]:
    """Return the settings of each phase, its length and the distance of its validations in steps.

    Parameters
    ----------
    settings : TrainingSettings
        Of the whole training; without phases it is a single one.
    pages : int
        Training pages: the tiles of an epoch.
    processes : int
        Processes that train together, each with a batch a step.

    Notes
    -----
    An epoch is a round through the training pages, as many tiles as pages. With ``sampling.pages = "alike"``,
    and wherever the pages have equal annotated areas, each page is shown once, in an order drawn anew. Rounds
    follow each other without a gap: a batch may hold the end of one and the beginning of the next. Epochs
    that are no whole number of steps are rounded up.
    """
    return [
        _in_steps(settings.in_phase(number), pages, processes)
        for number in range(max(1, len(settings.phase)))
    ]


def _in_steps(settings: TrainingSettings, pages: int, processes: int) -> TrainingSettings:
    rule, looks = settings.optimisation, settings.validation

    def steps(epochs: int) -> int:
        return -(-epochs * pages // (rule.batch * processes))

    if rule.epochs is not None:
        rule = rule.model_copy(update={"steps": steps(rule.epochs), "epochs": None})
    if looks.epochs is not None:
        looks = looks.model_copy(update={"interval": steps(looks.epochs), "epochs": None})
    return settings.model_copy(update={"optimisation": rule, "validation": looks})
