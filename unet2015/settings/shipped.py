"""Training settings from a file, or by the name of a file that comes with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from unet2015.arguments import file_path
from unet2015.errors import ArgumentError, SettingsError
from unet2015.settings.lengths import STEPS_OR_EPOCHS
from unet2015.settings.names import nearest
from unet2015.settings.network import kind_of_network
from unet2015.settings.reading import parse_settings, read_toml
from unet2015.settings.sections import TrainingSettings

SHIPPED = ("ronneberger2015", "quick", "gpu")
"""Names of the settings files for the paper's network that come with the package."""
PUBLISHED = ("padded", "vgg19", "base", "compact", "nested", "attention", "vnet")
"""Names of the others: for each network that came after the paper's, by its kind, its published recipe."""


def load_settings(
    path: str | Path | None = None, overrides: dict[str, Any] | None = None
) -> TrainingSettings:
    """Read training settings from a TOML file.

    Parameters
    ----------
    path : str, Path or None
        The file, or the bare name of one shipped with the package: ``ronneberger2015`` (the same as
        None), ``quick`` or ``gpu``, or the kind of another network for its published recipe. A file of that
        name in the current folder takes precedence. From the settings of an experiment under
        ``pipelines/``, the table ``training`` is used.
    overrides : dict, optional
        Values that replace those of the file, nested in the same way: ``{"labels": {"kind": "membrane"}}``.

    Returns
    -------
    TrainingSettings
        Frozen; `unet2015.train` takes them as `settings`.

    Raises
    ------
    SettingsError
        The file cannot be read, is not TOML, or has a key or value that is not allowed; or no shipped
        settings have the name.
    """
    path = None if path is None else file_path(path, "settings")
    if overrides is not None and not isinstance(overrides, dict):
        raise ArgumentError(f"overrides: expected a dict of settings, got {type(overrides).__name__}")
    short = SHIPPED[0] if path is None else str(path).removesuffix(".toml")
    if path is None or is_shipped(path):
        name = f"{short}.toml"
        values = read_toml(files("unet2015.settings") / name, name)
    elif Path(path).name == str(path) and short == Path(path).stem and not Path(path).exists():
        raise SettingsError(
            f"{path}: there is no settings file of this name, and none is shipped; "
            f"{nearest(short, (*SHIPPED, *PUBLISHED))}"
        )
    else:
        name = str(path)
        values = _training_part(read_toml(Path(path), name))
        _check_one_of_both(values, name)
    given = _without_empty(overrides or {})
    _check_one_of_both(given, "the options given")
    if given:
        name += " and the options given"
    return parse_settings(TrainingSettings, _overridden(values, given), name)


def is_shipped(path: str | Path | None) -> bool:
    """Whether `load_settings` takes this for the settings that come with the package."""
    return path is None or (
        str(path).removesuffix(".toml") in (*SHIPPED, *PUBLISHED) and not Path(path).is_file()
    )


def _check_one_of_both(values: dict[str, Any], name: str) -> None:
    """Refuse a number of steps and of epochs side by side, of which only the second would count."""
    for section, key, what in STEPS_OR_EPOCHS:
        said = values.get(section)
        if isinstance(said, dict) and said.get(key) is not None and said.get("epochs") is not None:
            raise SettingsError(
                f"{name}: {section}.{key} = {said[key]} and {section}.epochs = {said['epochs']} both say "
                f"{what}; give one of both"
            )


def _without_empty(overrides: dict[str, Any]) -> dict[str, Any]:
    """Leave out empty sections: errors must not name them, and they must not replace a wrong value."""
    pruned = {
        key: _without_empty(value) if isinstance(value, dict) else value for key, value in overrides.items()
    }
    return {key: value for key, value in pruned.items() if value != {}}


def _training_part(values: dict[str, Any]) -> dict[str, Any]:
    """Return the training settings from those of an experiment; other settings do not change."""
    part = values.get("training")
    return part if isinstance(part, dict) and not values.keys() & TrainingSettings.model_fields else values


def merged(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return nested settings in which `overrides` take precedence."""
    both = dict(values)
    for key, value in overrides.items():
        below = both.get(key)
        both[key] = merged(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return both


def _overridden(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return settings in which `overrides` take precedence; a network of another kind is replaced whole."""
    before, after = values.get("network", {}), overrides.get("network")
    if isinstance(after, dict) and "kind" in after and kind_of_network(after) != kind_of_network(before):
        values = values | {"network": {}}
    given, phases = overrides.get("optimisation", {}), values.get("phase")
    for section, key, _ in STEPS_OR_EPOCHS:
        said = overrides.get(section)
        if isinstance(said, dict) and said.get(key) is not None and said.get("epochs") is None:
            overrides = merged({section: {"epochs": None}}, overrides)  # of a file that counts epochs
    if isinstance(given, dict) and isinstance(phases, list):
        own = {key for phase in phases if isinstance(phase, dict) for key in phase} | {"steps", "epochs"}
        if clash := sorted(key for key, value in given.items() if key in own and value is not None):
            raise SettingsError(
                f"{clash[0]}: these settings have phases, each with its own; change it in a file of your own"
            )
    return merged(values, overrides)
