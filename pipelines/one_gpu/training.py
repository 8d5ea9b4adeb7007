"""The trainings of :mod:`pipelines.one_gpu`: some steps of each recipe, then all side by side, in time."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
import torch

from pipelines.on_device.trainings import begin, draws, take_turns
from pipelines.one_gpu.plan import RESERVED, Clock, Plan
from pipelines.one_gpu.results import Results
from pipelines.one_gpu.timing import step_operations
from unet2015.settings import TrainingSettings
from unet2015.training.deform import DevicePages
from unet2015.training.on_device import DeviceTraining

Say = Callable[[str], None]
_SPOKEN = 20
"""Seconds between two lines on how it goes."""
KEPT, DEAR = 60, 20
"""Seconds after which all trainings are kept as they stand: a device that is gone gives nothing back. But not
before `DEAR` times as long as it took the last time."""


def try_recipe(plan: Plan, name: str, recipe: str, device: torch.device) -> dict[str, Any]:
    """Take some steps of a recipe on a training; return what was learned, in nats a pixel."""
    settings = plan.settings(name, plan.recipes[recipe], plan.trial_steps)
    pages = plan.pages(name, settings)
    training = begin(settings, pages, device)
    training.run(plan.trial_steps)
    training.wait()
    level, constant = pixel_loss(training, pages)
    return {
        "loss": float(training.losses[: plan.trial_steps][-50:].mean()),
        "cross_entropy": level,
        "best_constant": constant,
        "learned": level < constant,
    }


def pixel_loss(training: DeviceTraining, pages: DevicePages) -> tuple[float, float]:
    """Return the cross-entropy of the first pages and that of the best constant answer, in nats."""
    few = slice(0, 4)
    levels = training.predict(list(pages.images[few])).astype(np.float64)
    known = pages.classes[few] != 255
    inside = np.clip(levels[known] / 255, 1 / 510, 1 - 1 / 510)
    truth = pages.classes[few][known] == 1
    share = float(np.clip(truth.mean(), 1e-6, 1 - 1e-6))
    constant = -share * math.log(share) - (1 - share) * math.log(1 - share)
    return float(-np.log(np.where(truth, inside, 1 - inside)).mean()), constant


def choose(plan: Plan, found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return the recipe of each training: its own, or that which learned most on data of its kind."""
    chosen = {}
    for name, training in plan.trainings.items():
        kind = plan.split(name).kind
        like = next((n for n in plan.trials if plan.split(n).kind == kind), plan.trials[0])
        learned = {r: v for r, v in found[like].items() if v["learned"]} or found[like]
        best = min(learned, key=lambda recipe: learned[recipe]["cross_entropy"])
        chosen[name] = training.get("recipe", best)
    return chosen


@dataclass(eq=False)
class Begun:
    """A training that is loaded, and whether its number of steps was chosen in an earlier run."""

    training: DeviceTraining
    settings: TrainingSettings
    resumed: bool

    @property
    def left(self) -> int:
        """Steps to go."""
        return self.settings.optimisation.steps - int(self.training.at)


class SideBySide:
    """Trainings that share a device.

    Parameters
    ----------
    plan : Plan
        What they are.
    results : Results
        Where those lie that were stopped.
    clock : Clock
        How long they may take.
    stop : Event
        Set when all shall end where they stand.
    say : callable
        What to do with a line on how it goes.
    """

    def __init__(self, plan: Plan, results: Results, clock: Clock, stop: Event, say: Say) -> None:
        self.plan, self.results, self.clock, self.stop, self.say = plan, results, clock, stop, say
        self.begun: dict[str, Begun] = {}

    def begin(self, chosen: dict[str, str], steps: dict[str, int], device: torch.device) -> None:
        """Load trainings by name and recipe; those that were kept go on with the steps they had."""
        plan = self.plan
        for name, recipe in chosen.items():
            resumed = self.results.stopped(name).exists() and name in steps
            settings = plan.settings(name, plan.recipes[recipe], steps[name] if resumed else plan.longest)
            pages = plan.pages(name, settings)
            # Of one whose steps are not chosen yet only the draws that time it are needed.
            training = begin(settings, pages, device, plan.longest, None if resumed else plan.timed + 1)
            if resumed:
                self.results.restore(name, training)
            self.begun[name] = Begun(training, settings, resumed)

    def choose_steps(self, names: list[str]) -> float | None:
        """Choose the steps of new trainings by the time that is left; return steps a second.

        The first steps are the trial of the speed: they lie in the warm-up, which does not depend on how
        many there are. None: it was stopped, or the time was up.
        """
        if self.rounds(dict.fromkeys(names, 1)):  # a step is recorded
            return None
        start = time.monotonic()
        if self.rounds(dict.fromkeys(names, self.plan.timed)):
            return None
        rate = len(names) * self.plan.timed / (time.monotonic() - start)
        # All share what is left now: what it takes to draw for one must not shorten the next.
        seconds = max(1.0, self.clock.left - RESERVED * self.clock.seconds - 0.5 * len(names))
        shares = {name: self.plan.trainings[name].get("share", 1.0) for name in names}
        for name, share in shares.items():
            steps = int(rate * seconds * share / sum(shares.values()))
            steps = min(max(steps, self.plan.shortest), self.plan.longest)
            self._extend(name, min(steps, self.plan.trainings[name].get("steps", steps)))
        return rate

    def _extend(self, name: str, steps: int) -> None:
        begun = self.begun[name]
        values = begun.settings.optimisation.model_copy(update={"steps": steps})
        begun.settings = begun.settings.model_copy(update={"optimisation": values})
        begun.training.extend(begun.settings, draws(begun.settings, self.plan.pages(name, begun.settings)))

    def operations(self) -> float:
        """Return the operations of all steps to go."""
        return sum(one.left * step_operations(one.settings) for one in self.begun.values())

    def rounds(self, counts: dict[str, int], say: bool = False) -> dict[str, int]:
        """Take steps of several trainings in turn; return those that were not taken.

        They are when it was stopped, or the time was up.
        """
        spoken = kept = time.monotonic()
        pause: float = KEPT

        def go_on() -> bool:
            return not self.stop.is_set() and self.clock.left >= RESERVED / 2 * self.clock.seconds

        def speak(left: Mapping[str, int]) -> None:
            nonlocal spoken, kept, pause
            if say and time.monotonic() - spoken > _SPOKEN:
                spoken = time.monotonic()
                self.say(f"steps left: {sum(left.values())}; losses {self._losses()}")
            if say and time.monotonic() - kept > pause:
                start = time.monotonic()
                self.keep(name for name, count in left.items() if count)
                kept = time.monotonic()
                pause = max(KEPT, DEAR * (kept - start))

        trainings = {name: begun.training for name, begun in self.begun.items()}
        return take_turns(trainings, counts, go_on, speak)

    def _losses(self) -> dict[str, float]:
        trainings = {name: begun.training for name, begun in self.begun.items()}
        return {
            name: round(float(t.losses[max(0, int(t.at) - 100) : int(t.at)].mean()), 3)
            for name, t in trainings.items()
        }

    def keep(self, names: Iterable[str]) -> list[str]:
        """Keep trainings as they stand; return those that could be kept."""
        kept = []
        for name in names:
            with suppress(Exception):  # a device that is gone must not hide why
                self.results.keep(name, self.begun[name].training)
                kept.append(name)
        return kept
