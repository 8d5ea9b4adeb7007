"""What a Dask task costs beside its work, and how much two workers gain, by tiles a task.

``python -m benchmarks.dask_overhead [--quick] [--tiles 64] [--width 16] [--repeats 2] [--out FILE]``

An OME-Zarr image is segmented into another, by one process, by one Dask worker and by two, with parts
(tasks) of 1 to 64 tiles. What one worker takes has a part for each task and one for each tile; a
least-squares fit over the sizes tells them apart. ``cpu`` is the processor time of client and scheduler
alone. Efficiency is the time of one process, or of one worker where that is faster (its reading and writing
have the other core), over twice that of two workers. How much two cores can do at once is not twice what
one does everywhere: two bare processes, each with half of the image and without Dask, tell what the machine
allows.

The image has as many tiles as given, or two tasks' worth where that is more, so that two workers always
have as much to do. Every process computes with one thread, and the one process has one core, reading and
writing included, as each of two has half of the machine. The clock runs from the submission to the
finished image; starting processes is not in it, and each has loaded the model before. The ways take
turns, in the other order every second round, and none meets another's processes, which take a tenth of a
core while they wait. All outputs of one image must be the same bytes.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import keep_result, row, said, seconds, summary
from unet2015 import SegmentOptions, segment_files
from unet2015.images.image import ArrayImage
from unet2015.images.reader import read_pages
from unet2015.images.zarr_layout import ZarrMap, plan_layout
from unet2015.images.zarr_writer import ZarrSegmentation
from unet2015.models.model_file import Model, ModelInfo, read_model_file, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.safe_files import sha256
from unet2015.segmentation.cluster import segment_on
from unet2015.segmentation.connection import connect
from unet2015.segmentation.outputs import plan_jobs
from unet2015.segmentation.segmenter import Segmenter
from unet2015.settings import Mapping, NetworkSettings
from unet2015.tiling import plan as plans

DEPTH = 4
NAMES = {
    "process": "one process",
    "two_processes": "two processes without Dask",
    "one_worker": "one worker",
    "two_workers": "two workers",
}
"""The ways, as results name them, and in words."""
SIZES = (1, 4, 16, 64)
"""Tiles a task."""
HALVES = ("upper", "lower")
AIM = 95


def make_image(path: Path, rows: int, side: int, first: int = 0) -> Path:
    """Write an OME-Zarr image of one column of `rows` squares of noise, from square number `first`."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, ((first + rows) * side, side)).astype(np.uint8)[first * side :]
    image = ArrayImage(pixels, "YX")
    shown = ZarrMap("classes", "class map", "uint8", None, label=True, names=("dark", "bright"))
    written = ZarrSegmentation(path, plan_layout(image, side, [shown]))
    written.create(image)
    for y in range(0, rows * side, side):
        written.write(0, y, {"classes": pixels[y : y + side]})
    written.make_levels()
    return path


def make_model(path: Path, width: int) -> Path:
    """Write an untrained model."""
    torch.manual_seed(0)
    info = ModelInfo(
        network=NetworkSettings(width=width, depth=DEPTH),
        mapping=Mapping(method="integer-range"),
        class_names=("background", "cell"),
    )
    save_model(path, UNet(1, 2, width, DEPTH), info)
    return path


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread, and leave threads and size of a part as they were."""
    threads, pixels = torch.get_num_threads(), plans.PART_PIXELS
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        plans.PART_PIXELS = pixels


def _one_core() -> None:
    """Keep this process, with the threads that it already has, on one core, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        core = {min(os.sched_getaffinity(0))}
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(thread.name), core)


def _bare(image: Path, out: Path, model: Path, options: SegmentOptions, pixels: int) -> None:
    """Segment an image in a process of its own."""
    torch.set_num_threads(1)
    plans.PART_PIXELS = pixels
    (result,) = segment_files([image], out, _loaded(model), options)
    if result.error:
        raise result.error


@cache
def _loaded(path: Path) -> Model:
    return read_model_file(path)


def measure(tiles: int, sizes: Sequence[int], width: int, repeats: int) -> dict[str, Any]:
    """Time each way for each size of task, on an image of at least `tiles` tiles."""
    counts = {size: max(tiles, 2 * size) for size in sizes}
    taken: dict[int, dict[str, list[Any]]] = {size: {name: [] for name in NAMES} for size in sizes}
    with tempfile.TemporaryDirectory() as folder, _one_thread():
        runs = Runs(Path(folder), width)
        for count in {2, *counts.values()}:
            runs.images(count)
        for turn in range(repeats):
            for name in reversed(NAMES) if turn % 2 else NAMES:
                with runs.ready(name) as way:
                    way(2, 1)  # loads what is loaded once
                    for size, count in counts.items():
                        (times,) = seconds(partial(way, count, size), repeats=1)
                        taken[size][name].append(times)
        rows = [row_of(counts[size], size, taken[size], runs) for size in sizes]
    line = overhead(rows)
    return {
        "tile": 572,
        "width": width,
        "sizes": rows,
        "overhead": line,
        "table": table(rows, line),
    }


def row_of(tiles: int, size: int, taken: dict[str, list[Any]], runs: "Runs") -> dict[str, Any]:
    """Return what was measured for one size of task; say it."""
    runs.check(tiles)
    row: dict[str, Any] = {"tiles": tiles, "tiles_a_task": size, "tasks": runs.tasks(tiles, size)}
    for name, times in taken.items():
        row[name] = {
            **summary([each["median"] for each in times]),
            "cpu": statistics.median(each["cpu"] for each in times),
        }
    alone = min(row["process"]["median"], row["one_worker"]["median"])
    row["efficiency"] = alone / (2 * row["two_workers"]["median"])
    row["efficiency_bare"] = alone / (2 * row["two_processes"]["median"])
    shown = ", ".join(f"{name} {row[name]['median']:.2f} s" for name in NAMES)
    print(f"{size:>3} tiles a task, {row['tasks']:>3} tasks: {shown}")
    print(f"    efficiency {row['efficiency']:.3f}, bare {row['efficiency_bare']:.3f}", flush=True)
    return row


def table(rows: Sequence[dict[str, Any]], line: dict[str, float]) -> list[dict[str, Any]]:
    """Return the rows of the table."""
    costs = f"a task costs {1000 * line['seconds_a_task']:.0f} ms"

    def note(found: dict[str, Any]) -> str:
        two = found["two_workers"]
        times = ", ".join(f"{name} {said(found[key], 1, cpu=False)}" for key, name in NAMES.items())
        client = 100 * two["cpu"] / (2 * two["median"])
        return f"{times}; of the two cores, client and scheduler take {client:.1f} %; {costs}"

    return [
        row(
            f"Dask, efficiency of two workers, tiles a task: {found['tiles_a_task']}",
            "one process on one core, or one worker if that is faster",
            100 * found["efficiency"],
            "%",
            AIM,
            note=note(found),
        )
        for found in rows
    ]


def overhead(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the seconds that one worker takes for a task and for a tile, by least squares."""
    counts = np.array([[row["tasks"], row["tiles"]] for row in rows], float)
    taken = np.array([row["one_worker"]["median"] for row in rows])
    task, tile = np.linalg.lstsq(counts, taken, rcond=None)[0]
    return {"seconds_a_task": float(task), "seconds_a_tile": float(tile)}


Way = Callable[[int, int], None]
"""Segments the image of so many tiles, in tasks of so many."""


class Runs:
    """The ways to segment an image, and what they wrote.

    Parameters
    ----------
    folder : Path
        Where images and results go.
    width : int
        Of the network.
    """

    def __init__(self, folder: Path, width: int) -> None:
        self.folder = folder
        self.path = make_model(folder / "model.safetensors", width)
        self.options = SegmentOptions(tile=572, batch=1, device="cpu")
        self.segmenter = Segmenter(read_model_file(self.path), self.options)
        self.written = 0

    def images(self, tiles: int) -> Path:
        """Return the folder with the image of so many tiles, and with its halves."""
        place = self.folder / str(tiles)
        if not place.exists():
            place.mkdir()
            make_image(place / "image.zarr", tiles, 384)
            for first, half in ((0, HALVES[0]), (tiles // 2, HALVES[1])):
                make_image(place / f"{half}.zarr", tiles // 2, 384, first)
        return place

    @contextmanager
    def ready(self, name: str) -> Iterator[Way]:
        """Yield one of the ways of `NAMES`, its processes started."""
        if name in ("process", "two_processes"):
            start = _one_core if name == "process" else None
            parts = ("image",) if name == "process" else HALVES
            with ProcessPoolExecutor(len(parts), multiprocessing.get_context("spawn"), start) as pool:
                yield lambda tiles, size: self._processes(pool, parts, tiles, size)
        else:
            with connect("local:1" if name == "one_worker" else "local:2") as client:
                yield lambda tiles, size: self._workers(client.scheduler.address, tiles, size)

    def _processes(self, pool: ProcessPoolExecutor, parts: Sequence[str], tiles: int, size: int) -> None:
        place, pixels = self.images(tiles), size * 572 * 572
        jobs = [
            pool.submit(
                _bare, place / f"{part}.zarr", self._out(tiles, part), self.path, self.options, pixels
            )
            for part in parts
        ]
        for job in jobs:
            job.result()

    def _workers(self, address: str, tiles: int, size: int) -> None:
        plans.PART_PIXELS = size * 572 * 572
        jobs = plan_jobs([self.images(tiles) / "image.zarr"], self._out(tiles), self.options)
        (result,) = segment_on(address, self.segmenter, jobs)
        if result.error:
            raise result.error

    def _out(self, tiles: int, part: str = "image") -> Path:
        self.written += 1
        return self.images(tiles) / f"{part}-{self.written}.zarr"

    def tasks(self, tiles: int, size: int) -> int:
        """Return how many tasks an image has."""
        plans.PART_PIXELS = size * 572 * 572
        (page,) = read_pages(self.images(tiles) / "image.zarr")
        return len(self.segmenter.plan(ArrayImage(page, "YX")).parts)

    def check(self, tiles: int) -> None:
        """See that all wrote the same bytes of an image, two processes those of its halves."""
        for which in ("image", *HALVES):
            if len({sha256(out) for out in self.images(tiles).glob(f"{which}-*.zarr")}) != 1:
                raise RuntimeError(f"the outputs for {which} of {tiles} tiles differ")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the result file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dask_overhead", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small image, to see that it runs")
    parser.add_argument("--out", type=Path, help="result file (default: in results, beside this file)")
    parser.add_argument("--tiles", type=int, default=64, help="tiles of the image")
    parser.add_argument("--width", type=int, default=16, help="channels of the network's first level")
    parser.add_argument("--repeats", type=int, default=2, help="how often each is timed")
    options = parser.parse_args(arguments)
    full = (options.tiles, SIZES, options.width, options.repeats)
    if options.tiles % 2:
        parser.error("--tiles: an even number, for two halves")
    answer = measure(2, [1, 2], 1, 1) if options.quick else measure(*full)
    keep_result(options, "dask_overhead", __doc__.partition("\n")[0], answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
