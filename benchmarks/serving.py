"""Images of 512 x 512 in a folder, images a second, next to a bare loop over the network and to other ways.

``python -m benchmarks.serving [--quick] [--images 1000] [--width 32] [--repeats 3] [--out FILE]``

A folder of TIFF files becomes class maps by `segment_files`, which is what ``unet2015 segment`` calls, with
all that it promises: each input is hashed and seen to be unchanged, results are flushed to the disk, and have
a record. It is compared with

- a *bare loop*: its `Predictor` (network and softmax) on as many tiles, read and mapped before. No file, no
  class map: what no program can exceed;
- the loop of *nnU-Net* (``nnUNetPredictor.predict_from_files``): processes read and map ahead, the network
  runs in this one, other processes write;
- the loop of *Cellpose* (``python -m cellpose --dir``): one image after the other is read, mapped, segmented
  and written in one thread.

The loops of the two programs are written here as we understand their way of calling, and call our network on
our tiles; their own commands were not run. They bring other networks, whose time would be compared in the
place of the way of calling. They flush nothing and keep no record. All sides run in turn in one process, with
all threads. Their class maps must be the same.
"""

import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from benchmarks.command import options
from benchmarks.machine import keep_result, row, said, seconds
from benchmarks.out_of_core import pieces, write_model
from unet2015.device import thread_count
from unet2015.images.mapped_image import MappedImage
from unet2015.images.reader import open_image
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.segmenter import Segmenter
from unet2015.settings import Mapping
from unet2015.tiling.classes import class_map
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.reading import read_tile

AIM = 95.0
PROCESSES = 3
"""That read, and as many that write: nnU-Net's own numbers (``-npp``, ``-nps``)."""
BARE, OURS, NNUNET, CELLPOSE = "the bare loop", "unet2015", "nnU-Net's loop", "Cellpose's loop"
Pixels = NDArray[Any]


@dataclass(frozen=True)
class Task:
    """What every way of calling is given.

    Attributes
    ----------
    images : tuple of Path
        Files of one page, each a single tile.
    segmenter : Segmenter
        The network.
    plan : TilePlan
        Of each image.
    """

    images: tuple[Path, ...]
    segmenter: Segmenter
    plan: TilePlan

    @property
    def mapping(self) -> Mapping:
        """How intensities become network input."""
        return self.segmenter.info.mapping


def read(mapping: Mapping, plan: TilePlan, image: Path) -> Pixels:
    """Return what the network reads of an image: (1, channels, H, W)."""
    ((tile,),) = plan
    with open_image(image) as opened:
        return read_tile(MappedImage(opened, mapping), tile, plan.height, plan.width)[None]


def write(plan: TilePlan, threshold: float | None, path: Path, probabilities: Pixels) -> None:
    """Write a class map as simple programs do."""
    kept = probabilities[0, :, : plan.height, : plan.width]
    tifffile.imwrite(path, class_map(kept, threshold), compression="zlib")


def name(folder: Path, image: Path) -> Path:
    """Return where the class map of an image goes."""
    return folder / f"{image.stem}.classes.tif"


def one_after_the_other(task: Task, folder: Path) -> None:
    """Segment images as Cellpose's command does."""
    folder.mkdir()
    for image in task.images:
        probabilities = task.segmenter.predict(read(task.mapping, task.plan, image))
        write(task.plan, task.segmenter.threshold, name(folder, image), probabilities)


def processes(task: Task, folder: Path) -> None:
    """Segment images as nnU-Net's command does, whose processes are started anew for each call."""
    folder.mkdir()
    context, written = get_context("spawn"), deque[Future[None]]()
    with (
        ProcessPoolExecutor(PROCESSES, context) as readers,
        ProcessPoolExecutor(PROCESSES, context) as writers,
    ):
        waiting, ahead = deque(task.images), deque[tuple[Path, Future[Pixels]]]()
        while waiting or ahead:
            while waiting and len(ahead) < 2 * PROCESSES:
                image = waiting.popleft()
                ahead.append((image, readers.submit(read, task.mapping, task.plan, image)))
            image, tiles = ahead.popleft()
            probabilities = task.segmenter.predict(tiles.result())
            given = task.plan, task.segmenter.threshold, name(folder, image), probabilities
            written.append(writers.submit(write, *given))
            while len(written) > PROCESSES:
                written.popleft().result()
        for future in written:
            future.result()


def ours(task: Task, folder: Path) -> None:
    """Segment images as ``unet2015 segment`` does."""
    for result in segment_files(task.images, folder, task.segmenter.model, task.segmenter.options):
        if result.error:
            raise result.error


def check(folders: dict[str, Path], images: Sequence[Path]) -> None:
    """See that all class maps are the same, and not one class everywhere."""
    seen = set()
    for image in images:
        maps = {way: tifffile.imread(name(folder, image)) for way, folder in folders.items()}
        seen |= set(np.unique(maps[OURS]))
        other = [way for way, found in maps.items() if not np.array_equal(found, maps[OURS])]
        if other:
            raise RuntimeError(f"{image.name}: the class map of {other[0]} is another than ours")
    if len(seen) < 2:
        raise RuntimeError("all class maps are of one class, so nothing was compared")


def prepare(place: Path, images: int, width: int, depth: int) -> Task:
    """Write images and model; plan them."""
    paths = tuple(place / f"{number:05d}.tif" for number in range(images))
    for path, pixels in zip(paths, pieces(images), strict=True):
        tifffile.imwrite(path, pixels)
    model = write_model(place / "model.safetensors", width, depth)
    segmenter = Segmenter(model, SegmentOptions(device="cpu"))
    with open_image(paths[0]) as opened:
        return Task(paths, segmenter, segmenter.plan(opened))


def measure(images: int, width: int, depth: int, repeats: int) -> dict[str, Any]:
    """Compare the class maps, then the times."""
    ways: dict[str, Callable[[Task, Path], None]] = {
        OURS: ours,
        NNUNET: processes,
        CELLPOSE: one_after_the_other,
    }
    with tempfile.TemporaryDirectory() as folder:
        task = prepare(Path(folder), images, width, depth)
        some = Task(task.images[:4], task.segmenter, task.plan)
        places = {way: Path(folder, f"check {way}") for way in ways}
        for way, segment in ways.items():
            segment(some, places[way])
        check(places, some.images)
        tiles = [read(task.mapping, task.plan, image) for image in task.images[:16]]
        numbers = count()

        def bare() -> None:
            for number in range(images):
                task.segmenter.predict(tiles[number % len(tiles)])

        calls = [partial(_anew, segment, task, Path(folder), numbers) for segment in ways.values()]
        times = dict(zip([BARE, *ways], seconds(bare, *calls, repeats=repeats), strict=True))
    return _answer(times, images, width, task.plan)


def _anew(segment: Callable[[Task, Path], None], task: Task, folder: Path, numbers: "count[int]") -> None:
    segment(task, folder / f"out {next(numbers)}")


def _answer(times: dict[str, dict[str, Any]], images: int, width: int, plan: TilePlan) -> dict[str, Any]:
    rates = {way: images / time["median"] for way, time in times.items()}
    for way, time in times.items():
        print(f"{way:<16} {rates[way]:.2f} images a second; {images} in {said(time)}")
    question = f"{images} images of {plan.height} x {plan.width} in a folder, width {width}"
    note = ", ".join(f"{way} {rate:.2f} images a second" for way, rate in rates.items())
    more = 1e3 * (times[OURS]["cpu"] - times[BARE]["cpu"]) / images
    share = 100 * times[BARE]["cpu"] / times[OURS]["cpu"]
    note += f"; by processor time {share:.1f} % of the bare loop: beside it an image takes {more:.0f} ms"
    spread = " to ".join(f"{images / times[BARE][key]:.2f}" for key in ("most", "least"))
    note += f"; the bare loop had {spread} images a second"
    return {
        "images": images,
        "width": width,
        "threads": thread_count(),
        "plan": plan.as_dict(),
        "times": times,
        "images_a_second": rates,
        "table": [
            row(question, BARE, 100 * rates[OURS] / rates[BARE], "%", AIM, note=note),
            row(question, NNUNET, rates[OURS] / rates[NNUNET], "x", 1, note=note),
            row(question, CELLPOSE, rates[OURS] / rates[CELLPOSE], "x", 1, note=note),
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Check that the class maps agree, measure, print, and write the result file."""
    parser = options("serving", __doc__, "few images, a small network")
    parser.add_argument("--images", type=int, default=1000, help="files in the folder")
    parser.add_argument("--width", type=int, default=32, help="width of the network")
    parser.add_argument("--repeats", type=int, default=3, help="how often each is timed")
    given = parser.parse_args(arguments)
    answer = measure(6, 2, 2, 1) if given.quick else measure(given.images, given.width, 4, given.repeats)
    keep_result(given, "serving", __doc__, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
