"""The labelled sets of the paper in one file.

``python -m pipelines.device_sets --data DIR --to FILE.npz`` packs the EM volume, the gold frames of the
cell sequences and some of their silver frames: what :mod:`pipelines.one_gpu` takes to a machine that holds
nothing else. (Data: see :mod:`pipelines.isbi2012` and :mod:`pipelines.cell_tracking` for sources and terms.)
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.base.command import attempt, options
from pipelines.cells import sequences
from pipelines.cells.frames import DATA_SETS, first_frames
from unet2015.errors import DataSetError
from unet2015.images.reader import read_pages
from unet2015.safe_files import atomic_path


def pack(data: Path, target: Path, every: int = 3) -> None:
    """Pack EM volume and cell sequences; of the silver frames every `every`-th."""
    em = data / "isbi2012" if (data / "isbi2012").is_dir() else data
    cells = data / "ctc" if (data / "ctc").is_dir() else data
    arrays: dict[str, NDArray[Any]] = {}
    if (em / "train-volume.tif").exists():
        arrays["em/images"] = read_pages(em / "train-volume.tif")
        arrays["em/labels"] = read_pages(em / "train-labels.tif")
    for name in DATA_SETS.values():
        there = sequences.find_sequences(cells / name) if (cells / name).is_dir() else []
        for sequence in there:
            packed = _pack_sequence(sequence, len(there) == 1, every)
            arrays |= {f"{name}/{sequence.name}/{key}": values for key, values in packed.items()}
    if not arrays:
        raise DataSetError(
            f"{data}: expected isbi2012/train-volume.tif or ctc/{DATA_SETS['dic']}, found neither"
        )
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _pack_sequence(sequence: sequences.Sequence, alone: bool, every: int) -> dict[str, NDArray[Any]]:
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
    parser = options("device_sets", __doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with isbi2012 and ctc")
    parser.add_argument("--to", type=Path, required=True, help="the packed file, .npz")
    given = parser.parse_args(words)

    def work() -> int:
        pack(given.data, given.to)
        print(f"{given.to}: {given.to.stat().st_size / 2**20:.1f} MiB")
        return 0

    return attempt(work)


if __name__ == "__main__":
    sys.exit(main())
