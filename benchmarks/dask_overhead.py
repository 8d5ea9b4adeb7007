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
the model before. All outputs of one image must be the same bytes.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import keep_result, row, seconds
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
    """Time one process, one worker and two, for each size of task, on an image of at least `tiles` tiles."""
    rows: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        _one_thread(),
        connect("local:1") as one,
        connect("local:2") as two,
        ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool,
    ):
        model = make_model(Path(folder) / "model.safetensors", width)
        options = SegmentOptions(tile=572, batch=1, device="cpu")
        addresses = one.scheduler.address, two.scheduler.address
        run = _Runs(model, options, pool, addresses)
        for size in sizes:
            count = max(tiles, 2 * size)
            place = Path(folder) / str(count)
            if not place.exists():
                place.mkdir()
                make_image(place / "image.zarr", count, 384)
                for half in ("upper", "lower"):
                    make_image(place / f"{half}.zarr", count // 2, 384)
            plans.PART_PIXELS = size * 572 * 572
            found = _measure(place, run, repeats, warm=not rows)
            rows.append({"tiles": count, "tiles_a_task": size} | found)
            shown = ", ".join(f"{name} {found[name]['median']:.2f} s" for name in NAMES)
            print(f"{size:>3} tiles a task, {found['tasks']:>3} tasks: {shown}")
            print(
                f"    efficiency {found['efficiency']:.3f}, bare {found['efficiency_bare']:.3f}", flush=True
            )
    line = overhead(rows)
    return {
        "tile": 572,
        "width": width,
        "sizes": rows,
        "overhead": line,
        "table": table(rows, line),
    }


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


class _Runs:
    """The ways to segment one image: a process, two, and Dask's workers."""

    def __init__(
        self, path: Path, options: SegmentOptions, pool: ProcessPoolExecutor, addresses: tuple[str, str]
    ) -> None:
        self.path, self.options, self.pool, self.addresses = path, options, pool, addresses
        self.segmenter = Segmenter(load_model(path), options)
        self.model = self.segmenter.model
        self.count = 0

    def ways(self, place: Path) -> list[Callable[[], None]]:
        """Return what to time for the images in a folder, in the order of `NAMES`."""
        one, two = self.addresses
        return [
            lambda: self.process(place),
            lambda: self.processes(place),
            lambda: self.workers(place, one),
            lambda: self.workers(place, two),
        ]

    def process(self, place: Path) -> None:
        """One process on one core."""
        with _one_core():
            (result,) = segment_files([place / "image.zarr"], self.out(place), self.model, self.options)
        if result.error:
            raise result.error

    def processes(self, place: Path) -> None:
        """Two processes, each with half of the image."""
        halves = [
            self.pool.submit(
                _bare,
                place / f"{half}.zarr",
                self.out(place, f"{half}-"),
                self.path,
                self.options,
                plans.PART_PIXELS,
            )
            for half in ("upper", "lower")
        ]
        for half in halves:
            half.result()

    def workers(self, place: Path, address: str) -> None:
        """Dask's workers at an address."""
        outputs = plan_outputs([place / "image.zarr"], self.out(place), False)
        (result,) = segment_on(address, self.segmenter, outputs, None)
        if result.error:
            raise result.error

    def out(self, place: Path, half: str = "whole-") -> Path:
        """Return a path that has not been written."""
        self.count += 1
        return place / f"{half}{plans.PART_PIXELS}-{self.count}.zarr"


def _measure(place: Path, runs: _Runs, repeats: int, *, warm: bool) -> dict[str, Any]:
    ways = runs.ways(place)
    if warm:  # loads what is loaded once
        for way in ways:
            way()
    times = seconds(*ways, repeats=repeats)
    if len({sha256(out) for out in place.glob("whole-*.zarr")}) != 1:
        raise RuntimeError(f"the outputs of {plans.PART_PIXELS // 572**2} tiles a task differ")
    (page,) = read_pages(place / "image.zarr")
    found: dict[str, Any] = {"tasks": len(runs.segmenter.plan(ArrayImage(page, "YX")).parts)}
    found |= dict(zip(NAMES, times, strict=True))
    alone = found["process"]["median"]
    found["longer_seconds"] = found["one_worker"]["median"] - alone
    return found | {
        "efficiency": alone / (2 * found["two_workers"]["median"]),
        "efficiency_bare": alone / (2 * found["two_processes"]["median"]),
    }


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
