"""The length of a training, in steps or in epochs: only one of both counts."""

from typing import Any

from unet2015.settings.recipe import OptimisationSettings

STEPS_OR_EPOCHS = (
    ("optimisation", "steps", "how long to train"),
    ("validation", "interval", "how often to look at the held-out pages"),
)
"""A section, its key in steps beside ``epochs``, and what both say."""
_DEFAULT = OptimisationSettings.model_fields["steps"].default


def that_count(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings as they are written: with epochs or phases, without steps that do not count."""
    shown = dict(settings)
    for section, key, _ in STEPS_OR_EPOCHS:
        said = settings.get(section)
        if not isinstance(said, dict):
            continue
        # Beside phases, each with a length of its own, the default is what nobody has given.
        of_phases = bool(settings.get("phase")) and section == "optimisation" and said.get(key) == _DEFAULT
        if said.get("epochs") is not None or of_phases:
            shown[section] = {name: value for name, value in said.items() if name != key}
    return shown
