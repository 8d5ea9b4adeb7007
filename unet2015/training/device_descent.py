"""Gradient descent whose steps a GPU takes by itself, wherever that is possible."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.device import available_memory, is_out_of_memory, release_cached_memory
from unet2015.training.deform import draw_row, most_positions, page_bytes
from unet2015.training.device_step import DeviceStep
from unet2015.training.flight import Flight
from unet2015.training.pages import TrainingPage
from unet2015.training.steps import GradientDescent, tile_name
from unet2015.training.update import step_rates
from unet2015.wording import first_line

RECORDING = {"cuda"}
"""Kinds of devices that take recorded steps."""
SHARE = 1 / 3
"""Of the free memory of the device, that the training pages may take."""
AHEAD = 2
"""Steps that are asked for before the loss of the first of them is looked at: the device is never idle."""

_MEMORY = "there is too little memory"
_log = logging.getLogger("unet2015")


@dataclass(frozen=True)
class Drawn:
    """What tiles are made of on the device: the draw of each, and its name for messages."""

    rows: NDArray[np.float32]
    names: str


class DeviceDescent(GradientDescent):
    """Gradient descent by the steps of a device, or else by those of the host."""

    device_step: DeviceStep | None = None
    """Takes the steps; None: they are asked for operation by operation."""
    flight = Flight()
    """The steps that were asked for and are not noted yet."""
    step_kind = ""
    """How steps are taken, for the log; empty on a CPU."""

    def _choose_step(self) -> None:
        """Record the step of the present learner, where the device takes such steps and all fits."""
        self.device_step, self.flight = None, Flight()
        if self.device.type not in RECORDING:
            return
        why = self._why_not()
        if not why:
            why = self._record(self.data.training) if self._fits() else _MEMORY
            if why == _MEMORY:  # the rest may fit without the pages
                why = self._record([])
        if self.device_step is None:
            self.step_kind = f"not recorded: {why}"
        else:
            self.flight = Flight(AHEAD)
            there = "on the device" if self.device_step.deform else "on the host"
            self.step_kind = f"recorded, tiles made {there}"
        if self.writes:
            _log.info("steps: %s", self.step_kind)

    def _why_not(self) -> str:
        if self.group.size > 1:
            return "several processes train together"
        if self.settings.fine_tuning.encoder_rate != 1:
            return "the encoder has a learning rate of its own"
        return ""

    def _record(self, pages: Sequence[TrainingPage]) -> str:
        """Record the step, with pages that lie on the device; return why it cannot be."""
        try:
            self.device_step = DeviceStep(self.learner, self.settings, self.state.precision, pages)
        except RuntimeError as error:
            why = _MEMORY if is_out_of_memory(error) else first_line(error)
        else:
            return ""
        # Not in the block above, where the error keeps the tensors of the failed step alive.
        self.learner.optimizer.zero_grad(set_to_none=True)
        release_cached_memory(self.device)
        return why

    def _fits(self) -> bool:
        """Whether the training pages can lie on the device."""
        sizes = [(page.classes.shape[0], page.classes.shape[1]) for page in self.data.training]
        rule = self.settings.augmentation
        needed = sum(page_bytes(*size, self.data.channels, rule) for size in sizes)
        return needed <= SHARE * available_memory(self.device) and most_positions(sizes) < 2**31

    def _read(self, step: int) -> Any:
        if self.device_step is None or self.device_step.deform is None:
            return super()._read(step)
        drawn = [self._draw(number) for number in self._numbers(step)]
        rows = np.stack([draw_row(chosen, index) for index, chosen in drawn])
        pages = self.data.training
        return Drawn(rows, "; ".join(tile_name(pages[index], chosen) for index, chosen in drawn))

    def _begin(self, prepared: Future[Any], rate: float) -> Callable[[], float | None]:
        """Begin a step; what is returned waits for it, and gives the mean loss as `_descend` does."""
        if self.device_step is None:
            loss = self._descend(prepared, rate)
            return lambda: loss
        number, found = self.state.step, prepared.result()
        rows = np.empty((0, 0), np.float32)
        if isinstance(found, Drawn):
            rows, names = found.rows, found.names
        else:
            with self.device_step.recorded.on():
                sample, names = self._augment(prepared)
            self.device_step.give(sample)
        figures = (*step_rates(self.settings.optimisation, self.done, rate), float(self.done))
        wait = self.device_step(figures, rows, self._dropout_seed())
        return lambda: self._looked_at(wait(), number, names)

    def _looked_at(self, values: NDArray[np.float32], step: int, names: str) -> float | None:
        """Return the mean loss of tiles that teach something; end the training where it is not finite."""
        *each, norm = values.tolist()
        losses, teaching = each[: len(each) // 2], each[len(each) // 2 :]
        mean = self._mean_loss(losses, teaching, names, step)
        self._check_norm(norm, names, step)
        return mean

    def _settle(self) -> None:
        """Wait for all steps that were asked for: weights and optimizer are those of the last one then."""
        self.flight.settle()
        if self.device_step is not None:
            self.device_step.end(self.done)
            if self.device_step.deform is not None:  # the files are not read any more
                self.data.check_unchanged()
