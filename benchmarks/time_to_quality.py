"""How many seconds of processor time a training needs until slices that it never saw are segmented well.

``python -m benchmarks.time_to_quality [--quick] [--data DIR] [--out DIR] [--budget 480] [--seeds 0 1 2]
[--sides ours monai nnunet] [--checkpoints 16]``

Trained on slices 0-23 of the ISBI 2012 training stack, measured on 24-29 in one pass, with the challenge's
measures, best over thresholds. The quality wanted is a pixel error of at most 0.055 and a V_rand of at
least 0.93. All sides have one thread, the same seeds, and their own usual settings:

``ours``: the shipped settings ``quick`` through `unet2015.train`, nothing changed. So it trains on slices
0-18 only, as it holds out the last fifth of what it is given for its own validations; these count, as do the
choice of the precision, the reading of the files and the writing of the model. It ends after 1,200 steps.
``monai``: MONAI's BasicUNet and transforms (`benchmarks.quality_peers.monai_recipe`).
``nnunet``: a recipe like nnU-Net's by MONAI's means (`benchmarks.quality_peers.nnunet_recipe`); no ensemble
and no mirrored copies when it predicts, as none of the sides has them.

The peers train on all 24 slices, without validations, and in the faster of float32 and bfloat16; this choice
and the time of a step, from which follows the number of steps that ends their schedules with the budget, are
found before their clock starts. They predict by MONAI's sliding windows as they come.

A curve has sixteen checkpoints, evenly over the steps; predicting and measuring are not in the time. The
time to quality is that of the first checkpoint at which both measures hold, of the median seed. Learning
rates fall to nothing at the end of a schedule, so a checkpoint on the way is worse than the end of a
shorter training would be. This is so for all sides; the longer its schedule, the more a side's time may be
too long for it. A side that does not get there within the budget has a bound, and no figure.

Each run is a process of its own and a file in ``--out``, seed by seed so that a machine's good and bad hours
meet all sides; one that is there is not done again, so the same command goes on where it was stopped.
"""

import argparse
import json
import math
import multiprocessing
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import RESULTS, cpu_kind, result_of_kind, row, write_result
from benchmarks.peers import peer, peer_versions
from benchmarks.quality_curves import Point, Task, read_task, tiny_task, train_ours
from benchmarks.quality_peers import train_peer
from unet2015.device import thread_count
from unet2015.safe_files import write_json

DATA = Path(os.environ.get("UNET2015_DATA", Path(__file__).parents[2] / "shared" / "data"))
SIDES = {
    "ours": "ours, settings quick",
    "monai": "MONAI: BasicUNet and transforms",
    "nnunet": "a recipe like nnU-Net's, by MONAI",
}
QUALITY = {"pixel_error": 0.055, "v_rand": 0.93}
"""At most, and at least."""
AIM = 2.0


def lacking(data: Path = DATA) -> str:
    """Return what this benchmark needs that is not here; nothing where it can run."""
    names = ("train-volume.tif", "train-labels.tif")
    if any(all((folder / name).exists() for name in names) for folder in (data, data / "isbi2012")):
        return ""
    return f"there is no {' and '.join(names)} of ISBI 2012 in {data}; say where with --data or UNET2015_DATA"


def run_one(side: str, seed: int, task: Task, target: Path) -> None:
    """Train one side with one seed and write its curve."""
    with one_thread(), torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        found = train_ours(task, seed, Path(folder)) if side == "ours" else train_peer(side, task, seed)
    write_json(target, {"side": side, "seed": seed, "asked": task.asked(), **found})


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread."""
    before = thread_count()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_all(
    sides: Sequence[str], seeds: Sequence[int], task: Task, folder: Path
) -> dict[str, list[dict[str, Any]]]:
    """Do the runs that are not there yet, and return all of them by side."""
    folder.mkdir(parents=True, exist_ok=True)
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for seed in seeds:
        for side in sides:
            target = folder / f"{side}-{seed}.json"
            if not target.exists():
                _apart(task)(side, seed, task, target)
            run = json.loads(target.read_text(encoding="utf-8"))
            if run["asked"] != task.asked():
                raise RuntimeError(
                    f"{target}: was run with other data, or another budget: {run['asked']}, asked for "
                    f"{task.asked()}; give another --out, or remove the file"
                )
            runs[side].append(run)
    return runs


def _apart(task: Task) -> Callable[[str, int, Task, Path], None]:
    """Return what does a run in a process of its own; in this one where it is tiny."""
    if task.tiny:
        return run_one

    def apart(side: str, seed: int, task: Task, target: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        process = spawn.Process(target=run_one, args=(side, seed, task, target))
        process.start()
        process.join()
        if process.exitcode:
            raise RuntimeError(f"{side}, seed {seed}: ended with status {process.exitcode}, see above")

    return apart


def time_of(points: Sequence[Point]) -> float:
    """Return the seconds at the first checkpoint that has the quality; infinity if none has."""
    good = (
        point["seconds"]
        for point in points
        if point["pixel_error"] <= QUALITY["pixel_error"] and point["v_rand"] >= QUALITY["v_rand"]
    )
    return next(good, math.inf)


def times_of(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the time to quality of one side.

    Returns
    -------
    dict
        ``seeds``: seconds of each seed, None where it was not reached. ``median``: of the seeds, None where
        most did not reach it. ``bound``: the median where those that did not count with the end of their
        curve; what the side needs is more where ``median`` is None. ``ends``: of the curves.
    """
    seconds = [time_of(run["points"]) for run in runs]
    ends = [run["points"][-1]["seconds"] for run in runs]
    median = statistics.median(seconds)
    return {
        "seeds": [None if math.isinf(one) else one for one in seconds],
        "median": None if math.isinf(median) else median,
        "bound": statistics.median(map(min, seconds, ends)),
        "ends": ends,
    }


def table(times: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each peer; none where ours did not get there, as no ratio can be given then."""
    mine = times.get("ours")
    if mine is None or mine["median"] is None:
        return []
    rows = []
    for side in (side for side in times if side != "ours"):
        theirs = times[side]
        reached = theirs["median"] is not None
        seconds = theirs["median"] if reached else theirs["bound"]
        line = row(
            f"time to quality, processor time of the training until pixel error <= {QUALITY['pixel_error']} "
            f"and V_rand >= {QUALITY['v_rand']} on slices of ISBI 2012 not trained on, one thread{_kind()}",
            SIDES[side],
            seconds / mine["median"],
            "x",
            AIM,
            note=f"{said(mine)} next to {said(theirs)}; schedules end at {max(mine['ends']):.0f} and "
            f"{max(theirs['ends']):.0f} s at most, and a checkpoint on the way understates what a shorter "
            "one would give; the optimizer of ours and its rate were chosen on these slices",
        )
        rows.append(line if reached else line | {"more_than": True})
    return rows


def _kind() -> str:
    return "" if (kind := cpu_kind()) == "CPU" else f", {kind}"


def said(times: dict[str, Any]) -> str:
    """Return the seconds of each seed in words."""
    seeds = ", ".join("never" if one is None else f"{one:.0f}" for one in times["seeds"])
    never = [end for one, end in zip(times["seeds"], times["ends"], strict=True) if one is None]
    ends = f" within {min(never):.0f} s" if never else ""
    return f"{seeds} s by seed{ends}" if len(times["seeds"]) > 1 else f"{seeds} s{ends}"


def measure(sides: Sequence[str], seeds: Sequence[int], task: Task, folder: Path) -> dict[str, Any]:
    """Run all, and return the result."""
    runs = run_all(sides, seeds, task, folder)
    times = {side: times_of(taken) for side, taken in runs.items()}
    for side, one in times.items():
        print(f"{SIDES[side]}: {said(one)}")
    return {
        "quality": QUALITY,
        "threads": 1,
        "seeds": list(seeds),
        "asked": task.asked(),
        "peers": peer_versions("monai"),
        "sides": {
            side: {"name": SIDES[side], "time_to_quality": times[side], "runs": taken}
            for side, taken in runs.items()
        },
        "table": table(times),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and write the result file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.time_to_quality", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="tiny networks and drawn images, to see it run")
    parser.add_argument(
        "--data", type=Path, default=DATA, help="folder of train-volume.tif, train-labels.tif"
    )
    parser.add_argument(
        "--budget", type=float, default=480, help="seconds of each run (default: %(default)s)"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--checkpoints", type=int, default=16, help="points of a curve")
    parser.add_argument(
        "--out", type=Path, help="folder of the runs and the result (default: runs are not kept)"
    )
    options = parser.parse_args(arguments)
    if options.quick:
        task, seeds = tiny_task(), options.seeds[:1]
    elif lack := lacking(options.data):
        print(lack, file=sys.stderr)
        return 1
    else:
        task, seeds = read_task(options.data, options.budget, options.checkpoints), options.seeds
    sides = [side for side in options.sides if side == "ours" or peer("monai.networks.nets") is not None]
    with tempfile.TemporaryDirectory() as passing:
        answer = measure(sides, seeds, task, options.out or Path(passing))
    target = (options.out or RESULTS) / f"{result_of_kind('time_to_quality')}.json"
    if options.out or not options.quick:
        write_result(target, __doc__.partition("\n")[0], answer)
        print(f"written to {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
