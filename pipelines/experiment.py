"""Every setting of an experiment in one TOML file: what is trained, on which parts, and what is compared."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, field_validator

from unet2015.errors import SettingsError
from unet2015.settings import Frozen, TrainingSettings, load_settings, merged, parse_settings, read_toml
from unet2015.tiling.averaging import Averaging

FOLDS = 5
"""Folds of the cross-validation over the EM slices."""


def _different(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise ValueError("one of them is there twice")
    return values


class AblationSettings(Frozen):
    """What a choice that the paper leaves open costs: one training a row, alike but for that choice."""

    fold: int = Field(4, ge=0, lt=FOLDS)
    """Whose held-out slices are measured."""
    base: dict[str, Any] = Field(default_factory=dict)
    """Training settings that all rows share and that differ from the experiment's; fewer steps."""
    rows: dict[str, dict[str, Any]] = Field(min_length=1)
    """By title, the training settings that make the row."""
    tiling: bool = True
    """Compare mirrored with zero-filled borders, and a stride of 384 with 388, too."""


class EMExperiment(Frozen):
    """The experiment of the paper's Table 1."""

    folds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Folds to hold out, each of 6 consecutive slices: fold k is slices 6 k to 6 k + 5."""
    averages: tuple[Averaging, ...] = Field(("none", "rotations"), min_length=1)
    """Ways to segment, each a row of the table; the last one's is in the pictures."""
    ship: str | None = Field(None, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    """Name under which the model of all slices is written as one to ship: half precision, described."""
    chosen_on: str = ""
    """What settings were tried on, in words for the report; empty where none was tried."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Training settings that differ from the paper's (`unet2015/settings/ronneberger2015.toml`)."""
    ablation: AblationSettings | None = None
    """Left out where absent."""

    @field_validator("folds")
    @classmethod
    def _known(cls, folds: tuple[int, ...]) -> tuple[int, ...]:
        if not folds or len(set(folds)) < len(folds) or not set(folds) <= set(range(FOLDS)):
            raise ValueError(f"folds are different numbers from 0 to {FOLDS - 1}")
        return folds

    _different = field_validator("averages")(lambda values: _different(values))


class CellTrackingExperiment(Frozen):
    """The experiment of the paper's Table 2."""

    data_sets: tuple[str, ...] = Field(("PhC-C2DH-U373", "DIC-C2DH-HeLa"), min_length=1)
    """Folders of the Cell Tracking Challenge; one that is not there is an error."""
    silver: bool = False
    """Train on frames with silver truth, too (made by the challenge's best methods; the paper had none)."""
    first: float = Field(0.6, gt=0, lt=1)
    """Where there is a single sequence: the share of its gold frames, the first in time, to train on."""
    _different = field_validator("data_sets")(lambda values: _different(values))
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
    chosen_on: str = ""
    """What settings were tried on, in words for the report; empty where none was tried."""
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
    experiment = parse_settings(kind, read_toml(path, str(path)), str(path))
    training_settings(experiment.training, path)
    if isinstance(experiment, EMExperiment) and experiment.ablation:
        for row in experiment.ablation.rows.values():
            training_settings(experiment.training, path, experiment.ablation.base, row)
    return experiment


def training_settings(changes: dict[str, Any], path: Path, *more: dict[str, Any]) -> TrainingSettings:
    """Return the paper's settings with an experiment's changes, later ones last; `path` is for messages.

    Nothing that is trained on is held out from it: what is measured lies in other files.
    """
    values: dict[str, Any] = {}
    for part in (changes, *more, {"validation": {"fraction": 0.0}}):
        values = merged(values, part)
    if values["validation"].get("pages") is not None:
        raise SettingsError(f"{path}, training: validation.pages has no place in an experiment; remove it")
    try:
        return load_settings(None, values)
    except SettingsError as error:
        raise SettingsError(f"{path}, training: {error}") from error
