"""Trainings on a device: begun with the draws of the loop, and given their steps in turn."""

import hashlib
import json
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from unet2015.networks import training_geometry
from unet2015.settings import TrainingSettings
from unet2015.training.deform import DevicePages, draw_row
from unet2015.training.draw import draw
from unet2015.training.labels import IGNORED
from unet2015.training.on_device import DeviceTraining
from unet2015.training.sampling import TileSampler

CHUNK = 16
"""Steps given at once; of each training two chunks wait for the device, so that it is never idle."""


_drawn: dict[str, NDArray[np.float32]] = {}


def draws(settings: TrainingSettings, pages: DevicePages, steps: int | None = None) -> NDArray[np.float32]:
    """Return the draws of the first steps, or of all, those of the loop: float32, (steps, batch, numbers)."""
    height, width = pages.images.shape[2:]
    rule = settings.optimisation
    steps = rule.steps if steps is None else steps
    output = training_geometry(settings.network).output_size(rule.tile)
    key = json.dumps(
        [
            settings.seed,
            settings.augmentation.model_dump(mode="json"),
            settings.sampling.model_dump(mode="json"),
            [steps, rule.batch, output, pages.deviation],
            [pages.images.shape, hashlib.sha256(np.packbits(pages.classes == IGNORED).tobytes()).hexdigest()],
        ]
    )
    if key not in _drawn:
        sampler = TileSampler.of(list(pages.classes), settings.sampling, settings.seed, output)
        rows = []
        for number in range(steps * rule.batch):
            page = sampler.page(number)
            chosen = draw(
                settings.augmentation, settings.seed, number, height, width, centres=sampler.centres[page]
            )
            rows.append(draw_row(chosen, page, pages.deviation))
        _drawn[key] = np.stack(rows).reshape(steps, rule.batch, -1)
    return _drawn[key]


def begin(
    settings: TrainingSettings,
    pages: DevicePages,
    device: torch.device,
    capacity: int | None = None,
    drawn: int | None = None,
) -> DeviceTraining:
    """Return a training that is loaded.

    Parameters
    ----------
    settings, pages, device
        Of the training.
    capacity : int, optional
        Most steps that it may be extended to; its own otherwise.
    drawn : int, optional
        Of how many steps the draws are made; of all otherwise.
    """
    training = DeviceTraining(settings, pages.images.shape, capacity or settings.optimisation.steps, device)
    training.load(settings, pages, draws(settings, pages, drawn))
    return training


def take_turns(
    trainings: Mapping[str, DeviceTraining],
    counts: Mapping[str, int],
    go_on: Callable[[], bool],
    after: Callable[[Mapping[str, int]], object] = lambda left: None,
) -> dict[str, int]:
    """Ask trainings in turn for as many steps as `counts` says, by their names.

    Parameters
    ----------
    trainings, counts
        By name.
    go_on : callable
        Asked before each round; where it says no, all end where they stand.
    after : callable
        Called after each round with the steps that are left.

    Returns
    -------
    dict
        The steps that were not taken.
    """
    left = {name: count for name, count in counts.items() if count > 0}
    while left and go_on():
        largest = max(left.values())
        for name in list(left):
            # Those with more to do are given more, so that all end together.
            count = min(left[name], max(1, round(CHUNK * left[name] / largest)))
            trainings[name].run(count)
            left[name] -= count
            if not left[name]:
                del left[name]
        for name in counts:
            trainings[name].wait()
        after(left)
    return left
