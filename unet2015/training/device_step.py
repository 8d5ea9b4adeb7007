"""A step of the training on one GPU: tiles, gradient and update recorded as one CUDA graph.

It changes the same tensors as :class:`unet2015.training.learner.Learner`: the weights of its network, the
memory of its optimizer, its average. So validation, checkpoints and the next phase find them where they are.
The results are those of the learner's own steps, up to rounding.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unet2015.device import (
    drawing,
    fetch,
    release_cached_memory,
    seed_device,
    send,
    synchronize,
    transfer_array,
)
from unet2015.networks import Network, TrainingScores
from unet2015.networks.architecture import counterparts, shared_copy
from unet2015.networks.gpu_training import fuse
from unet2015.settings import TrainingSettings
from unet2015.training.augment import Sample
from unet2015.training.deform import NUMBERS, Deformer
from unet2015.training.learner import Learner
from unet2015.training.losses import total_weight
from unet2015.training.muon import hidden_weights
from unet2015.training.pages import TrainingPage
from unet2015.training.recording import Recorded, forget_gradients, kept, losses_with_gradient
from unet2015.training.update import RATES, Update

_FIGURES = RATES + 1
"""Numbers of a step before its draws: its rates, and its number."""
_BAND = 1 << 23
"""Pixels of a page that are read at a time, so that a large page does not take as much memory again."""


class DeviceStep:
    """A step on a device that a GPU takes without waiting for the host.

    Parameters
    ----------
    learner : Learner
        Its tensors are changed.
    settings : TrainingSettings
        Of the phase.
    precision : str
        In which the network runs: ``float32`` or ``bfloat16``.
    pages : sequence of TrainingPage
        They are read, and laid on the device; tiles are made of them there. Empty: tiles are given.

    Raises
    ------
    RuntimeError
        The step cannot be recorded, or there is not enough memory. The learner is as it was.
    """

    def __init__(
        self, learner: Learner, settings: TrainingSettings, precision: str, pages: Sequence[TrainingPage]
    ) -> None:
        self.learner, self.rule, self.device = learner, settings.optimisation, learner.device
        self.precision = precision
        self.scores = TrainingScores(_twin(learner))
        rule, channels = self.rule, learner.network.in_channels
        output = learner.network.training_geometry.output_size(rule.tile)
        self.deform = None
        length = 0
        if pages:
            self.deform = _deformer(pages, channels, output, settings, self.device)
            length = rule.batch * (NUMBERS + 2 * settings.augmentation.elastic_grid**2)
        self.sample = _empty(rule.batch, channels, rule.tile, output, self.device) if not pages else None
        self.values = torch.zeros(_FIGURES + length, device=self.device)
        self.found = torch.zeros(2 * rule.batch + 1, device=self.device)
        self._buffers = [*learner.network.buffers()]
        if learner.average is not None:
            self._buffers += learner.average.network.buffers()
        weights: list[Tensor] = list(learner.network.parameters())
        self.recorded = Recorded(self._step, self._changing, weights, self.device)
        synchronize(self.device)
        with kept(self._buffers, self.recorded), self.recorded.on():
            self._gradient()
        # Frozen weights have none, nor those of a part that the loss does not see: they stay as they are.
        self.numbers = [k for k, weight in enumerate(weights) if weight.grad is not None]
        self.parameters: list[Tensor] = [weights[k] for k in self.numbers]
        self._remember(weights)
        synchronize(self.device)
        self.recorded.record()
        release_cached_memory(self.device)
        for weight, named in self._moments():
            learner.optimizer.state[weight].update(named)

    def _remember(self, weights: list[Tensor]) -> None:
        """Make the update of the weights, with the learner's average and what its optimizer remembers."""
        learner, every = self.learner, hidden_weights(weights)
        hidden = {place for place, k in enumerate(self.numbers) if k in every}
        means: list[Tensor] = []
        if learner.average is not None:
            means += learner.average.network.parameters()
        average = [means[k] for k in self.numbers if means]
        self.update = Update(self.rule, self.parameters, hidden, average)
        for weight, named in self._moments():
            memory = learner.optimizer.state.get(weight, {})
            for name, moment in named.items():
                if memory.get(name) is not None:
                    moment.copy_(memory[name])

    def _moments(self) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """Yield each weight with its moments, by the names that they have in its optimizer."""
        adam = set() if self.rule.optimizer == "sgd" else set(self.update.rest)
        for k, weight in enumerate(self.parameters):
            names = ("exp_avg", "exp_avg_sq") if k in adam else ("momentum_buffer",)
            yield (
                weight,
                {name: moments[k] for name, moments in zip(names, self.update.moments, strict=False)},
            )

    def _changing(self) -> list[Tensor]:
        moments = [one for each in self.update.moments for one in each]
        return [*self.parameters, *self._buffers, *self.update.average, *moments, self.found]

    def __call__(self, figures: Sequence[float], rows: NDArray[np.float32], seed: int) -> Callable[[], Any]:
        """Begin a step; what is returned waits for its end, and gives what came of it.

        Parameters
        ----------
        figures : sequence of float
            As from `unet2015.training.update.step_rates`, and the number of the step, from 0.
        rows : ndarray of float32, shape (batch, numbers)
            What `unet2015.training.deform.draw_row` gives for each tile; of no tile where tiles are given.
        seed : int
            Of the drop-out.

        Returns
        -------
        callable
            () -> float32 of shape (2 * batch + 1,): losses, sums of weights, norm of the gradient.
        """
        values = transfer_array((len(self.values),), np.float32, self.device)
        values = np.empty(len(self.values), np.float32) if values is None else values
        values[:_FIGURES], values[_FIGURES:] = figures, rows.ravel()
        with self.recorded.on():
            self.values.copy_(send(values, self.device, torch.float32))
            with drawing():
                seed_device(self.device, seed)
                self.recorded()
            waited = fetch(self.found.clone())

        def wait(_sent: NDArray[Any] = values) -> NDArray[Any]:
            return waited()

        return wait

    def give(self, sample: Sample) -> None:
        """Give the tiles of the next step, where they do not lie on the device."""
        assert self.sample is not None
        with self.recorded.on():
            for place, plane in zip(self.sample, sample, strict=True):
                place.copy_(plane)

    def end(self, steps: int) -> None:
        """Write into the memory of the optimizer how many steps were taken."""
        for weight in self.parameters:
            memory = self.learner.optimizer.state[weight]
            if "exp_avg" in memory:
                memory["step"] = torch.tensor(float(steps))

    def _step(self) -> None:
        sample, losses = self._gradient()
        figures = self.values[:_FIGURES]
        norm = self.update(figures[:RATES], figures[RATES:])
        with torch.no_grad():
            if self.learner.average is not None:
                own = self.learner.network.buffers()
                for mean, value in zip(self.learner.average.network.buffers(), own, strict=True):
                    mean.copy_(value)
            teaching = torch.stack([*map(total_weight, sample.classes, sample.weights)])
            self.found.copy_(torch.cat([losses.float(), teaching.float(), norm[None].float()]))

    def _gradient(self) -> tuple[Sample, Tensor]:
        sample = self.sample
        if sample is None:
            assert self.deform is not None
            rows = self.values[_FIGURES:].view(self.rule.batch, -1)
            tiles = [self.deform(row) for row in rows]
            sample = Sample(*(torch.stack(planes) for planes in zip(*tiles, strict=True)))
        forget_gradients(list(self.learner.network.parameters()))
        return sample, losses_with_gradient(self.scores, self.rule, self.precision, sample)


def _twin(learner: Learner) -> Network:
    """Return the learner's network in faster layers with the same weights; frozen ones evaluate."""
    twin = shared_copy(learner.network)
    twin.train()
    for module in counterparts(learner.frozen, learner.network, twin):
        module.eval()
    fuse(twin)
    return twin


def _deformer(
    pages: Sequence[TrainingPage],
    channels: int,
    output: int,
    settings: TrainingSettings,
    device: torch.device,
) -> Deformer:
    """Read pages, and lay them on the device."""
    sizes = [(page.classes.shape[0], page.classes.shape[1]) for page in pages]
    tile = settings.optimisation.tile
    deform = Deformer(sizes, channels, tile, output, settings.augmentation, device)
    for number, (page, (height, width)) in enumerate(zip(pages, sizes, strict=True)):
        rows = max(1, _BAND // width)
        for top in range(0, height, rows):
            band = slice(top, min(top + rows, height))
            image = np.ascontiguousarray(page.source.read(0, band.start, band.stop, 0, width))
            deform.put(number, image, page.classes[band], page.weights[band], page.deviation, top)
    return deform


def _empty(batch: int, channels: int, tile: int, output: int, device: torch.device) -> Sample:
    """Return tiles without anything in them, for those that are given."""
    image = torch.zeros((batch, channels, tile, tile), device=device)
    classes = torch.zeros((batch, output, output), dtype=torch.int64, device=device)
    return Sample(image, classes, torch.ones((batch, output, output), device=device))
