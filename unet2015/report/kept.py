"""The validation of the model that a training kept: what its own record says, beside what the log says."""

from typing import Any

from unet2015.models.model_file import Model
from unet2015.training.log import is_whole
from unet2015.training.validation import Validation

_PREFIX = "validation_"
_SAME = ("step", f"{_PREFIX}f1", f"{_PREFIX}cross_entropy", f"{_PREFIX}threshold")


def kept(checks: list[dict[str, Any]], model: Model | None) -> dict[str, Any]:
    """Return the validation of the model as a line of the log: that of its record, if it has one.

    Otherwise it is chosen from those of the log, `checks`, in the same way as by the training.
    """
    return _recorded(model) or _best(checks, model)


def other_model(checks: list[dict[str, Any]], model: Model | None) -> str:
    """Return that the model is not the best one of the log; empty where it is, or where that is not known."""
    own = _recorded(model)
    if own is None or not checks:
        return ""
    said = (
        f"model.safetensors is not the best model of this log: by its own record it is of step {own['step']}"
    )
    words = f"{said}, with {_validation(own).describe()}"
    if not any(all(line.get(key) == own.get(key) for key in _SAME) for line in checks):
        return f"{words}, and the log has no such validation. What is said of the model is from its record."
    best = _best(checks, model)
    better = _validation(best)
    if better.better_than(_validation(own), _rule(model)) and best["step"] > own["step"]:
        return f"{words}, and the log has a better one of step {best['step']}, with {better.describe()}."
    return ""


def _recorded(model: Model | None) -> dict[str, Any] | None:
    record: dict[str, Any] = {} if model is None else model.info.training
    figures = record.get("validation")
    if not isinstance(figures, dict):
        return None
    line = {"step": record.get("step"), **{f"{_PREFIX}{key}": value for key, value in figures.items()}}
    return line if f"{_PREFIX}f1" in line and is_whole(line) else None


def _rule(model: Model | None) -> Any:
    settings: Any = {} if model is None else model.info.training.get("settings", {})
    return settings.get("validation", {}).get("best", "f1")


def _best(checks: list[dict[str, Any]], model: Model | None) -> dict[str, Any]:
    best, rule = checks[0], _rule(model)
    for line in checks[1:]:
        if _validation(line).better_than(_validation(best), rule):
            best = line
    return best


def _validation(line: dict[str, Any]) -> Validation:
    return Validation.from_dict(
        {key.removeprefix(_PREFIX): value for key, value in line.items() if key.startswith(_PREFIX)}
    )
