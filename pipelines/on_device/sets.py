"""The labelled sets of the paper, packed in one file: what is in it, and its pages for a training."""

import json
import zlib
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pipelines.cells.frames import DATA_SETS, IGNORE, first_frames
from pipelines.em.slices import FOLDS, SLICES, held_out, trained_on
from unet2015.errors import DataSetError
from unet2015.images.array_image import ArrayImage
from unet2015.images.mapped_image import MappedImage
from unet2015.images.mapping import choose_mapping
from unet2015.settings import TrainingSettings
from unet2015.training.deform import DevicePages
from unet2015.training.labels import balanced_weights, class_frequencies, make_targets
from unet2015.training.weight_map import target_weights

Arrays = Dictionary[str, NDArray[Any]]
_DAMAGED = (OSError, ValueError, EOFError, LookupError, TypeError, AttributeError, BadZipFile, zlib.error)
"""What reading raises where a file is cut, damaged, no archive, or an array of another kind."""


@dataclass(frozen=True)
class PackedSplit:
    """What is trained on and what is measured.

    Attributes
    ----------
    name : str
        ``em-0`` to ``em-4``, ``em-all``, ``dic-01``, ``dic-02``, ``phc-01``: what it is trained on or, for
        EM, the fold that is held out.
    train, test : tuple of (prefix, list of int)
        Where the pages are in the packed file, and which; test is empty for ``em-all``.
    """

    name: str
    train: tuple[str, list[int]]
    test: tuple[str, list[int]]

    @property
    def kind(self) -> str:
        """``em``, ``dic`` or ``phc``."""
        return self.name.partition("-")[0]


def find_split(arrays: Arrays, name: str) -> PackedSplit:
    """Return the split called `name`.

    Raises
    ------
    DataSetError
        There is no such split, or the packed file lacks what it needs.
    """
    kind, _, part = name.partition("-")
    if kind == "em" and part in ("all", *map(str, range(FOLDS))):
        for key in ("em/images", "em/labels"):
            if len(array_of(arrays, key)) != SLICES:
                raise DataSetError(f"expected {SLICES} slices in {key}, got {len(arrays[key])}")
        if part == "all":
            return PackedSplit(name, ("em", list(range(SLICES))), ("em", []))
        return PackedSplit(name, ("em", trained_on(int(part))), ("em", held_out(int(part))))
    if kind in DATA_SETS and part in ("01", "02"):
        return _cells(
            arrays, name, *(f"{DATA_SETS[kind]}/{p}" for p in (part, "02" if part == "01" else "01"))
        )
    raise DataSetError(
        f"{name}: no such split; there are em-0 to em-{FOLDS - 1}, em-all, and dic-01, dic-02, "
        "phc-01, phc-02 where the packed file has the sequence"
    )


def _cells(arrays: Arrays, name: str, mine: str, other: str) -> PackedSplit:
    """Return the split from one sequence to the other, or from the first frames to the last of one."""
    there = [prefix for prefix in (mine, other) if f"{prefix}/images" in arrays]
    for key in ("images", "labels", "truth"):
        for prefix in {mine, *there}:
            array_of(arrays, f"{prefix}/{key}")
    count = len(arrays[f"{mine}/images"])
    if other in there:
        return PackedSplit(
            name, (mine, list(range(count))), (other, list(range(len(arrays[f"{other}/images"]))))
        )
    if count < 2:
        raise DataSetError(f"{name}: expected 2 gold frames or more in {mine}; got {count}")
    first = first_frames(count)
    return PackedSplit(name, (mine, list(range(first))), (mine, list(range(first, count))))


def array_of(arrays: Arrays, key: str) -> NDArray[Any]:
    """Return an array of a packed file; a `DataSetError` says that it is not there."""
    if key not in arrays:
        raise DataSetError(f"the packed file lacks {key}; pack it again from a folder that has it")
    return arrays[key]


def mapped(images: NDArray[Any], settings: TrainingSettings) -> NDArray[np.float32]:
    """Return the network's input (pages, 1, height, width) of a stack, mapped as one image."""
    image = ArrayImage(images, "IYX")
    source = MappedImage(image, choose_mapping(settings.mapping, [image]))
    return np.stack([source.read(page, 0, image.height, 0, image.width) for page in range(image.pages)])


def training_pages(
    arrays: Arrays, split: PackedSplit, settings: TrainingSettings, silver: bool = False
) -> DevicePages:
    """Return what a split trains on: mapped images, classes and weight maps."""
    prefix, pages = split.train
    images, labels = array_of(arrays, f"{prefix}/images")[pages], array_of(arrays, f"{prefix}/labels")[pages]
    if silver:
        images = np.concatenate([images, array_of(arrays, f"{prefix}/silver-images")])
        labels = np.concatenate([labels, array_of(arrays, f"{prefix}/silver-labels")])
    targets = [make_targets(page, settings.labels, split.name) for page in labels]
    given = settings.weight_map.class_weights
    counts = np.sum([class_frequencies(target, settings.labels.classes) for target in targets], axis=0)
    weights = balanced_weights(counts) if given == "balanced" else given
    inputs = mapped(images, settings)
    return DevicePages(
        inputs,
        np.stack([target.classes for target in targets]),
        np.stack([target_weights(target, settings.weight_map, weights) for target in targets]),
        1.0 if settings.mapping.method == "standardise" else float(inputs.std(dtype=np.float64)),
    )


def test_pages(
    arrays: Arrays, split: PackedSplit, settings: TrainingSettings
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return what a split is measured on: mapped images (pages, 1, height, width) and the truth."""
    prefix, pages = split.test
    images = array_of(arrays, f"{prefix}/images")[pages]
    truth = array_of(arrays, f"{prefix}/{'labels' if split.kind == 'em' else 'truth'}")[pages]
    return mapped(images, settings), truth


def label_settings(kind: str) -> dict[str, Any]:
    """Return what the labels of a kind of split mean, as settings."""
    return {"kind": "membrane"} if kind == "em" else {"kind": "instances", "ignore": IGNORE}


def load(path: Path, made_by: str = "pipelines.device_sets") -> dict[str, NDArray[Any]]:
    """Read a packed file, or another of several arrays that `made_by` writes.

    Raises
    ------
    DataSetError
        It cannot be read.
    """
    try:
        with path.open("rb") as file, np.load(file) as packed:
            return {key: packed[key] for key in packed.files}
    except _DAMAGED as error:
        # NumPy advises to load what is no array all the same.
        why = "it is another or is damaged" if "pickle" in str(error) else error
        raise DataSetError(f"{path}: expected a file (.npz) that {made_by} writes: {why}") from error


class PackedSets:
    """Packed sets as pages for trainings, made once for all that train on, or are measured on, the same.

    Parameters
    ----------
    arrays : dict
        The packed sets.
    """

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self._training: dict[str, DevicePages] = {}
        self._test: dict[str, tuple[NDArray[np.float32], NDArray[Any]]] = {}

    def training(self, split: PackedSplit, settings: TrainingSettings, silver: bool = False) -> DevicePages:
        """Return `training_pages`."""
        key = f"{_key(split, settings)} {silver}"
        if key not in self._training:
            self._training[key] = training_pages(self.arrays, split, settings, silver)
        return self._training[key]

    def test(
        self, split: PackedSplit, settings: TrainingSettings
    ) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Return `test_pages`."""
        key = _key(split, settings)
        if key not in self._test:
            self._test[key] = test_pages(self.arrays, split, settings)
        return self._test[key]


def _key(split: PackedSplit, settings: TrainingSettings) -> str:
    parts = settings.mapping, settings.weight_map, settings.labels
    return json.dumps([split.name, *(part.model_dump(mode="json") for part in parts)])
