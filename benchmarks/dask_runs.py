"""The ways to segment an image that `benchmarks.dask_overhead` compares: bare processes, and Dask workers.

Every process computes with one thread, and all outputs of one image must be the same bytes.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from unet2015.device import thread_count
from unet2015.images.array_image import ArrayImage
from unet2015.images.reader import read_pages
from unet2015.images.zarr_layout import ZarrMap, plan_layout
from unet2015.images.zarr_writer import ZarrSegmentation
from unet2015.models.model_file import Model, ModelInfo, read_model_file, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.safe_files import sha256
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.cluster import segment_on
from unet2015.segmentation.connection import connect
from unet2015.segmentation.jobs import plan_jobs
from unet2015.segmentation.local_cluster import shared_with_clients
from unet2015.segmentation.options import SegmentOptions
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
HALVES = ("upper", "lower")
Way = Callable[[int, int], None]
"""Segments the image of so many tiles, in tasks of so many."""


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
def one_thread() -> Iterator[None]:
    """Compute with one thread, and leave threads and size of a part as they were."""
    threads, pixels = thread_count(), plans.PART_PIXELS
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
        self.model = read_model_file(self.path)
        self.segmenters: dict[int, Segmenter] = {}
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
            with ProcessPoolExecutor(len(parts), get_context("spawn"), start) as pool:
                yield lambda tiles, size: self._processes(pool, parts, tiles, size)
        else:
            with (
                connect("local:1" if name == "one_worker" else "local:2") as client,
                shared_with_clients(client.security),
            ):
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
        segmenter = self._segmenter(size)
        jobs = plan_jobs([self.images(tiles) / "image.zarr"], self._out(tiles), self.options)
        (result,) = segment_on(address, segmenter, jobs)
        if result.error:
            raise result.error

    def _segmenter(self, size: int) -> Segmenter:
        """Return the segmenter for tasks of so many tiles; it keeps the plan of an image, with its parts."""
        plans.PART_PIXELS = size * 572 * 572
        if size not in self.segmenters:
            self.segmenters[size] = Segmenter(self.model, self.options)
        return self.segmenters[size]

    def _out(self, tiles: int, part: str = "image") -> Path:
        self.written += 1
        return self.images(tiles) / f"{part}-{self.written}.zarr"

    def tasks(self, tiles: int, size: int) -> int:
        """Return how many tasks an image has."""
        (page,) = read_pages(self.images(tiles) / "image.zarr")
        return len(self._segmenter(size).plan(ArrayImage(page, "YX")).parts)

    def check(self, tiles: int) -> None:
        """See that all wrote the same bytes of an image, two processes those of its halves."""
        for which in ("image", *HALVES):
            if len({sha256(out) for out in self.images(tiles).glob(f"{which}-*.zarr")}) != 1:
                raise RuntimeError(f"the outputs for {which} of {tiles} tiles differ")
