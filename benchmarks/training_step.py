"""The cost of a training step on a CPU: one tile of 572 x 572, the network of width 64, next to its peers.

``python -m benchmarks.training_step [--quick] [--precision bfloat16] [--out FILE]``

A step is augmentation, forward and backward pass, and stochastic gradient descent with momentum. All
candidates have the same network (the paper's, without drop-out, whose masks differ between memory
layouts), the same weights, the same loss and the same kinds of augmentation: mirroring, rotation, an
elastic field over 3 x 3 vectors, gray values.

``eager``: what is found in common repositories: modules for double convolution, down and up, in
channels-first order; the augmentation by NumPy and SciPy, with the same draws.
``MONAI``: that network and loss with MONAI's transforms.

The first loss of ours and of ``eager``, augmentation included, and of MONAI's network on our sample must
agree before time is taken. The candidates run in turn; each turn begins with a step that is not timed, and
only ours keeps the heap (`kept_heap`), as a training does. With one thread (``OMP_NUM_THREADS=1``)
processor time is compared, else the clock. In bfloat16 both peers compute under autocast, weights and loss in
float32, as ours does. Results lie in ``results/training_step[_bfloat16][_amx|_avx2].json``, by the processor.
"""

import statistics
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import tifffile
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.command import options
from benchmarks.machine import cpu_kind, keep_result, result_of_kind, row, said, summary
from benchmarks.peers import peer_versions
from benchmarks.training_candidates import MOMENTUM, RATE, Candidate, eager, monai, ours
from unet2015.device import thread_count
from unet2015.networks.unet2015 import UNet
from unet2015.settings import NetworkSettings, TrainingSettings, load_settings
from unet2015.synthetic import em_stack
from unet2015.training.loop import Training
from unet2015.training.pages import TrainingSet, load_training_set

AIM = 2.0
TOLERANCE = 1e-4
"""Relative difference of two losses: places are known to 3e-5 px, and sums run in other orders."""
RESULT = {"float32": "training_step", "bfloat16": "training_step_bfloat16"}
"""Names of the result files."""
ROUNDING = 1e-2
"""The same in bfloat16, whose scores have 8 bits."""


def first_losses(candidates: dict[str, Candidate], tolerance: float) -> dict[str, float]:
    """Take the first step of all and return the losses; losses that differ are an error."""
    sample = candidates["ours"].prepare()
    losses = {}
    for name, candidate in candidates.items():
        own = name == "eager"  # its augmentation is to give the same sample
        losses[name] = candidate.descend(candidate.prepare() if own else sample)
    for name, loss in losses.items():
        if not abs(loss - losses["ours"]) <= tolerance * losses["ours"]:
            raise RuntimeError(
                f"the first loss of {name} is {loss}, ours {losses['ours']}: they do not do the same work"
            )
    return losses


def measure(candidates: dict[str, Candidate], rounds: int, steps: int) -> dict[str, dict[str, Any]]:
    """Time steps of each candidate in turn; the first of each turn warms it up."""
    parts: dict[str, list[tuple[float, float, float]]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            with candidate.heap():
                candidate.step()
                for _ in range(steps):
                    cpu = time.process_time()
                    _, augmentation, rest = candidate.step()
                    parts[name].append((augmentation, rest, time.process_time() - cpu))
    result = {}
    for name, taken in parts.items():
        result[name] = {
            **summary([augmentation + rest for augmentation, rest, _ in taken]),
            "cpu": statistics.median(cpu for _, _, cpu in taken),
            "augmentation": summary([augmentation for augmentation, _, _ in taken]),
            "network_and_optimizer": summary([rest for _, rest, _ in taken]),
        }
    return result


@contextmanager
def training_set(folder: Path, settings: TrainingSettings, side: int) -> Iterator[TrainingSet]:
    """Yield a training set of one page of synthetic tissue, read from a TIFF."""
    images, labels = em_stack(1, side, side)
    for name, stack in (("images.tif", images), ("labels.tif", labels)):
        tifffile.imwrite(folder / name, stack, photometric="minisblack")
    with closing(load_training_set([(folder / "images.tif", folder / "labels.tif")], settings)) as data:
        yield data


def compare(settings: TrainingSettings, side: int, rounds: int, steps: int) -> dict[str, Any]:
    """Check the first losses, then time the steps."""
    half = settings.optimisation.precision == "bfloat16"
    with (
        tempfile.TemporaryDirectory() as folder,
        training_set(Path(folder), settings, side) as data,
        torch.random.fork_rng(devices=[]),
    ):
        training = Training(data, settings, Path(folder) / "run", torch.device("cpu"))
        others = {"eager": eager(training), "MONAI": monai(training)}
        candidates = {"ours": ours(training)} | {name: c for name, c in others.items() if c is not None}
        losses = first_losses(candidates, ROUNDING if half else TOLERANCE)
        times = measure(candidates, rounds, steps)
    for name, taken in times.items():
        print(
            f"{name:6}: {said(taken, 3)}, of it augmentation {taken['augmentation']['median']:.4f} s; "
            f"first loss {losses[name]:.7f}",
            flush=True,
        )
    assert isinstance(settings.network, NetworkSettings)
    return {
        "threads": thread_count(),
        "width": settings.network.width,
        "tile": settings.optimisation.tile,
        "precision": settings.optimisation.precision,
        "gflop": operations(settings.network.width, settings.optimisation.tile),
        "first_losses": losses,
        "seconds": times,
    }


def table(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each peer."""
    question = f"training step on a {cpu_kind()}, width {result['width']}, tile {result['tile']}"
    half = result["precision"] == "bfloat16"
    question += ", bfloat16" if half else ""
    # With one thread, other work on the machine does not count in the processor's time.
    alone = result["threads"] == 1
    question += ", processor time of one thread" if alone else ""
    names = {"eager": "eager PyTorch, augmentation by SciPy", "MONAI": "MONAI's transforms, the same network"}
    ways = "under autocast" if half else "on ours those of many channels by Winograd"
    times = {name: taken["cpu" if alone else "median"] for name, taken in result["seconds"].items()}
    return [
        row(
            question,
            against,
            times[name] / times["ours"],
            "x",
            AIM,
            note=f"{times['ours']:.2f} and {times[name]:.2f} s for {result['gflop']:.0f} GFLOP, by sums over "
            f"the window: all of them oneDNN's on the other side, {ways}",
        )
        for name, against in names.items()
        if name in times
    ]


def operations(width: int, tile: int) -> float:
    """Return the operations of a step in GFLOP: a pass, and two for the gradients of inputs and weights."""
    network = UNet(width=width).to("meta")
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 1, tile, tile, device="meta"))
    return 3 * float(counter.get_total_flops()) / 1e9


def measured(given: Namespace, precision: str) -> None:
    """Check and time one precision, print, and write its result file."""
    width, tile, side, rounds, steps = (4, 188, 128, 1, 2) if given.quick else (64, 572, 512, 6, 1)
    settings = load_settings(
        None,
        {
            "labels": {"kind": "membrane"},
            "network": {"width": width, "dropout": 0.0},
            "sampling": {"mirrored": 1.0},
            "optimisation": {"tile": tile, "learning_rate": RATE, "momentum": MOMENTUM}
            | {"precision": precision}
            | {"momentum_ramp": 0, "clip": 0.0},  # what neither of the others has
        },
    )
    result = compare(settings, side, rounds, steps)
    answer = {**result, "peers": peer_versions("monai", "torch", "scipy"), "table": table(result)}
    keep_result(given, result_of_kind(RESULT[precision]), __doc__, answer)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check that the losses agree, measure, print, and write the result files."""
    parser = options("training_step", __doc__, "a tiny network and tile")
    parser.add_argument(
        "--precision", choices=RESULT, help="default: one after the other; float32 alone with --out"
    )
    given = parser.parse_args(arguments)
    every = list(RESULT) if given.out is None else ["float32"]
    for precision in [given.precision] if given.precision else every:
        measured(given, precision)
    return 0


if __name__ == "__main__":
    sys.exit(main())
