"""What :mod:`pipelines.one_gpu` left in a folder: notes of the run, and the maps of each training."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.on_device.sets import Arrays, PackedSplit, find_split, load
from unet2015.errors import DataSetError
from unet2015.settings import TrainingSettings


@dataclass(frozen=True)
class Maps:
    """The maps of one training and what they are maps of.

    Attributes
    ----------
    name : str
        Of the training.
    split : PackedSplit
        What it is trained on and measured on.
    silver : bool
        Whether silver truth was trained on too.
    seed : int
        What the trainings of one kind differ in.
    test : dict of str to ndarray, shape (pages, height, width), float32
        By way of averaging, the probability of class 1, 0 to 1.
    train : ndarray of the same kind, or None
        Of the training pages.
    """

    name: str
    split: PackedSplit
    silver: bool
    seed: int
    test: dict[str, NDArray[np.float32]]
    train: NDArray[np.float32] | None

    @property
    def kind(self) -> str:
        """What the training is called beside its split and seed: ``base`` of ``dic-02-base-1``."""
        return kind_of(self.name, self.split.name, self.seed)

    def has_gold_of(self, other: "Maps") -> bool:
        """Return whether `other` is the same training on gold truth alone: it chooses for this one."""
        same = other.split == self.split and other.seed == self.seed
        return same and not other.silver and other.kind == gold_kind(self.kind)


def kind_of(name: str, split: str, seed: int) -> str:
    """Return what a training is called beside its split and seed."""
    return name.removeprefix(split).removesuffix(f"-{seed}").strip("-")


def gold_kind(kind: str) -> str:
    """Return the kind of the same training on gold truth alone: ``base`` of ``base-silver``."""
    return kind.removesuffix("silver").strip("-")


def seed_in(notes: Mapping[str, Any], name: str) -> int:
    """Return the seed of a training: its own, that of the run, or that of all settings."""
    settings = notes["settings"]
    seed = settings["trainings"][name].get("settings", {}).get("seed", settings.get("base", {}).get("seed"))
    return int(TrainingSettings.model_fields["seed"].default if seed is None else seed)


def check_seeds(folders: Sequence[Path]) -> None:
    """See that several runs, and the trainings in each, are told apart by their seeds.

    Raises
    ------
    DataSetError
        They are not, or what a run noted of itself is missing or something else.
    """
    seen: dict[tuple[str, str, int], tuple[Path, str]] = {}
    for folder in folders:
        notes, slices = read_notes(folder), dict[str, str]()
        for name, training in notes["settings"]["trainings"].items():
            split, seed = training["split"], seed_in(notes, name)
            if split.startswith("em-") and slices.setdefault(split, name) != name:
                raise DataSetError(
                    f"{folder}: {slices[split]} and {name} hold out the same slices; train each seed in a "
                    "folder of its own (pipelines.one_gpu --seed), and give all of them to --maps"
                )
            other, same = seen.setdefault((split, kind_of(name, split, seed), seed), (folder, name))
            if other != folder:
                raise DataSetError(
                    f"{folder}: {name} has seed {seed}, as {same} of {other}; give each seed once"
                )


def read_notes(folder: Path) -> dict[str, Any]:
    """Return what the run noted of itself.

    Raises
    ------
    DataSetError
        There is none, or it is something else.
    """
    path = folder / "one_gpu.json"
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
        trainings = notes["settings"]["trainings"]
        splits = [training["split"] for training in trainings.values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataSetError(
            f"{path}: expected the notes of pipelines.one_gpu: {type(error).__name__}: {error}"
        ) from error
    if not splits:
        raise DataSetError(f"{path}: no training is noted there")
    assert isinstance(notes, dict)
    return notes


def read_maps(path: Path, arrays: Arrays, notes: Mapping[str, Any]) -> tuple[Maps, NDArray[np.float32]]:
    """Return the maps of one training, and its losses; `notes` are those of the run.

    Raises
    ------
    DataSetError
        They cannot be read, or are maps of other pages than those packed.
    """
    training = notes["settings"]["trainings"][path.stem]
    split, found = find_split(arrays, training["split"]), load(path, "pipelines.one_gpu")
    maps: dict[str, dict[str, NDArray[np.float32]]] = {"test": {}, "train": {}}
    for key, values in found.items():
        which, _, average = key.partition("/")
        if which not in maps:
            continue
        prefix, pages = getattr(split, which)
        expected = (len(pages), *arrays[f"{prefix}/images"].shape[1:])
        if values.shape != expected or values.dtype != np.uint8:
            raise DataSetError(
                f"{path}, {key}: expected maps of the pages packed, {expected} uint8, got {values.shape} "
                f"{values.dtype}; give the packed file that was trained on"
            )
        maps[which][average] = values.astype(np.float32) / np.float32(255)
    train = next(iter(maps["train"].values()), None)
    losses = found.get("losses", np.zeros(0, np.float32))
    silver, seed = bool(training.get("silver", False)), seed_in(notes, path.stem)
    return Maps(path.stem, split, silver, seed, maps["test"], train), losses
