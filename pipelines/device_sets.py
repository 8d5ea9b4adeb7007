"""The labelled sets of the paper in one file, and as pages for a training on a device.

``python -m pipelines.device_sets --data DIR --to FILE.npz`` packs the EM volume, the gold frames of the
cell sequences and some of their silver frames: what :mod:`pipelines.one_gpu` takes to a machine that holds
nothing else. (Data: see :mod:`pipelines.isbi2012` and :mod:`pipelines.cell_tracking` for sources and terms.)
"""

import argparse
import sys
import zlib
from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import DataSetError, UNet2015Error
from unet2015.images.image import ArrayImage
from unet2015.images.mapping import MappedImage, choose_mapping
from unet2015.settings import TrainingSettings
from unet2015.training.deform import DevicePages
from unet2015.training.labels import balanced_weights, class_frequencies, make_targets
from unet2015.training.weights import target_weights

if TYPE_CHECKING:
    from pipelines import ctc

IGNORE = 65535
"""Label of pixels that nobody annotated."""
CELLS = {"dic": "DIC-C2DH-HeLa", "phc": "PhC-C2DH-U373"}
SLICES, FOLD = 30, 6
FIRST = 0.6
"""Share of the gold frames, the first in time, that train where there is a single sequence."""
Arrays = Dictionary[str, NDArray[Any]]
_DAMAGED = (OSError, ValueError, EOFError, LookupError, TypeError, AttributeError, BadZipFile, zlib.error)
"""What reading raises where a file is cut, damaged, no archive, or an array of another kind."""


@dataclass(frozen=True)
class Split:
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


def find_split(arrays: Arrays, name: str) -> Split:
    """Return the split called `name`.

    Raises
    ------
    DataSetError
        There is no such split, or the packed file lacks what it needs.
    """
    kind, _, part = name.partition("-")
    if kind == "em" and part in ("all", *map(str, range(SLICES // FOLD))):
        for key in ("em/images", "em/labels"):
            if len(array_of(arrays, key)) != SLICES:
                raise DataSetError(f"expected {SLICES} slices in {key}, got {len(arrays[key])}")
        held = [] if part == "all" else list(range(int(part) * FOLD, (int(part) + 1) * FOLD))
        return Split(name, ("em", [s for s in range(SLICES) if s not in held]), ("em", held))
    if kind in CELLS and part in ("01", "02"):
        return _cells(arrays, name, *(f"{CELLS[kind]}/{p}" for p in (part, "02" if part == "01" else "01")))
    raise DataSetError(
        f"{name}: no such split; there are em-0 to em-{SLICES // FOLD - 1}, em-all, and dic-01, dic-02, "
        "phc-01, phc-02 where the packed file has the sequence"
    )


def _cells(arrays: Arrays, name: str, mine: str, other: str) -> Split:
    """Return the split from one sequence to the other, or from the first frames to the last of one."""
    there = [prefix for prefix in (mine, other) if f"{prefix}/images" in arrays]
    for key in ("images", "labels", "truth"):
        for prefix in {mine, *there}:
            array_of(arrays, f"{prefix}/{key}")
    count = len(arrays[f"{mine}/images"])
    if other in there:
        return Split(name, (mine, list(range(count))), (other, list(range(len(arrays[f"{other}/images"])))))
    if count < 2:
        raise DataSetError(f"{name}: expected 2 gold frames or more in {mine}; got {count}")
    first = first_frames(count)
    return Split(name, (mine, list(range(first))), (mine, list(range(first, count))))


def first_frames(count: int) -> int:
    """Return how many of the gold frames of a single sequence train: some, and not all."""
    return min(max(1, round(FIRST * count)), count - 1)


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
    arrays: Arrays, split: Split, settings: TrainingSettings, silver: bool = False
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
    arrays: Arrays, split: Split, settings: TrainingSettings
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
        raise DataSetError(f"{path}: expected a file (.npz) that {made_by} writes: {error}") from error


def pack(data: Path, target: Path, every: int = 3) -> None:
    """Pack EM volume and cell sequences; of the silver frames every `every`-th."""
    from pipelines import ctc
    from unet2015.images.reader import read_pages
    from unet2015.safe_files import atomic_path

    em = data / "isbi2012" if (data / "isbi2012").is_dir() else data
    cells = data / "ctc" if (data / "ctc").is_dir() else data
    arrays: dict[str, NDArray[Any]] = {}
    if (em / "train-volume.tif").exists():
        arrays["em/images"] = read_pages(em / "train-volume.tif")
        arrays["em/labels"] = read_pages(em / "train-labels.tif")
    for name in CELLS.values():
        for sequence in ctc.find_sequences(cells / name) if (cells / name).is_dir() else []:
            alone = len(ctc.find_sequences(cells / name)) == 1
            packed = _pack_sequence(sequence, alone, every)
            arrays |= {f"{name}/{sequence.name}/{key}": values for key, values in packed.items()}
    if not arrays:
        raise DataSetError(f"{data}: expected isbi2012/train-volume.tif or ctc/{CELLS['dic']}, found neither")
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _pack_sequence(sequence: "ctc.Sequence", alone: bool, every: int) -> dict[str, NDArray[Any]]:
    gold = sequence.gold()
    packed: dict[str, NDArray[Any]] = {
        "frames": np.array(gold),
        "images": np.stack([sequence.image(frame) for frame in gold]),
        "truth": np.stack([sequence.truth(frame) for frame in gold]),
        "labels": np.stack([sequence.labels(frame) for frame in gold]),
    }
    # Of a sequence alone, only the time before what is measured.
    last = gold[first_frames(len(gold)) - 1]
    extra = [f for f in sequence.silver() if f not in gold and (not alone or f <= last)][::every]
    if extra:
        packed["silver-images"] = np.stack([sequence.image(frame) for frame in extra])
        packed["silver-labels"] = np.stack([sequence.labels(frame, True) for frame in extra])
    return packed


def main(words: Sequence[str] | None = None) -> int:
    """Pack from the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with isbi2012 and ctc")
    parser.add_argument("--to", type=Path, required=True, help="the packed file, .npz")
    given = parser.parse_args(words)
    try:
        pack(given.data, given.to)
    except UNet2015Error as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    print(f"{given.to}: {given.to.stat().st_size / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
