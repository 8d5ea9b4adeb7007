"""What a run of :mod:`pipelines.one_gpu` is to do: settings, sets and time, checked before all else."""

import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from pipelines.on_device.sets import (
    Arrays,
    PackedSets,
    PackedSplit,
    array_of,
    find_split,
    label_settings,
    mapped,
)
from unet2015.errors import SettingsError, UNet2015Error
from unet2015.settings import TrainingSettings, load_settings, merged, read_toml
from unet2015.settings.choices import Averaging
from unet2015.training.deform import DevicePages

RESERVED = 0.12
"""Share of the time that is kept for maps, models and times."""


class OutOfTimeError(UNet2015Error):
    """The time does not suffice for a stage; the same command goes on."""


class Clock:
    """The seconds that are left."""

    def __init__(self, seconds: float) -> None:
        self.started, self.seconds = time.monotonic(), seconds

    @property
    def gone(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def left(self) -> float:
        """Seconds to the end."""
        return self.seconds - self.gone

    def check(self, share: float = 0.0) -> None:
        """Raise `OutOfTimeError` where no more is left than a share of the whole time."""
        if self.left <= share * self.seconds:
            raise OutOfTimeError(f"no time is left of {self.seconds:g} s")


class Plan:
    """The values of a settings file and the packed sets that they speak of.

    Parameters
    ----------
    arrays : dict
        The packed sets.
    path : Path
        The settings file.
    seed : int, optional
        Of the trainings whose own settings give none; that of the file otherwise.

    Raises
    ------
    SettingsError
        It cannot be read, lacks a table, or a key or value is not allowed.
    DataSetError
        A split does not exist, or the packed file lacks what it needs.
    """

    def __init__(self, arrays: Arrays, path: Path, seed: int | None = None) -> None:
        self.arrays, self.path, self.given = arrays, path, read_toml(path, str(path))
        self._sets = PackedSets(arrays)
        for table in ("base", "recipes", "trial", "trainings"):
            if not isinstance(self.given.get(table), dict) or not self.given[table]:
                raise SettingsError(f"{path}: expected a table [{table}], found none")
        if seed is not None:
            self.given["base"] = merged(self.given["base"], {"seed": seed})
        self.recipes: dict[str, dict[str, Any]] = self.given["recipes"]
        self.trainings: dict[str, dict[str, Any]] = self.given["trainings"]
        self.longest: int = self.given.get("longest", 60_000)
        self.shortest: int = self.given.get("shortest", 200)
        self.timed: int = self.given.get("timed", 32)
        self.trial_steps: int = self.given["trial"].get("steps", 300)
        self.trials: list[str] = self.given["trial"].get("on", list(self.trainings)[:1])
        for name in self.trials:
            self._known(name, self.trainings, "trial.on", "trainings")
        for name in self.trainings:
            self._check(name)

    def _known(self, name: str, table: dict[str, Any], key: str, title: str) -> None:
        if name not in table:
            raise SettingsError(f"{self.path}: {key} is {name!r}, which is none of the {title} {list(table)}")

    def _check(self, name: str) -> None:
        training, where = self.trainings[name], f"trainings.{name}"
        if "split" not in training:
            raise SettingsError(f"{self.path}: {where} lacks its split, such as em-0 or dic-01")
        split = self.split(name)
        if training.get("silver", False):
            array_of(self.arrays, f"{split.train[0]}/silver-images")
            array_of(self.arrays, f"{split.train[0]}/silver-labels")
        if "recipe" in training:
            self._known(training["recipe"], self.recipes, f"{where}.recipe", "recipes")
        for average in self.averages(name):
            self._known(average, dict.fromkeys(get_args(Averaging)), f"{where}.averages", "ways")
        for recipe in self.recipes.values():
            for steps in (self.shortest, self.trial_steps):
                self.settings(name, recipe, steps)

    def split(self, name: str) -> PackedSplit:
        """Return what a training is trained and measured on."""
        return find_split(self.arrays, self.trainings[name]["split"])

    def averages(self, name: str) -> list[Averaging]:
        """Return the ways in which the maps of a training are made."""
        averages: list[Averaging] = self.trainings[name].get("averages", ["none"])
        return averages

    def settings(self, name: str, recipe: dict[str, Any], steps: int | None = None) -> TrainingSettings:
        """Return the settings of a training under a recipe."""
        values = merged(merged(self.given["base"], recipe), self.trainings[name].get("settings", {}))
        values = merged(values, {"labels": label_settings(self.split(name).kind)})
        if steps is not None:
            values = merged(values, {"optimisation": {"steps": steps}})
        try:
            return load_settings(None, values)
        except SettingsError as error:
            raise SettingsError(f"{self.path}, trainings.{name}: {error}") from error

    def pages(self, name: str, settings: TrainingSettings) -> DevicePages:
        """Return what a training is trained on; made once for all that are trained on the same."""
        return self._sets.training(self.split(name), settings, self.trainings[name].get("silver", False))

    def maps_of(self, name: str, settings: TrainingSettings) -> dict[str, list[NDArray[np.float32]]]:
        """Return the mapped images whose maps are wanted: ``test`` and, unless switched off, ``train``."""
        split, found = self.split(name), {}
        for which, (prefix, pages) in (("test", split.test), ("train", split.train)):
            if pages and (which == "test" or self.trainings[name].get("train_maps", True)):
                found[which] = list(mapped(self.arrays[f"{prefix}/images"][pages], settings))
        return found
