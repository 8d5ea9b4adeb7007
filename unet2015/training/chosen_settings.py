"""The settings of a training: those that are named, or those that fit the device."""

import logging
from pathlib import Path
from typing import Any

import torch

from unet2015.settings import TrainingSettings, load_settings
from unet2015.settings.reading import checked_again
from unet2015.settings.shipped import PUBLISHED, is_shipped
from unet2015.training.start import Start, refuse_conflicts, take_over

_log = logging.getLogger("unet2015")


def settings_of(
    given: TrainingSettings | str | Path | None, device: torch.device, start: Start | None
) -> TrainingSettings:
    """Return settings that are given, checked again, or those of `choose_settings`.

    Raises
    ------
    SettingsError
        As `choose_settings`.
    """
    if not isinstance(given, TrainingSettings):
        return choose_settings(given, device, start=start)
    chosen = checked_again(given, "settings")
    return take_over(start, chosen) if start else chosen


def choose_settings(
    settings: str | Path | None,
    device: torch.device,
    overrides: dict[str, Any] | None = None,
    start: Start | None = None,
) -> TrainingSettings:
    """Read settings by name or from a file.

    Default: those of the network that `overrides` name, if its own are shipped, else those for the device.

    Network, mapping and number of classes are those of `start`, if there is one. What a file of one's own or
    `overrides` say of them must agree; what shipped settings say is replaced.

    Raises
    ------
    SettingsError
        As `unet2015.settings.load_settings`; or they do not fit to the model to start from.
    """
    if settings is None:
        kind = (overrides or {}).get("network", {}).get("kind")
        if kind in PUBLISHED:
            settings = str(kind)
            _log.info("settings: %s, as none are named and this is the published recipe of the network", kind)
        else:
            settings = "quick" if device.type == "cpu" else "ronneberger2015"
            _log.info("settings: %s, as none are named and this trains on %s", settings, device)
    return settings_with(start, settings, overrides)


def settings_with(
    start: Start | None, settings: str | Path | None, overrides: dict[str, Any] | None = None
) -> TrainingSettings:
    """Return the settings of a name or file, the default ones for None, with what comes from a start.

    Raises
    ------
    SettingsError
        As `choose_settings`.
    """
    chosen = load_settings(settings, overrides)
    if start is None:
        return chosen
    own = settings is not None and not is_shipped(settings)
    refuse_conflicts(start, _given(chosen, overrides or {}, own))
    written = chosen.labels.model_fields_set if own else (overrides or {}).get("labels", {})
    return take_over(start, chosen, "classes" in written)


def _given(chosen: TrainingSettings, overrides: dict[str, Any], own: bool) -> dict[str, dict[str, Any]]:
    """Return what somebody wrote down of network and mapping."""
    given: dict[str, dict[str, Any]] = {}
    for name in ("network", "mapping"):
        section = getattr(chosen, name)
        known = section.model_fields_set if own else overrides.get(name, {}).keys()
        in_order = sorted(known, key=lambda key: (key != "kind", key))  # the kind decides on the others
        given[name] = {key: getattr(section, key) for key in in_order}
    return given
