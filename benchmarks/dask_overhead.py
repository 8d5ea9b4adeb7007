"""What a Dask task costs beside its work, and how much two workers gain, by tiles a task.

``python -m benchmarks.dask_overhead [--quick] [--tiles 64] [--width 8] [--repeats 3] [--out FILE]``

An OME-Zarr image is segmented into another, by one process, by one Dask worker and by two, with parts
(tasks) of 1 to 64 tiles. What one worker takes longer than one process has a part that each run has
(connecting, asking the workers what they see) and a part that each task has; a straight line through
the sizes tells them apart. For one worker and two, ``cpu`` is the processor time of client and
scheduler alone. Efficiency is the time of one worker over twice that of two.
Every process computes with one thread. The clock runs from the submission to the finished image; starting the
workers is not counted, and each has loaded the model before. All outputs must be the same bytes.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import keep_result, seconds
from unet2015.checkpoint import ModelInfo, save_model
from unet2015.files import sha256
from unet2015.images.image import ArrayImage
from unet2015.images.zarr_writer import ZarrSegmentation, plan_layout
from unet2015.network import UNet
from unet2015.settings import Mapping, NetworkSettings
from unet2015.tiling import plan as plans
from unet2015.tiling.distributed import connect, segment_on
from unet2015.tiling.files import plan_outputs, segment_files
from unet2015.tiling.segmentation import Segmenter, SegmentOptions

DEPTH = 4
NAMES = ("process", "one_worker", "two_workers")


def make_image(path: Path, rows: int, side: int) -> Path:
    """Write an OME-Zarr image of one column of `rows` squares of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (rows * side, side)).astype(np.uint8)
    image = ArrayImage(pixels, "YX")
    written = ZarrSegmentation(path, plan_layout(image, side, None, probability=False))
    written.create(image, ["dark", "bright"])
    for row in range(rows):
        written.write(0, row * side, pixels[row * side : (row + 1) * side], None)
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


def measure(tiles: int, sizes: Sequence[int], width: int, repeats: int) -> dict[str, Any]:
    """Time one process, one worker and two on an image of `tiles` tiles, for each size of task."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, connect("local:1") as one, connect("local:2") as two:
        place = Path(folder)
        image = make_image(place / "image.zarr", tiles, 384)
        model = make_model(place / "model.safetensors", width)
        options = SegmentOptions(tile=572, batch=1, device="cpu")
        torch.set_num_threads(1)
        for size in sizes:
            plans.PART_PIXELS = size * 572 * 572
            rows.append(
                _measure(place, image, model, options, [one, two], repeats, not rows) | {"tiles_a_task": size}
            )
            row = rows[-1]
            shown = ", ".join(f"{name} {row[name]['median']:.2f} s" for name in NAMES)
            print(f"{size:>3} tiles a task, {row['tasks']:>3} tasks: {shown}")
            print(
                f"    longer by {row['longer_seconds']:.2f} s, efficiency {row['efficiency']:.2f}", flush=True
            )
    return {"tiles": tiles, "tile": 572, "width": width, "sizes": rows, "overhead": overhead(rows)}


def overhead(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the seconds that a run and that a task takes longer: a line by least squares."""
    tasks = np.array([row["tasks"] for row in rows], float)
    longer = np.array([row["longer_seconds"] for row in rows])
    line = np.linalg.lstsq(np.stack([np.ones_like(tasks), tasks], 1), longer, rcond=None)[0]
    return {"seconds_a_run": float(line[0]), "seconds_a_task": float(line[1])}


def _measure(
    place: Path,
    image: Path,
    model: Path,
    options: SegmentOptions,
    clients: list[Any],
    repeats: int,
    warm: bool,
) -> dict[str, Any]:
    count = [0]

    def run(address: str | None) -> None:
        count[0] += 1
        out = place / f"{plans.PART_PIXELS}-{count[0]}.zarr"
        (result,) = (
            segment_files([image], out, model, options)
            if address is None
            else segment_on(address, Segmenter(model, options), plan_outputs([image], out, False), None)
        )
        if result.error:
            raise result.error

    addresses = [None, *(client.scheduler.address for client in clients)]
    if warm:  # loads what is loaded once
        for address in addresses:
            run(address)
    times = seconds(*(lambda a=address: run(a) for address in addresses), repeats=repeats)
    digests = {sha256(out) for out in place.glob("*-*.zarr")}
    assert len(digests) == 1, "the outputs differ"
    plan = replace(Segmenter(model, options).plan(ArrayImage(_pixels(image), "YX")))
    tasks = len(plan.parts)
    process, one, two = (time["median"] for time in times)
    return {
        "tasks": tasks,
        **dict(zip(NAMES, times, strict=True)),
        "longer_seconds": one - process,
        "efficiency": one / (2 * two),
    }


def _pixels(path: Path) -> Any:
    from unet2015.images.reader import read_pages

    return read_pages(path)[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the result file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dask_overhead", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small image, to see that it runs")
    parser.add_argument(
        "--out", type=Path, help="result file (default: results/dask_overhead.json beside this)"
    )
    parser.add_argument("--tiles", type=int, default=64, help="tiles of the image")
    parser.add_argument("--width", type=int, default=8, help="channels of the network's first level")
    parser.add_argument("--repeats", type=int, default=3, help="how often each is timed")
    options = parser.parse_args(arguments)
    sizes = [size for size in (1, 4, 16, 64) if size <= options.tiles]
    full = (options.tiles, sizes, options.width, options.repeats)
    answer = measure(2, [1], 1, 1) if options.quick else measure(*full)
    keep_result(options, "dask_overhead", __doc__.partition("\n")[0], answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
