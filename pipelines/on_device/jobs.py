"""A queue of trainings on one device, some side by side, within a time.

Each job is a training of :mod:`unet2015.training.on_device`. Jobs whose settings give the same graph share a
recorded one, one after the other.
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

from pipelines.on_device.trainings import CHUNK, begin, draws
from unet2015.settings import TrainingSettings
from unet2015.training.deform import DevicePages
from unet2015.training.on_device import DeviceTraining

AHEAD = 6
"""Chunks of a training that wait for the device, so that it has work while another training is loaded."""
ROOM = 24 * 2**30
"""Bytes of a GPU that must be free for a new recording; idle ones are given up for them."""


@dataclass(eq=False)
class QueuedTraining:
    """One training.

    Attributes
    ----------
    name : str
        What it is called in results.
    settings : TrainingSettings
        Its seed and recipe; ``optimisation.steps`` is how long it trains.
    pages : callable
        Gives what it trains on; called when its turn comes.
    finish : callable
        Called with the training when its steps are done: takes maps, weights, losses.
    """

    name: str
    settings: TrainingSettings
    pages: Callable[[], DevicePages]
    finish: Callable[[DeviceTraining], object]


def signature(settings: TrainingSettings, shape: tuple[int, ...]) -> str:
    """Return what must be the same for two trainings to share a recorded step."""
    rule, aug = settings.optimisation, settings.augmentation
    shared = {"batch", "tile", "optimizer", "nesterov", "betas", "weight_decay", "loss", "loss_divisor"}
    return json.dumps(
        [
            settings.network.model_dump(mode="json"),
            settings.labels.classes,
            rule.model_dump(mode="json", include=shared | {"precision"}),
            [bool(rule.clip), bool(rule.average), aug.interpolation, aug.elastic_grid, aug.blur],
            shape,
        ]
    )


@dataclass(eq=False)
class _Slot:
    job: QueuedTraining
    training: DeviceTraining
    asked: int = 0
    waiting: list[Any] = field(default_factory=list)

    def advance(self) -> bool:
        """Ask for a chunk where fewer than `AHEAD` wait; return whether all steps are done."""
        steps = self.job.settings.optimisation.steps
        self.waiting = [event for event in self.waiting if not event.query()]
        while self.asked < steps and len(self.waiting) < AHEAD:
            count = min(CHUNK, steps - self.asked)
            self.training.run(count)
            self.asked += count
            if self.training.stream is not None:
                event = torch.cuda.Event()  # type: ignore[no-untyped-call]
                event.record(self.training.stream)
                self.waiting.append(event)
        return self.asked == steps and not self.waiting


def run_jobs(
    jobs: Iterable[QueuedTraining],
    device: torch.device,
    slots: int,
    until: float,
    failed: Callable[[QueuedTraining, Exception], object],
    idle: dict[str, list[DeviceTraining]] | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> int:
    """Run jobs, `slots` at a time, in their order; none is begun after `until` (`time.monotonic`).

    A job that fails is told to `failed`, and the others go on. `idle` holds trainings that are recorded
    already, by their `signature`. `meanwhile` is called again and again. Returns how many were finished.
    """
    queue, active = iter(jobs), list[_Slot]()
    idle = {} if idle is None else idle
    finished, open_ = 0, True
    while open_ or active:
        while open_ and len(active) < slots:
            job = next(queue, None) if time.monotonic() < until else None
            if job is None:
                open_ = False
                break
            try:
                active.append(_begin(job, device, idle))
            except Exception as error:  # one training must not cost the others
                failed(job, error)
        moved = False
        for slot in list(active):
            try:
                before = slot.asked
                done = slot.advance()
                moved |= done or slot.asked > before
                if not done:
                    continue
                slot.job.finish(slot.training)
                finished += 1
            except Exception as error:
                failed(slot.job, error)
                active.remove(slot)
                continue
            active.remove(slot)
            shape = slot.training.shape
            idle.setdefault(signature(slot.job.settings, shape), []).append(slot.training)
        meanwhile()
        if active and not moved:
            time.sleep(0.0005)
    return finished


def _begin(job: QueuedTraining, device: torch.device, idle: dict[str, list[DeviceTraining]]) -> _Slot:
    pages = job.pages()
    shape = (*pages.images.shape,)
    free = idle.get(signature(job.settings, shape), [])
    fitting = [training for training in free if training.capacity >= job.settings.optimisation.steps]
    if not fitting:
        _make_room(device, idle)
        training = begin(job.settings, pages, device)
    else:
        training = fitting[0]
        free.remove(training)
        training.load(job.settings, pages, draws(job.settings, pages))
    return _Slot(job, training)


def _make_room(device: torch.device, idle: dict[str, list[DeviceTraining]]) -> None:
    """Give up trainings that wait, the oldest kind first, where a GPU has less than `ROOM` left."""
    while device.type == "cuda" and idle and torch.cuda.mem_get_info(device)[0] < ROOM:
        del idle[next(iter(idle))]
        torch.cuda.empty_cache()
