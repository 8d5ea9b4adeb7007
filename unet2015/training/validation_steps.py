"""After which steps the held-out pages are segmented."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from unet2015.settings import TrainingSettings

RULES = "validations"
"""Key, in the first line of a log, of the rules by which its phases validate."""
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


def rules_of(parts: Sequence[TrainingSettings]) -> list[dict[str, int]]:
    """Return for each phase after how many of its steps the held-out pages are segmented, for the log."""
    rules = [{"every": part.validation.interval, "last": part.optimisation.steps} for part in parts]
    return [{"first": first_validation(parts[0])} | rules[0], *rules[1:]]


def expected_validations(lines: Sequence[Mapping[str, Any]], step: int) -> list[int]:
    """Return the steps up to `step` after which lines of a log must have a validation, by its first line.

    Logs without a first line, and those of earlier versions, do not say it.
    """
    rules: object = next((line[RULES] for line in lines if RULES in line), None)
    if not isinstance(rules, list) or not all(_is_rule(rule) for rule in rules):
        return []
    begins = [line["step"] for line in lines if "phase" in line and 0 < line["step"] <= step]
    found = list[int]()
    for rule, (begun, end) in zip(rules, pairwise([0, *begins, step]), strict=False):
        every, most = rule["every"], min(end - begun, rule["last"])
        steps = {*range(every, most + 1, every), rule.get("first", rule["last"]), rule["last"]}
        found += sorted(begun + one for one in steps if one <= most)
    return found


def _is_rule(rule: object) -> bool:
    return (
        isinstance(rule, dict)
        and rule.keys() >= {"every", "last"}
        and all(isinstance(value, int) and value > 0 for value in rule.values())
    )
