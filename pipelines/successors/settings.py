"""What is trained: networks, recipes, data sets, budgets, seeds; and the settings of each training."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from pydantic import Field

from pipelines.on_device.sets import label_settings
from unet2015.settings import (
    NETWORK_KINDS,
    PUBLISHED,
    Frozen,
    TrainingSettings,
    load_settings,
    merged,
    parse_settings,
)

Recipe = Literal["own", "common"]
Until = Literal["time", "steps"]

TRIALS: tuple[tuple[Recipe, Until], ...] = (("own", "time"), ("common", "time"), ("common", "steps"))
"""How each network is trained: its published recipe and the common one for as many CPU seconds, and the
common one for as many steps."""


class Networks(Frozen):
    """What is compared, on what."""

    sets: tuple[str, ...] = Field(min_length=1)
    """Data sets, by the names of :func:`pipelines.on_device.sets.find_split`."""
    networks: dict[str, dict[str, Any]] = Field(min_length=1)
    """By kind, what differs from the network's own settings: widths that make trainings short."""
    common: str = "quick"
    """The recipe that all are trained with as well: shipped settings by name."""
    cropped_tile: int = Field(ge=1)
    """Side of the common recipe's tiles for networks that lose a margin in training."""
    whole_tile: int = Field(ge=1)
    """The same for those that lose none."""
    steps: int = Field(ge=1)
    """Of the trainings of equal steps."""
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    """A training for each."""


class SuccessorSettings(Networks):
    """The comparison on a processor."""

    own: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """By kind, training settings that differ from its published recipe."""
    cpu_seconds: float = Field(gt=0)
    """What a training of equal cost may take, without reading the data."""
    looks: int = Field(5, ge=1)
    """Validations of a training, on a tenth of the pages that it may train on; none is ever measured."""


class DeviceComparison(Networks):
    """The comparison on a GPU."""

    gpu_seconds: float = Field(gt=0)
    """What a training of equal cost may take of the card, were it alone there."""
    ways: tuple[Until, ...] = ("time", "steps")
    """For equal time of the card, for equal steps, or for both."""
    longest: int = Field(6000, ge=50)
    """Most steps of a training."""


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes
    ----------
    data : str
        The data set.
    network : str
        Kind.
    recipe, until : str
        See `TRIALS`.
    seed : int
        Of all draws.
    """

    data: str
    network: str
    recipe: Recipe
    until: Until
    seed: int

    @property
    def name(self) -> str:
        """Folder of its files, and the end of its stages' names."""
        return f"{self.data}-{self.network}-{self.recipe}-{self.until}-{self.seed}"


def trials(chosen: Networks, ways: Sequence[tuple[Recipe, Until]] = TRIALS) -> list[Trial]:
    """Return all trainings; the first seed of everything first, so that a stop leaves whole tables."""
    every = product(chosen.seeds, chosen.sets, ways, chosen.networks)
    return [Trial(data, network, recipe, until, seed) for seed, data, (recipe, until), network in every]


def training_settings(chosen: SuccessorSettings, trial: Trial, steps: int) -> TrainingSettings:
    """Return the settings of a training of so many steps in all.

    The recipe keeps its optimizer, rate, schedule, loss, batch, tile and changes of tiles. Its length is
    `steps`, shared among its phases as they share the published one. Nothing ends it early.
    """
    kind = trial.network
    if trial.recipe == "own":
        name = kind if kind in PUBLISHED else "ronneberger2015"
        changes = merged(_changes(chosen, trial), chosen.own.get(kind, {}))
        return _of_length(load_settings(name, changes), steps, chosen.looks)
    return _of_length(common_settings(chosen, trial), steps, chosen.looks)


def common_settings(chosen: Networks, trial: Trial) -> TrainingSettings:
    """Return the settings of a network with the common recipe, of its length."""
    from unet2015 import networks

    changes, kind = _changes(chosen, trial), NETWORK_KINDS[trial.network]
    parsed = parse_settings(kind, changes["network"], "successors")
    cropped = networks.architecture(parsed).training_geometry(parsed).margin > 0
    changes["optimisation"]["tile"] = chosen.cropped_tile if cropped else chosen.whole_tile
    if kind.needs_unit_range:
        changes["mapping"] = {"method": "integer-range"}
    return load_settings(chosen.common, changes)


def _changes(chosen: Networks, trial: Trial) -> dict[str, Any]:
    return {
        "seed": trial.seed,
        "network": {"kind": trial.network} | chosen.networks[trial.network],
        "labels": label_settings(trial.data.partition("-")[0]),
        "optimisation": {"precision": "float32"},
    }


def _of_length(settings: TrainingSettings, steps: int, looks: int) -> TrainingSettings:
    values = settings.model_dump(mode="json")
    phases = values.get("phase", [])
    whole = sum(phase.get("epochs") or phase["steps"] for phase in phases)
    for phase in phases:
        share = (phase.pop("epochs", None) or phase["steps"]) / whole
        phase |= {"steps": max(1, round(steps * share)), "patience": 0, "at_least": 0}
    values["optimisation"].pop("epochs", None)
    values["optimisation"]["steps"] = steps
    values["validation"].pop("epochs", None)
    # A plateau is seen in looks, so it takes more of them.
    plateau = values["optimisation"]["schedule"] == "plateau"
    interval = max(1, steps // (4 * looks if plateau else looks))
    values["validation"] |= {
        "fraction": 0.1,
        "interval": interval,
        "patience": 0,
        "at_least": 0,
        "attempts": 1,
    }
    values["checkpoint_interval"] = max(1, steps // 4)
    return parse_settings(TrainingSettings, values, "successors")
