"""Curves of quality over processor time: the task, the clock, the measures, and our own training.

Used by `benchmarks.time_to_quality`.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

import unet2015
from pipelines.on_device.measures import measure_em
from unet2015.settings import TrainingSettings, load_settings
from unet2015.synthetic import em_stack

Point = dict[str, Any]
"""One checkpoint: ``step``, ``seconds`` of processor time that the training had taken, and the measures."""

HELD_OUT = 6
"""Slices at the end of the stack that are measured and not trained on: 24 to 29 of 30."""


@dataclass(frozen=True)
class Task:
    """What is trained on, what is measured, and for how long a training goes on.

    Attributes
    ----------
    images, labels : ndarray of uint8, shape (slices, height, width)
        What is trained on; labels above 0 are the inside of cells.
    test, truth : ndarray of uint8, shape (slices, height, width)
        What is measured.
    budget : float
        Seconds of processor time of one training.
    checkpoints : int
        Points of a curve.
    tiny : bool
        Whether networks and tiles are as small as can be, to see that the code runs.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    test: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    budget: float
    checkpoints: int
    tiny: bool = False

    def marks(self, steps: int) -> list[int]:
        """Return the steps after which a training of so many steps is measured, the last included."""
        return sorted({max(1, round(steps * k / self.checkpoints)) for k in range(1, self.checkpoints + 1)})

    def asked(self) -> dict[str, Any]:
        """Return what two runs must share to be compared, as plain JSON."""
        stacks = self.images, self.labels, self.test, self.truth
        digest = hashlib.sha256(b"".join(np.ascontiguousarray(stack).tobytes() for stack in stacks))
        return {
            "trained_on": len(self.images),
            "measured_on": len(self.test),
            "pixels_sha256": digest.hexdigest(),
            "budget": self.budget,
            "checkpoints": self.checkpoints,
            "tiny": self.tiny,
        }

    def measure(self, probability: NDArray[Any]) -> dict[str, float]:
        """Return the measures of the maps of the test slices, each the best over thresholds."""
        return measure_em(self.truth, np.rint(255 * np.asarray(probability, np.float32)).astype(np.uint8))


def read_task(data: Path, budget: float, checkpoints: int) -> Task:
    """Read the ISBI 2012 training stack from a folder, or from ``isbi2012/`` in it."""
    folder = data / "isbi2012" if (data / "isbi2012").is_dir() else data
    images, labels = (tifffile.imread(folder / f"train-{name}.tif") for name in ("volume", "labels"))
    return Task(
        images[:-HELD_OUT],
        labels[:-HELD_OUT],
        images[-HELD_OUT:],
        labels[-HELD_OUT:],
        budget,
        checkpoints,
    )


def tiny_task() -> Task:
    """Return a task of seconds, of drawn tissue."""
    images, labels = em_stack(3, 96, 96)
    return Task(images[:-1], labels[:-1], images[-1:], labels[-1:], 0.2, 2, tiny=True)


class Clock:
    """Processor time of this process since it was made, without the parts that were paused."""

    def __init__(self) -> None:
        self._start = time.process_time()

    @property
    def seconds(self) -> float:
        """Seconds so far; not to be asked while paused."""
        return time.process_time() - self._start

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what is done within."""
        begun = time.process_time()
        try:
            yield
        finally:
            self._start += time.process_time() - begun


def say(side: str, seed: int, point: Point) -> None:
    """Print a point of a curve."""
    measures = ", ".join(f"{name} {point[name]:.4f}" for name in ("pixel_error", "rand_error", "v_rand"))
    loss = f", loss {point['loss']:.4f}" if point.get("loss") is not None else ""
    print(
        f"{side}, seed {seed}: step {point['step']}, {point['seconds']:.1f} s: {measures}{loss}", flush=True
    )


def our_settings(task: Task, seed: int) -> TrainingSettings:
    """Return the shipped settings ``quick`` for membranes."""
    changes: dict[str, Any] = {"seed": seed, "labels": {"kind": "membrane"}}
    if task.tiny:
        changes |= {
            "network": {"width": 2, "depth": 2},
            "optimisation": {"tile": 60, "steps": 4, "warmup": 2},
            "validation": {"interval": 4, "fraction": 0.5},
        }
    return load_settings("quick", changes)


def train_ours(task: Task, seed: int, folder: Path) -> dict[str, Any]:
    """Train by `unet2015.train` in `folder`; return the curve.

    The clock runs over all of it, from the files to the model, with what ``quick`` does on the way: its
    choice of the precision, its validations on the slices that it holds out itself, its checkpoints. The
    weights at each mark are copied, the clock paused, and measured afterwards. The last point is the model
    that is kept.
    """
    settings = our_settings(task, seed)
    for name, stack in (("images.tif", task.images), ("labels.tif", task.labels)):
        tifffile.imwrite(folder / name, stack, photometric="minisblack")
    train = unet2015.train  # loaded before the clock starts
    copies: list[tuple[int, float, list[torch.Tensor]]] = []
    clock = Clock()
    with copied_weights(clock, task.marks(settings.optimisation.steps)[:-1], copies):
        model = train(
            folder / "images.tif", folder / "labels.tif", folder / "run", settings=settings, device="cpu"
        )
    took = clock.seconds

    def point(step: int, seconds: float) -> Point:
        found = unet2015.segment(task.test, model, probabilities=True, device="cpu")
        made = {"step": step, "seconds": seconds, **task.measure(found)}
        say("ours", seed, made)
        return made

    last = point(settings.optimisation.steps, took)
    points = []
    names = [name for name, _ in model.network.named_parameters()]
    for step, seconds, weights in copies:
        model.network.load_state_dict(dict(zip(names, weights, strict=True)))
        points.append(point(step, seconds))
    lines = (json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines())
    begin = [line for line in lines if "precision" in line][-1]
    return {
        "steps": settings.optimisation.steps,
        "settings": settings.model_dump(mode="json"),
        "precision": begin["precision"],
        "held_out_by_itself": begin["held_out"],
        "points": [*points, last],
    }


@contextmanager
def copied_weights(
    clock: Clock, marks: Sequence[int], copies: list[tuple[int, float, list[torch.Tensor]]]
) -> Iterator[None]:
    """Copy the weights of whatever optimizer takes these steps: step, seconds and weights into `copies`."""
    taken, optimizers = 0, [object()]

    def after(optimizer: Optimizer, *_: Any) -> None:
        nonlocal taken
        if optimizer is not optimizers[-1]:  # a training that begins again has a new one
            optimizers.append(optimizer)
            taken = 0
        taken += 1
        if taken in marks:
            with clock.paused():
                weights = [w.detach().clone() for group in optimizer.param_groups for w in group["params"]]
            copies.append((taken, clock.seconds, weights))

    handle = register_optimizer_step_post_hook(after)
    try:
        yield
    finally:
        handle.remove()
