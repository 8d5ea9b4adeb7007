"""The trainings of :mod:`pipelines.successors.on_gpu`: timed, queued, and measured in other processes."""

import sys
import time
from collections.abc import Iterator
from typing import Any

import torch

from pipelines.base.curves import means
from pipelines.on_device.jobs import QueuedTraining, run_jobs, signature
from pipelines.on_device.measuring import Measuring
from pipelines.on_device.sets import Arrays, PackedSets, find_split
from pipelines.on_device.trainings import begin
from pipelines.one_gpu.training import pixel_loss
from pipelines.successors.settings import DeviceComparison, Trial, common_settings, trials
from pipelines.successors.training import facts
from unet2015.device import accelerator_names, hardware_name
from unet2015.provenance import machine, versions
from unet2015.settings import TrainingSettings
from unet2015.training.deform import DevicePages
from unet2015.training.on_device import DeviceTraining

WARM, TIMED = 3, 20
"""Steps before a step is timed, and steps that are timed together."""


class Comparison:
    """The trainings and what becomes of them.

    Parameters
    ----------
    arrays : mapping
        The packed sets.
    chosen : DeviceComparison
        What is compared.
    device : torch.device
        What is trained on.
    processes : int
        How many measure.
    """

    def __init__(
        self, arrays: Arrays, chosen: DeviceComparison, device: torch.device, processes: int
    ) -> None:
        self.sets, self.chosen, self.device = PackedSets(arrays), chosen, device
        self.speed: dict[str, dict[str, float]] = {}
        self.idle: dict[str, list[DeviceTraining]] = {}
        self.rows: dict[str, dict[str, Any]] = {}  # by the names of the trainings
        self.failed: dict[str, str] = {}
        self.measuring = Measuring(processes)
        self.measuring.warm()

    def settings(self, trial: Trial, steps: int) -> TrainingSettings:
        """Return the settings of a training."""
        whole = common_settings(self.chosen, trial)
        rule = whole.optimisation.model_copy(update={"precision": "bfloat16", "steps": steps})
        return whole.model_copy(update={"optimisation": rule})

    def time(self, network: str) -> None:
        """Time a step of a network and its inference, alone on the device."""
        chosen = self.chosen
        trial = Trial(chosen.sets[0], network, "common", "time", chosen.seeds[0])
        settings, split = self.settings(trial, chosen.longest), find_split(self.sets.arrays, trial.data)
        pages = self.sets.training(split, settings)
        training = begin(settings, pages, self.device, chosen.longest, WARM + TIMED)

        def seconds(work: Any) -> float:
            training.wait()
            start = time.perf_counter()
            work()
            training.wait()
            return time.perf_counter() - start

        seconds(lambda: training.run(WARM))
        step = seconds(lambda: training.run(TIMED)) / TIMED
        images = list(self.sets.test(split, settings)[0][:3])
        training.predict(images[:1])
        inference = seconds(lambda: training.predict(images)) / (sum(page.size for page in images) / 1e6)
        self.speed[network] = {"seconds_a_step": step, "seconds_a_megapixel": inference}
        self.idle.setdefault(signature(settings, pages.images.shape), []).append(training)
        print(f"{network}: {1000 * step:.1f} ms a step, {1000 * inference:.0f} ms a megapixel", flush=True)

    def jobs(self) -> Iterator[QueuedTraining]:
        """Yield the trainings of all networks that could be timed."""
        for trial in self.trials():
            if trial.network in self.speed:
                yield self._job(trial)

    def trials(self) -> list[Trial]:
        """Return all trainings; the first seed of everything first."""
        return trials(self.chosen, [("common", until) for until in self.chosen.ways])

    def _job(self, trial: Trial) -> QueuedTraining:
        chosen, step = self.chosen, self.speed[trial.network]["seconds_a_step"]
        steps = chosen.steps if trial.until == "steps" else max(1, round(chosen.gpu_seconds / step))
        settings = self.settings(trial, min(steps, chosen.longest))
        split = find_split(self.sets.arrays, trial.data)

        def pages() -> DevicePages:
            return self.sets.training(split, settings)

        def finish(training: DeviceTraining) -> None:
            images, truth = self.sets.test(split, settings)
            levels = training.predict(list(images))
            level, constant = pixel_loss(training, pages())
            count = settings.optimisation.steps
            row = {
                "data": trial.data,
                "network": trial.network,
                "recipe": trial.recipe,
                "equal": trial.until,
                "seed": trial.seed,
                "steps": count,
                "gpu_seconds": count * step,
                "seconds_a_megapixel": self.speed[trial.network]["seconds_a_megapixel"],
                "learned": level < constant,
                "loss": means(training.losses[:count].cpu().numpy(), 20),
            }

            def done(measures: dict[str, float]) -> None:
                self.rows[trial.name] = row | {"measures": measures}

            def failed(error: Exception) -> None:
                self._failed(f"measure {trial.network} on {trial.data}, seed {trial.seed}", error)

            self.measuring.add(split.kind, truth, levels, done, failed)

        return QueuedTraining(trial.name, settings, pages, finish)

    def run(self, slots: int, until: float) -> None:
        """Time all networks and train them; no training begins after `until` (`time.monotonic`)."""
        for network in self.chosen.networks:
            try:
                self.time(network)
            except Exception as error:  # one network must not cost the others
                self._failed(f"time-{network}", error)
        jobs = list(self.jobs())
        started = time.monotonic()
        done = run_jobs(jobs, self.device, slots, until, lambda job, e: self._failed(job.name, e), self.idle)
        print(f"{done} of {len(jobs)} trainings in {time.monotonic() - started:.0f} s", flush=True)

    def _failed(self, name: str, error: Exception) -> None:
        self.failed[name] = f"{type(error).__name__}: {error}"[:300]
        print(f"{name}: {self.failed[name]}", file=sys.stderr, flush=True)

    def result(self) -> dict[str, Any]:
        """Return all that was found."""
        every = self.trials()
        first = {trial.network: trial for trial in reversed(every)}
        return {
            "rows": [self.rows[trial.name] for trial in every if trial.name in self.rows],
            "missing": [trial.name for trial in every if trial.name not in self.rows],
            "failed": self.failed,
            "speed": self.speed,
            "networks": {name: facts(self.settings(first[name], 1)) for name in self.chosen.networks},
            "settings": self.chosen.model_dump(mode="json"),
            "device": hardware_name(self.device),
            "versions": versions(),
            "machine": machine(accelerator_names()),
        }
