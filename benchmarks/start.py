"""What it costs to start: ``import unet2015`` and ``--help`` next to an empty Python, and ``segment``.

``python -m benchmarks.start [--quick] [--out FILE]``

Each is a process of its own, timed by the clock from its start to its end, in alternation. Files are in the
system's cache and modules are compiled, as in any start but the first.

``unet2015 segment`` of one image of 512 x 512 with a network of width 64 is timed from its start to its end,
too, with as many threads as it takes by itself. How long the network took is what the record says.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.command import options
from benchmarks.machine import keep_result, row, said, seconds, summary
from benchmarks.out_of_core import draw_stack, write_model
from unet2015.device import thread_count

AIM = 0.2
EMPTY = "python -c pass"
IMPORT = 'python -c "import unet2015"'
HELP = "unet2015 --help"
SEGMENT = "unet2015 segment"
SEGMENT_AIM, NETWORK_AIM = 3.0, 50.0
"""Seconds from start to end, and the share of the network in percent."""


def commands() -> dict[str, list[str]]:
    """Return what is started; the installed command where there is one, else ``python -m unet2015``."""
    return {
        EMPTY: [sys.executable, "-c", "pass"],
        IMPORT: [sys.executable, "-c", "import unet2015"],
        HELP: [*program(), "--help"],
    }


def program() -> list[str]:
    """Return how the command is called."""
    suffix = ".exe" if sys.platform == "win32" else ""
    installed = Path(sysconfig.get_path("scripts")) / f"unet2015{suffix}"
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "unet2015"]


def run(command: Sequence[str], output: str = "") -> None:
    """Run a command to its end; an error where it fails, or does not print `output`."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode or ended.stderr or output not in ended.stdout:
        raise RuntimeError(f"{' '.join(command)}: exit status {ended.returncode}, {ended.stderr.strip()}")


def measure(repeats: int) -> dict[str, Any]:
    """Time all commands, after one round that is not counted and is looked at."""
    chosen = commands()
    for name, command in chosen.items():
        run(command, "segment" if name == HELP else "")
    times = seconds(*(lambda c=command: run(c) for command in chosen.values()), repeats=repeats)
    answer: dict[str, Any] = {"times": dict(zip(chosen, times, strict=True))}
    empty = answer["times"][EMPTY]["median"]
    answer["longer_seconds"] = {
        name: answer["times"][name]["median"] - empty for name in chosen if name != EMPTY
    }
    for name, taken in answer["times"].items():
        print(f"{name:<27} {said(taken, 3, cpu=False)}, {taken['median'] - empty:.3f} s longer")
    answer["table"] = [
        row(f"start: {name}", "above an empty Python", longer, "s", AIM, at_least=False)
        for name, longer in answer["longer_seconds"].items()
    ]
    return answer


def measure_segment(repeats: int, width: int, depth: int) -> dict[str, Any]:
    """Time ``unet2015 segment`` of one image, after one round that is not counted."""
    whole, processor, network = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        image, model = place / "image.tif", write_model(place / "model.safetensors", width, depth)
        draw_stack(image, 1)
        for number in range(repeats + 1):
            out = place / f"{number}"
            began, used = time.perf_counter(), _children()
            run([*program(), "segment", str(image), "-o", str(out), "--model", str(model)], "classes.tif")
            whole.append(time.perf_counter() - began)
            processor.append(_children() - used)
            network.append(json.loads((out / "image.record.json").read_text())["seconds"]["network"])
    total, inside = summary(whole[1:]), summary(network[1:])
    share = 100 * inside["median"] / total["median"]
    threads = f"{thread_count()} thread{'s' * (thread_count() > 1)}"
    print(f"{SEGMENT:<27} {said(total, cpu=False)}, network {said(inside, cpu=False)}: {share:.0f} %")
    question = f"start: {SEGMENT}, 512 x 512, width {width}, {threads}"
    cost = (
        f"{summary(processor[1:])['median']:.2f} s of processor time, of the network "
        f"{inside['median']:.2f} s; the rest loads torch, our modules and the model, and packs its weights "
        "(NOTES.md)"
    )
    return {
        "segment": total,
        "segment_network": inside,
        "segment_processor": summary(processor[1:]),
        "table": [
            row(
                question,
                "from the call to its end",
                total["median"],
                "s",
                SEGMENT_AIM,
                at_least=False,
                note=cost,
            ),
            row(question, "the network's share of it", share, "%", NETWORK_AIM, note=cost),
        ],
    }


def _children() -> float:
    """Return the seconds of processor time of all processes that this one has started and that have ended."""
    now = os.times()
    return now.children_user + now.children_system


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the result file."""
    parser = options("start", __doc__, "one start of each")
    given = parser.parse_args(arguments)
    answer = measure(1 if given.quick else 21)
    segment = measure_segment(1, 2, 2) if given.quick else measure_segment(7, 64, 4)
    rows = [*answer["table"], *segment["table"]]
    keep_result(given, "start", __doc__, answer | segment | {"table": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
