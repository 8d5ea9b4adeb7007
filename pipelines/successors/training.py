"""One training and what it is worth, with the processor's time rather than the clock's."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.base.trainings import go_on_or_begin_anew
from pipelines.on_device.measures import measure
from pipelines.successors.settings import SuccessorSettings, Trial, training_settings
from unet2015 import networks, segment, train
from unet2015.images.reader import read_pages
from unet2015.models.model_file import read_model_file
from unet2015.safe_files import write_json
from unet2015.settings import TrainingSettings
from unet2015.training.log import read_log

TIMED = 6
"""Steps of the training that says how long a step takes."""
_POINTS = 100


class Clock:
    """Called after each step: the seconds that the processor has spent on this process by then."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.seconds: list[float] = []

    def __call__(self, done: int, steps: int) -> None:
        """Note the time after `done` steps."""
        if not self.steps or done > self.steps[-1]:
            self.steps.append(done)
            self.seconds.append(time.process_time())

    def step_seconds(self) -> float:
        """Return the median time of a step."""
        each = np.diff(self.seconds) / np.diff(self.steps)
        return float(np.median(each))


def time_step(chosen: SuccessorSettings, trial: Trial, images: Path, labels: Path, run: Path) -> float:
    """Return the CPU seconds of one step of a recipe: a few are taken, in the folder `run`."""
    clock = Clock()
    settings = training_settings(chosen, trial, TIMED)
    values = settings.model_dump(mode="json")
    values.pop("phase", None)  # all phases take the same step, the frozen ones a little less
    values["validation"]["interval"] = TIMED
    whole = TrainingSettings.model_validate(values)
    train(images, labels, run, settings=whole, device="cpu", progress=clock)
    return clock.step_seconds()


def run_trial(images: Path, labels: Path, run: Path, settings: TrainingSettings) -> dict[str, Any]:
    """Train, or go on after a stop, and return the CPU seconds by step: ``steps`` and ``seconds``.

    After a stop the seconds before it are not known; they are counted with the mean of those after it.
    """
    clock = Clock()
    go_on_or_begin_anew(images, labels, run, settings=settings, device="cpu", progress=clock)
    if len(clock.steps) < 2:  # a stop came between the last step and the end of this stage
        return {"steps": clock.steps, "seconds": [], "whole": False}
    first, steps = clock.steps[0], np.array(clock.steps)
    seconds = np.array(clock.seconds) - clock.seconds[0]
    rate = seconds[-1] / (steps[-1] - first)
    kept = np.unique(np.linspace(0, len(steps) - 1, _POINTS).astype(int))
    since = seconds + rate * first  # of the first step the beginning is not known either
    return {
        "steps": steps[kept].tolist(),
        "seconds": [round(float(one), 3) for one in since[kept]],
        "whole": first == 1,
    }


def measure_trial(run: Path, images: Path, truth: Path, kind: str, timed: dict[str, Any]) -> dict[str, Any]:
    """Segment what was held out and measure it; return the row of a training, with its curve."""
    model = read_model_file(run / "model.safetensors")
    pages, true = read_pages(images), read_pages(truth)
    started = time.process_time()
    levels = np.stack([_levels(page, model) for page in pages])
    seconds = time.process_time() - started
    looks = [line for line in read_log(run / "log.jsonl") if "validation_f1" in line]
    at = (
        np.interp([line["step"] for line in looks], timed["steps"], timed["seconds"])
        if timed["seconds"]
        else None
    )
    info = model.info
    return {
        "measures": measure(kind, true, levels),
        "seconds_a_megapixel": seconds / (pages.size / 1e6),
        "cpu_seconds": timed["seconds"][-1] if timed["seconds"] else None,
        "steps": max(line["step"] for line in looks),
        "step_of_the_model": info.training["step"],
        "learned": info.learned,
        "why_not_learned": list(info.why_not_learned),
        "curve": {
            "steps": [line["step"] for line in looks],
            "seconds": None if at is None else [round(float(one), 2) for one in at],
            "pixel_error": [line["validation_pixel_error"] for line in looks],
        },
        "exact": networks.geometry(info.network).exact,
    }


def _levels(page: NDArray[Any], model: Any) -> NDArray[np.uint8]:
    """Return the probability of class 1 of a page, from 0 to 255."""
    found = segment(page, model, probabilities=True, device="cpu")
    return np.asarray((found * 255).round(), np.uint8)


def facts(settings: TrainingSettings, side: int = 512) -> dict[str, Any]:
    """Return what a network is: parameters, operations for a pixel of its output, memory of a whole page.

    Operations are multiplications and additions of all convolutions, for the tile that gives `side` x `side`
    pixels or a little more, in inference on gray images, two classes.
    """
    from torch.utils.flop_counter import FlopCounterMode

    network = networks.build(settings.network, 1, 2).eval()
    tile = network.geometry.input_for(side)
    peak = networks.architecture_of(network).peak_values(network, tile, tile)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        output = network.to("meta")(torch.empty(1, 1, tile, tile, device="meta"))
    return {
        "described": networks.describe(settings.network),
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "operations_a_pixel": counter.get_total_flops() / (output.shape[-1] * output.shape[-2]),
        "peak_mib": 4 * peak / 2**20,
        "margin": network.geometry.margin,
        "exact": network.geometry.exact,
    }


def write_facts(chosen: SuccessorSettings, target: Path) -> None:
    """Write what each network is."""
    found = {}
    for kind in chosen.networks:
        trial = Trial(chosen.sets[0], kind, "common", "steps", chosen.seeds[0])
        found[kind] = facts(training_settings(chosen, trial, 1))
    write_json(target, found)


def budget(chosen: SuccessorSettings, trial: Trial, step_seconds: float) -> int:
    """Return the steps of a training: those of the settings, or what the time allows."""
    return chosen.steps if trial.until == "steps" else max(1, round(chosen.cpu_seconds / step_seconds))
