"""Peak memory and cost against the size of the image: one page, TIFF to TIFF.

``python -m benchmarks.image_size [--quick] [--largest 32768] [--width N] [--depth N] [--max-memory SIZE]
[--folder DIR] [--out FILE]``

Square pages of uint16 in tiled BigTIFF, 512 pixels a side and doubled up to the largest, become class maps in
tiled BigTIFF, with one untrained network and one memory cap. Each size has a process of its own, which
imports the libraries, loads the model and segments the smallest page before the clock starts; what that
takes is told apart, as ``start_seconds`` and ``start_peak_mib``. The clock then runs over all of
`segment_files`: hash, mapping, network, files, record. The peak is that of the process from its start on.

Times are drawn next to a straight line from the size on where the tile plan no longer reads more for each
pixel (small images pay relatively more margin). How straight it is, ``benchmarks.slope`` says: here a size is
timed after the other, and processors change their speed in these minutes. It needs Linux.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import tifffile

from benchmarks.command import options
from benchmarks.machine import keep_result, row, said, seconds
from benchmarks.out_of_core import draw_page, write_model
from benchmarks.peak import MIB, high_water, peak_of
from unet2015.arguments import parse_size
from unet2015.models.model_file import read_model_file
from unet2015.safe_files import sha256
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions

ROOT = Path(__file__).parent.parent
SMALLEST = 512
ALIKE = 1.05
"""Work for a pixel at most so many times that at the largest size counts as no longer changing."""


def in_child(job: str, out: str) -> None:
    """Segment the page of a `job` (JSON) so often as it says, and write what it took to `out`."""
    task = json.loads(job)
    model = read_model_file(task["model"])
    options = SegmentOptions(max_memory=task["cap"], device="cpu", tiled=True)
    folder, made = Path(task["folder"]), 0

    def run(image: str) -> dict[str, Any]:
        nonlocal made
        made += 1
        target = folder / f"{made}.tif"
        (result,) = segment_files([image], target, model, options)
        if result.error:
            raise result.error
        record: dict[str, Any] = json.loads((folder / f"{made}.record.json").read_text())
        record["sha256"] = sha256(target)
        with tifffile.TiffFile(target) as tif:
            assert tif.is_bigtiff
            assert tif.pages.first.is_tiled
            assert list(tif.pages.first.shape) == record["shape"][-2:]
        target.unlink()
        return record

    run(task["warm"])
    peak = high_water(os.getpid())
    records: list[dict[str, Any]] = []
    start = time.perf_counter()
    (times,) = seconds(lambda: records.append(run(task["image"])), repeats=task["repeats"])
    if len({record["sha256"] for record in records}) != 1:
        raise RuntimeError(f"{task['image']}: the class maps of the repeats differ")
    answer = {
        "seconds": times,
        "all_seconds": time.perf_counter() - start,
        "start_peak_mib": round(peak / MIB, 1),
        "stages": records[-1]["seconds"],
        "plan": records[-1]["plan"],
        "device": records[-1]["device"],
    }
    Path(out).write_text(json.dumps(answer))


def measure_one(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run `in_child` in a process of its own; return what it wrote, and the peak of its memory."""
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from benchmarks.image_size import in_child; "
    out = folder / "answer.json"
    call = peak_of([sys.executable, "-c", code + "in_child(*sys.argv[1:])", ROOT, json.dumps(job), out])
    answer: dict[str, Any] = json.loads(out.read_text())
    start = call["seconds"] - answer.pop("all_seconds")
    return {**answer, "start_seconds": round(start, 1), "peak_mib": call["peak_mib"]}


def repeats_of(side: int) -> int:
    """Return how often a size is timed: the largest once, as it takes minutes."""
    return 1 if side > 16_384 else 3 if side > 8_192 else 7


def measure(sides: Sequence[int], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Draw the page of each size, segment it, and remove it."""
    needed = 2 * max(sides) ** 2 + 4 * max(sides) ** 2  # the page; the class map, and its parts till then
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise RuntimeError(
            f"{folder} has {free // MIB} MiB free, and {needed // MIB} MiB are needed; give another "
            "--folder, or a smaller --largest"
        )
    model = write_model(folder / "model.safetensors", options.width, options.depth)
    warm = folder / "warm.tif"
    draw_page(warm, sides[0])
    job = {
        "model": str(model),
        "warm": str(warm),
        "folder": str(folder),
        "cap": parse_size(options.max_memory),
    }
    sizes = []
    for side in sides:
        image = folder / f"{side}.tif"
        draw_page(image, side)
        repeats = 1 if options.quick else repeats_of(side)
        found = measure_one(job | {"image": str(image), "repeats": repeats}, folder)
        image.unlink()
        tile, tiles = found["plan"]["tile"], found["plan"]["tiles"]
        sizes.append(
            {
                "side": side,
                "seconds_per_megapixel": found["seconds"]["median"] / side**2 * 1e6,
                "read_per_pixel": tiles * tile[0] * tile[1] / side**2,
                **found,
            }
        )
        print(
            f"{side:>6} px: {said(found['seconds'])}, {sizes[-1]['seconds_per_megapixel']:.3f} s/Mpx; "
            f"{tiles} tiles of {tile[0]} x {tile[1]}, {sizes[-1]['read_per_pixel']:.2f} px read for one; "
            f"peak {found['peak_mib']:.0f} MiB",
            flush=True,
        )
    cap = job["cap"] / MIB  # type: ignore[operator]
    line = straight_line(sizes)
    return {
        "network": {"width": options.width, "depth": options.depth},
        "cap_mib": cap,
        "sizes": sizes,
        "line": line,
        "table": rows(sizes, line, cap),
    }


def straight_line(sizes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the slope of the time over the pixels, and how far it is from constant.

    Returns
    -------
    dict
        ``from_side``: where the comparison begins. ``seconds_per_megapixel``: of the line from there to the
        largest size. ``slopes``: from each size to the next, and ``deviation_percent``, the largest
        difference of one of them from the line; by the clock, and for ``cpu`` by processor time, of the least
        of all repeats, as what else a machine does only adds to them.
    """
    least = ALIKE * sizes[-1]["read_per_pixel"]
    alike = [all(size["read_per_pixel"] <= least for size in sizes[i:]) for i in range(len(sizes))]
    first = min(alike.index(True), len(sizes) - 2)
    compared = sizes[first:]
    found: dict[str, Any] = {"from_side": compared[0]["side"]}
    for name, key in (("", "least"), ("cpu_", "cpu_least")):
        points = [(size["side"] ** 2 / 1e6, size["seconds"][key]) for size in compared]
        pairs = [*pairwise(points), (points[0], points[-1])]
        *slopes, whole = ((t1 - t0) / (n1 - n0) for (n0, t0), (n1, t1) in pairs)
        found |= {
            f"{name}seconds_per_megapixel": whole,
            f"{name}slopes": slopes,
            f"{name}deviation_percent": 100 * max(abs(slope / whole - 1) for slope in slopes),
        }
    return found


def rows(sizes: Sequence[dict[str, Any]], line: dict[str, Any], cap: float) -> list[dict[str, Any]]:
    """Return the rows of the table: the peak next to the cap, and whether it still grows."""
    first, last = sizes[0], sizes[-1]
    peaks = [size["peak_mib"] for size in sizes]
    alike = [size["peak_mib"] for size in sizes if size["side"] >= line["from_side"]]
    reach = f"{line['from_side']:,} to {last['side']:,} px a side"
    return [
        row(
            f"peak memory, {first['side']:,} to {last['side']:,} px a side",
            f"the stated cap of {cap:,.0f} MiB",
            100 * max(peaks) / cap,
            "%",
            100,
            at_least=False,
        ),
        row(
            f"growth of the peak memory, {reach}",
            "flat",
            100 * (max(alike) / alike[0] - 1),
            "%",
            5,
            at_least=False,
            note=f"{alike[0]:.0f} to {max(alike):.0f} MiB, {alike[-1]:.0f} at the largest; what grows was "
            "measured (NOTES.md): a tile read ahead, which a single tile has not, and a row of tiles as "
            "classes of a bit each",
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the result file."""
    parser = options("image_size", __doc__, "small images")
    parser.add_argument("--largest", type=int, default=32_768, help="largest side in pixels")
    parser.add_argument("--width", type=int, default=8, help="width of the network")
    parser.add_argument("--depth", type=int, default=4, help="poolings of the network")
    parser.add_argument("--max-memory", default="2G", help="memory cap of each process")
    parser.add_argument("--folder", type=Path, help="where the images go, for a while")
    given = parser.parse_args(arguments)
    if given.quick:
        given.largest, given.width, given.depth = 1_024, 1, 1
    sides = [SMALLEST]
    while 2 * sides[-1] <= given.largest:
        sides.append(2 * sides[-1])
    if len(sides) < 2:
        parser.error(f"--largest must be {2 * SMALLEST} or more, so that there are two sizes")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        answer = measure(sides, given, Path(folder))
    keep_result(given, "image_size", __doc__, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
