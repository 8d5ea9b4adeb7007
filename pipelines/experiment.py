"""Every setting of an experiment in one TOML file: what is trained, on which parts, and what is compared."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, field_validator

from unet2015.errors import SettingsError
from unet2015.settings import Frozen, TrainingSettings, load_settings, parse_settings
from unet2015.tiling.averaging import Averaging

FOLDS = 5
"""Folds of the cross-validation over the EM slices."""


class AblationSettings(Frozen):
    """What a choice that the paper leaves open costs: one training a row, alike but for that choice."""

    fold: int = Field(4, ge=0, lt=FOLDS)
    """Whose held-out slices are measured."""
    base: dict[str, Any] = Field(default_factory=dict)
    """Training settings that all rows share and that differ from the experiment's; fewer steps."""
    rows: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """By title, the training settings that make the row."""
    tiling: bool = True
    """Compare mirrored with zero-filled borders, and a stride of 384 with 388, too."""


class EMExperiment(Frozen):
    """The experiment of the paper's Table 1."""

    folds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Folds to hold out, each of 6 consecutive slices: fold k is slices 6 k to 6 k + 5."""
    averages: tuple[Averaging, ...] = ("none", "rotations")
    """Ways to segment, each a row of the table; the last one's is in the pictures."""
    ship: str | None = None
    """Name under which the model of all slices is written as one to ship: half precision, described."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Training settings that differ from the paper's (`unet2015/ronneberger2015.toml`)."""
    ablation: AblationSettings | None = None
    """Left out where absent."""

    @field_validator("folds")
    @classmethod
    def _known(cls, folds: tuple[int, ...]) -> tuple[int, ...]:
        if not folds or len(set(folds)) < len(folds) or not set(folds) <= set(range(FOLDS)):
            raise ValueError(f"folds are different numbers from 0 to {FOLDS - 1}")
        return folds


class CellTrackingExperiment(Frozen):
    """The experiment of the paper's Table 2."""

    data_sets: tuple[str, ...] = ("PhC-C2DH-U373", "DIC-C2DH-HeLa")
    """Folders of the Cell Tracking Challenge; one that is not there is an error."""
    silver: bool = False
    """Train on frames with silver truth, too (made by the challenge's best methods; the paper had none)."""
    first: float = Field(0.6, gt=0, lt=1)
    """Where there is a single sequence: the share of its gold frames, the first in time, to train on."""
    average: Averaging = "flips"
    """How frames are segmented; the release averages four flips."""
    connectivity: int = Field(1, ge=1, le=2)
    """Of objects: neighbours that share an edge (1), or a corner too (2); see `label_objects`."""
    fill_holes: bool = True
    """Whether an object's holes become part of it."""
    smallest: int = Field(0, ge=0)
    """Area in pixels below which an object is left out; to SEG an invented object costs nothing."""
    frame: int = Field(50, ge=0)
    """Objects wholly within so many pixels of the border are left out, as by the release."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Training settings that differ from the paper's."""


E = TypeVar("E", EMExperiment, CellTrackingExperiment)


def load_experiment(kind: type[E], path: Path) -> E:
    """Read an experiment from a TOML file.

    Raises
    ------
    SettingsError
        It cannot be read, or a key or value is not allowed.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot read the settings: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not a TOML file: {error}") from error
    experiment = parse_settings(kind, values, str(path))
    training_settings(experiment.training, path)
    return experiment


def training_settings(changes: dict[str, Any], path: Path, *more: dict[str, Any]) -> TrainingSettings:
    """Return the paper's settings with an experiment's changes, later ones last; `path` is for messages."""
    merged: dict[str, Any] = {}
    for part in (changes, *more):
        merged = merge(merged, part)
    try:
        return load_settings(None, merged)
    except SettingsError as error:
        raise SettingsError(f"{path}, training: {error}") from error


def merge(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return nested settings with changes; the changes win."""
    merged = dict(values)
    for key, value in changes.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return merged
