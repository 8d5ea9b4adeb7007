"""What a Dask task costs beside its work, and how much two workers gain, by tiles a task.

``python -m benchmarks.dask_overhead [--quick] [--tiles 64] [--width 16] [--repeats 2] [--out FILE]``

An OME-Zarr image is segmented into another, by one process, by one Dask worker and by two, with parts
(tasks) of 1 to 64 tiles. What one worker takes has a part for each task and one for each tile; a
least-squares fit over the sizes tells them apart. ``cpu`` is the processor time of client and scheduler
alone. Efficiency is the time of one process on one core over twice that of two workers on two: the same
work from the plan to the published image, with twice the cores. One worker is no such measure: its client,
its reading and its writing run on the other core, so that it uses 1.1 of them, and two workers have 2.
How much two cores can do at once is not twice what one does everywhere: two bare processes, each with half
of the image and without Dask, tell what the machine allows.

The image has as many tiles as given, or two tasks' worth where that is more, so that two workers always
have as much to do. Every process computes with one thread, and the one process has one core, reading and
writing included, as each of two has half of the machine. The clock runs from the submission to the
finished image; starting processes is not in it, and each has loaded the model before. The ways take
turns, in the other order every second round, and none meets another's processes, which take a tenth of a
core while they wait. All outputs of one image must be the same bytes.
"""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import options
from benchmarks.dask_runs import NAMES, Runs, one_thread
from benchmarks.machine import keep_result, row, said, seconds, summary

SIZES = (1, 4, 16, 64)
"""Tiles a task."""
AIM = 95


def measure(tiles: int, sizes: Sequence[int], width: int, repeats: int) -> dict[str, Any]:
    """Time each way for each size of task, on an image of at least `tiles` tiles."""
    counts = {size: max(tiles, 2 * size) for size in sizes}
    taken: dict[int, dict[str, list[Any]]] = {size: {name: [] for name in NAMES} for size in sizes}
    with tempfile.TemporaryDirectory() as folder, one_thread():
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


def row_of(tiles: int, size: int, taken: dict[str, list[Any]], runs: Runs) -> dict[str, Any]:
    """Return what was measured for one size of task; say it."""
    runs.check(tiles)
    row: dict[str, Any] = {"tiles": tiles, "tiles_a_task": size, "tasks": runs.tasks(tiles, size)}
    for name, times in taken.items():
        row[name] = {
            **summary([each["median"] for each in times]),
            "cpu": statistics.median(each["cpu"] for each in times),
        }
    alone = row["process"]["median"]
    row["efficiency"] = alone / (2 * row["two_workers"]["median"])
    row["efficiency_bare"] = alone / (2 * row["two_processes"]["median"])
    row["gain"] = row["one_worker"]["median"] / row["two_workers"]["median"]
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
        gain = f"two workers {found['gain']:.2f} times as fast as one, whose client has the other core"
        return f"{times}; {gain}; of the two cores, client and scheduler take {client:.1f} %; {costs}"

    return [
        row(
            f"Dask, efficiency of two workers, tiles a task: {found['tiles_a_task']}",
            "one process on one core",
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the result file."""
    parser = options("dask_overhead", __doc__, "a small image")
    parser.add_argument("--tiles", type=int, default=64, help="tiles of the image")
    parser.add_argument("--width", type=int, default=16, help="channels of the network's first level")
    parser.add_argument("--repeats", type=int, default=2, help="how often each is timed")
    given = parser.parse_args(arguments)
    full = (given.tiles, SIZES, given.width, given.repeats)
    if given.tiles % 2:
        parser.error("--tiles: an even number, for two halves")
    answer = measure(2, [1, 2], 1, 1) if given.quick else measure(*full)
    keep_result(given, "dask_overhead", __doc__, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
