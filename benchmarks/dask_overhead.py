"""What a Dask task costs beside its work, and how much two workers gain, by tiles a task.

``python -m benchmarks.dask_overhead [--quick] [--tiles 128] [--width 16] [--repeats 2] [--out FILE]``

An OME-Zarr image is segmented into another, by one process, by one Dask worker and by two, with parts
(tasks) of 1 to 64 tiles. What one worker takes longer than one process has a part that each run has
(connecting, asking the workers what they see) and a part that each task has; a straight line through
the sizes tells them apart. For one worker and two, ``cpu`` is the processor time of client and
scheduler alone. Efficiency is the time of one process over twice that of two workers. How much two cores
can do at once is not twice what one does everywhere: two bare processes, each with half of the image and
without Dask, tell what the machine allows.

The image has as many tiles as given, or two tasks' worth where that is more, so that two workers always
have as much to do. Every process computes with one thread, and the one process has one core, reading and
writing included. The clock runs from the submission to the finished image: what each run does once
(connecting, planning, publishing the image) is in it, starting the workers is not, and each has loaded
the model before. The ways take turns, each with all sizes and with no other's processes about. All outputs
of one image must be the same bytes.
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

from benchmarks.machine import keep_result, row, seconds, summary
from unet2015.checkpoint import Model, ModelInfo, load_model, save_model
from unet2015.files import sha256
from unet2015.images.image import ArrayImage
from unet2015.images.reader import read_pages
from unet2015.images.zarr_writer import ZarrSegmentation, plan_layout
from unet2015.network import UNet
from unet2015.settings import Mapping, NetworkSettings
from unet2015.tiling import plan as plans
from unet2015.tiling.distributed import connect, segment_on
from unet2015.tiling.files import plan_outputs, segment_files
from unet2015.tiling.segmentation import Segmenter, SegmentOptions

DEPTH = 4
NAMES = ("process", "two_processes", "one_worker", "two_workers")
SIZES = (1, 4, 16, 64)
SHOWN = (1, 16, 64)
"""Tiles a task in the table: the least, about what a part has unless said otherwise, the most."""
HALVES = ("upper", "lower")
AIM = 95


def make_image(path: Path, rows: int, side: int) -> Path:
    """Write an OME-Zarr image of one column of `rows` squares of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (rows * side, side)).astype(np.uint8)
    image = ArrayImage(pixels, "YX")
    written = ZarrSegmentation(path, plan_layout(image, side, None, probability=False))
    written.create(image, ["dark", "bright"])
    for y in range(0, rows * side, side):
        written.write(0, y, pixels[y : y + side], None)
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


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep this thread, and those that it starts, on one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _bare(image: Path, out: Path, model: Path, options: SegmentOptions, pixels: int) -> None:
    """Segment an image in a process of its own."""
    torch.set_num_threads(1)
    plans.PART_PIXELS = pixels
    (result,) = segment_files([image], out, _loaded(model), options)
    if result.error:
        raise result.error


@cache
def _loaded(path: Path) -> Model:
    return load_model(path)


def measure(tiles: int, sizes: Sequence[int], width: int, repeats: int) -> dict[str, Any]:
    """Time each way for each size of task, on an image of at least `tiles` tiles."""
    taken: dict[int, dict[str, list[Any]]] = {size: {name: [] for name in NAMES} for size in sizes}
    with tempfile.TemporaryDirectory() as folder, _one_thread():
        runs = Runs(Path(folder), width)
        for _ in range(repeats):
            # One way after the other: a scheduler and workers that wait take a tenth of a core.
            for name in NAMES:
                with runs.ready(name) as way:
                    way(2, 1)  # loads what is loaded once
                    for size in sizes:
                        count = max(tiles, 2 * size)
                        runs.images(count)
                        (times,) = seconds(partial(way, count, size), repeats=1)
                        taken[size][name].append(times)
        rows = [row_of(max(tiles, 2 * size), size, taken[size], runs) for size in sizes]
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
    alone = row["process"]["median"]
    row["longer_seconds"] = row["one_worker"]["median"] - alone
    row["efficiency"] = alone / (2 * row["two_workers"]["median"])
    row["efficiency_bare"] = alone / (2 * row["two_processes"]["median"])
    shown = ", ".join(f"{name} {row[name]['median']:.2f} s" for name in NAMES)
    print(f"{size:>3} tiles a task, {row['tasks']:>3} tasks: {shown}")
    print(f"    efficiency {row['efficiency']:.3f}, bare {row['efficiency_bare']:.3f}", flush=True)
    return row


def table(rows: Sequence[dict[str, Any]], line: dict[str, float]) -> list[dict[str, Any]]:
    """Return the rows of the README's table: tasks of one tile, about the default part, the largest."""
    costs = f"a run costs {line['seconds_a_run']:.2f} s, a task {1000 * line['seconds_a_task']:.0f} ms"
    return [
        row(
            f"Dask, efficiency of two workers, tiles a task: {found['tiles_a_task']}",
            "one process on one core",
            100 * found["efficiency"],
            "%",
            AIM,
            note=f"{costs}; this one took {found['two_workers']['median']:.1f} s; two bare processes without "
            f"Dask, side by side, reached {100 * found['efficiency_bare']:.0f} %",
        )
        for found in rows
        if found["tiles_a_task"] in SHOWN
    ]


def overhead(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the seconds that a run and that a task takes longer: a line by least squares."""
    tasks = np.array([row["tasks"] for row in rows], float)
    longer = np.array([row["longer_seconds"] for row in rows])
    line = np.linalg.lstsq(np.stack([np.ones_like(tasks), tasks], 1), longer, rcond=None)[0]
    return {"seconds_a_run": float(line[0]), "seconds_a_task": float(line[1])}


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
        self.segmenter = Segmenter(load_model(self.path), self.options)
        self.written = 0

    def images(self, tiles: int) -> Path:
        """Return the folder with the image of so many tiles, and with its halves."""
        place = self.folder / str(tiles)
        if not place.exists():
            place.mkdir()
            make_image(place / "image.zarr", tiles, 384)
            for half in HALVES:
                make_image(place / f"{half}.zarr", tiles // 2, 384)
        return place

    @contextmanager
    def ready(self, name: str) -> Iterator[Way]:
        """Yield one of the ways of `NAMES`, its processes started."""
        if name == "process":
            yield self._process
        elif name == "two_processes":
            with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
                yield lambda tiles, size: self._processes(pool, tiles, size)
        else:
            with connect("local:1" if name == "one_worker" else "local:2") as client:
                yield lambda tiles, size: self._workers(client.scheduler.address, tiles, size)

    def _process(self, tiles: int, size: int) -> None:
        plans.PART_PIXELS = size * 572 * 572
        image = self.images(tiles) / "image.zarr"
        with _one_core():
            (result,) = segment_files([image], self._out(tiles), self.segmenter.model, self.options)
        if result.error:
            raise result.error

    def _processes(self, pool: ProcessPoolExecutor, tiles: int, size: int) -> None:
        place = self.images(tiles)
        halves = [
            pool.submit(
                _bare,
                place / f"{half}.zarr",
                self._out(tiles, half),
                self.path,
                self.options,
                size * 572 * 572,
            )
            for half in HALVES
        ]
        for half in halves:
            half.result()

    def _workers(self, address: str, tiles: int, size: int) -> None:
        plans.PART_PIXELS = size * 572 * 572
        outputs = plan_outputs([self.images(tiles) / "image.zarr"], self._out(tiles), False)
        (result,) = segment_on(address, self.segmenter, outputs, None)
        if result.error:
            raise result.error

    def _out(self, tiles: int, half: str = "whole") -> Path:
        self.written += 1
        return self.images(tiles) / f"{half}-{self.written}.zarr"

    def tasks(self, tiles: int, size: int) -> int:
        """Return how many tasks an image has."""
        plans.PART_PIXELS = size * 572 * 572
        (page,) = read_pages(self.images(tiles) / "image.zarr")
        return len(self.segmenter.plan(ArrayImage(page, "YX")).parts)

    def check(self, tiles: int) -> None:
        """See that all wrote the same bytes of an image, two processes those of its halves."""
        for which in ("whole", *HALVES):
            if len({sha256(out) for out in self.images(tiles).glob(f"{which}-*.zarr")}) != 1:
                raise RuntimeError(f"the outputs for {which} of {tiles} tiles differ")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the result file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dask_overhead", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small image, to see that it runs")
    parser.add_argument(
        "--out", type=Path, help="result file (default: results/dask_overhead.json beside this)"
    )
    parser.add_argument("--tiles", type=int, default=128, help="tiles of the image")
    parser.add_argument("--width", type=int, default=16, help="channels of the network's first level")
    parser.add_argument("--repeats", type=int, default=2, help="how often each is timed")
    options = parser.parse_args(arguments)
    full = (options.tiles, SIZES, options.width, options.repeats)
    answer = measure(2, [1, 2], 1, 1) if options.quick else measure(*full)
    keep_result(options, "dask_overhead", __doc__.partition("\n")[0], answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
