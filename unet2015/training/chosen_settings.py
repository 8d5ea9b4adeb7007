"""The settings of a training: those that are named, or those that fit the device."""

import logging
from pathlib import Path
from typing import Any

import torch

from unet2015.settings import TrainingSettings, load_settings

_log = logging.getLogger("unet2015")


def choose_settings(
    settings: str | Path | None, device: torch.device, overrides: dict[str, Any] | None = None
) -> TrainingSettings:
    """Read settings by name or from a file. Default: those for the device.

    Raises
    ------
    SettingsError
        As `unet2015.settings.load_settings`.
    """
    if settings is None:
        settings = "quick" if device.type == "cpu" else "ronneberger2015"
        _log.info("settings: %s, as none are named and this trains on %s", settings, device)
    return load_settings(settings, overrides)
