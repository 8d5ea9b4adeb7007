"""Every setting of an experiment in one TOML file: what is trained, on which parts, and what is compared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from unet2015.errors import SettingsError
from unet2015.settings import Frozen, TrainingSettings, load_settings, merged, parse_settings, read_toml

FOLDER = Path(__file__).parents[1]
"""Where the settings files lie that are shipped."""
Changes = dict[str, Any]
"""Training settings that differ from the paper's (`unet2015/settings/ronneberger2015.toml`)."""


class ExperimentSettings(Frozen):
    """What the settings of every experiment have in common."""

    def trainings(self) -> list[tuple[Changes, ...]]:
        """Return what each training changes, the experiment's own first; later parts win over earlier."""
        raise NotImplementedError


S = TypeVar("S", bound=ExperimentSettings)


def load_experiment(kind: type[S], path: Path) -> S:
    """Read the settings of an experiment from a TOML file.

    Raises
    ------
    SettingsError
        It cannot be read, or a key or value is not allowed.
    """
    settings = parse_settings(kind, read_toml(path, str(path)), str(path))
    for changes in settings.trainings():
        training_settings(path, *changes)
    return settings


def training_settings(path: Path, *changes: Changes) -> TrainingSettings:
    """Return the paper's settings with changes, later ones last; `path` is for messages.

    Nothing that is trained on is held out from it: what is measured lies in other files.

    Raises
    ------
    SettingsError
        A key or value is not allowed, or pages are to be held out.
    """
    values: dict[str, Any] = {}
    for part in (*changes, {"validation": {"fraction": 0.0}}):
        values = merged(values, part)
    if values["validation"].get("pages") is not None:
        raise SettingsError(f"{path}, training: validation.pages has no place in an experiment; leave it out")
    try:
        return load_settings(None, values)
    except SettingsError as error:
        raise SettingsError(f"{path}, training: {error}") from error


def all_different(values: Sequence[str]) -> Sequence[str]:
    """Return values; raise a ValueError where one is there twice."""
    if len(set(values)) < len(values):
        raise ValueError("one of them is there twice")
    return values
