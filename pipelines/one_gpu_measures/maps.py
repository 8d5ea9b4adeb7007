"""What :mod:`pipelines.one_gpu` left in a folder: notes of the run, and the maps of each training."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.on_device.sets import Arrays, PackedSplit, find_split, load
from unet2015.errors import DataSetError


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
    seed : int or None
        What the trainings of one kind differ in; None where the settings of this one give none.
    test : dict of str to ndarray, shape (pages, height, width), float32
        By way of averaging, the probability of class 1, 0 to 1.
    train : ndarray of the same kind, or None
        Of the training pages.
    """

    name: str
    split: PackedSplit
    silver: bool
    seed: int | None
    test: dict[str, NDArray[np.float32]]
    train: NDArray[np.float32] | None

    @property
    def kind(self) -> str:
        """What the training is called beside its split and seed: ``base`` of ``dic-02-base-1``."""
        kind = self.name.removeprefix(self.split.name)
        return (kind if self.seed is None else kind.removesuffix(f"-{self.seed}")).strip("-")


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


def read_maps(path: Path, arrays: Arrays, training: dict[str, Any]) -> tuple[Maps, NDArray[np.float32]]:
    """Return the maps of one training, and its losses.

    Raises
    ------
    DataSetError
        They cannot be read, or are maps of other pages than those packed.
    """
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
    silver, seed = bool(training.get("silver", False)), training.get("settings", {}).get("seed")
    return Maps(path.stem, split, silver, seed, maps["test"], train), losses
