"""One step of a training: tiles read ahead and deformed, and a step down their gradient."""

import logging
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from unet2015.device import drawing, is_out_of_memory
from unet2015.errors import MemoryLimitError, TrainingError
from unet2015.networks import Network
from unet2015.settings import TrainingSettings
from unet2015.training.augment import Sample, augment
from unet2015.training.draw import Draw, draw
from unet2015.training.drawn import with_encoder
from unet2015.training.encoder import named_frozen
from unet2015.training.learner import Learner
from unet2015.training.losses import total_weight
from unet2015.training.pages import TrainingPage, TrainingSet
from unet2015.training.phases import parts_of
from unet2015.training.precision import choose_precision, what_fits
from unet2015.training.processes import SINGLE_PROCESS, ProcessGroup
from unet2015.training.run_folder import CHECKPOINTS, checkpoints
from unet2015.training.sampling import TileSampler
from unet2015.training.start import Start
from unet2015.training.state import State, machine_of, torch_seed
from unet2015.training.tile_source import TileSource

Tile = tuple[TrainingPage, TileSource, Tensor]
"""What one tile is made of: its page, the part of it, and that part's mapped pixels (C, h, w)."""

_log = logging.getLogger("unet2015")


def tile_name(page: TrainingPage, drawn: Draw) -> str:
    """Return the name of a tile, for messages."""
    return f"{page.name}, tile centre {drawn.centre}"


class GradientDescent:
    """Gradient descent: the network, the state of its training, and a step.

    Parameters
    ----------
    data : TrainingSet
        What is learned from.
    settings : TrainingSettings
        All that is set.
    folder : Path
        Of the run.
    device : device
        Where the network is trained.
    group : ProcessGroup
        The processes that train together.
    start : Start, optional
        The model to start from. Default: drawn weights.
    encoder : Path, optional
        A file with weights of the encoder. Default: drawn ones.

    Attributes
    ----------
    state : State
        Where the training stands.
    learner : Learner
        Network, optimizer and average.
    """

    def __init__(
        self,
        data: TrainingSet,
        settings: TrainingSettings,
        folder: Path,
        device: torch.device,
        group: ProcessGroup = SINGLE_PROCESS,
        start: Start | None = None,
        encoder: Path | None = None,
    ) -> None:
        self.data, self.given, self.folder, self.device = data, settings, folder, device
        self.group, self.writes, self.start, self.encoder = group, group.first, start, encoder
        self.parts = parts_of(settings, len(data.training), group.size)
        self.state = State(
            settings.seed,
            settings=settings.model_dump(mode="json"),
            identity=data.identity,
            hashes=data.hashes,
            machine=machine_of(device),
            precision="" if settings.optimisation.precision == "auto" else settings.optimisation.precision,
            processes=group.size,
            start=start.record if start else {},
        )
        self.learner = self._new_learner()
        begun = self.state.start.get("sha256"), self.state.encoder.get("sha256")
        same = [self.state.settings, self.state.identity, *begun]
        group.check_same("settings, images, labels or start", same)
        for number, phase in enumerate(settings.phase, 1):  # a name that fits nothing is said now
            named_frozen(self.learner.network, phase, number)
        self._sampler = TileSampler.of(
            [page.classes for page in data.training], settings.sampling, self.state.seed, self._output
        )

    @property
    def settings(self) -> TrainingSettings:
        """The settings of the present phase, in steps."""
        return self.parts[self.state.phase]

    @property
    def done(self) -> int:
        """Steps done in the present phase."""
        return self.state.step - self.state.begun

    @property
    def network(self) -> Network:
        """The network as the last step left it."""
        return self.learner.network

    @property
    def _output(self) -> int:
        return self.network.training_geometry.output_size(self.settings.optimisation.tile)

    @property
    def _inference_tile(self) -> int:
        return self.network.inference_tile(self.settings.optimisation.tile)

    def _new_learner(self, phase: int = 0, first: Mapping[str, Tensor] | None = None) -> Learner:
        """Return the learner of a phase, with drawn weights, those of the start, or given ones."""
        seed = torch_seed(self.state.seed)
        if first is None and self.start:
            first = self.start.model.network.state_dict()
        elif first is None and self.encoder:
            first, self.state.encoder = with_encoder(self.encoder, self.given, self.data.channels, seed)
        frozen = (self.given.phase[phase], phase + 1) if self.given.phase else None
        return Learner(self.data.channels, self.parts[phase], seed, self.device, self.group, first, frozen)

    def _choose_precision(self) -> None:
        """Choose one precision for all processes if the settings do not; a resumed training keeps its own."""
        rule, state = self.settings.optimisation, self.state
        if rule.precision != "auto":
            return
        if state.precision:
            _log.info("precision: %s, as was chosen when the training began", state.precision)
            return
        chosen, why = choose_precision(self.learner.trained, rule, self.device)
        half = self.group.first_of(float(chosen == "bfloat16"))
        state.precision = "bfloat16" if half else "float32"
        _log.info("precision: %s; %s", state.precision, why)

    def _read(self, step: int) -> Any:
        """Read the pixels that one step needs, during the step before: a `Tile` for each of its tiles."""
        return [self._read_tile(number) for number in self._numbers(step)]

    def _numbers(self, step: int) -> range:
        """Return the numbers, over all processes and steps, of the tiles of a step."""
        batch = self.settings.optimisation.batch
        first = self.group.draw(step) * batch
        return range(first, first + batch)

    def _draw(self, number: int) -> tuple[int, Draw]:
        """Return which page a tile shows, and its random numbers."""
        if self._sampler.seed != self.state.seed:  # restored, or begun again
            self._sampler = replace(self._sampler, seed=self.state.seed)
        index = self._sampler.page(number)
        height, width = self.data.training[index].classes.shape
        centres = self._sampler.centres[index]
        return index, draw(
            self.settings.augmentation, self.state.seed, number, height, width, centres=centres
        )

    def _read_tile(self, number: int) -> Tile:
        index, chosen = self._draw(number)
        page = self.data.training[index]
        source = TileSource.of(chosen, self.settings.optimisation.tile, *page.classes.shape)
        return page, source, torch.from_numpy(page.source.read(0, *source.box))

    def _augment(self, prepared: Future[list[Tile]]) -> tuple[Sample, str]:
        """Return the batch of a step, and a description of its tiles."""
        samples, names = [], []
        for page, source, image in prepared.result():
            planes = (image, *(torch.from_numpy(source.cut(plane)) for plane in (page.classes, page.weights)))
            image, classes, weights = (plane.to(self.device) for plane in planes)
            sample = augment(image, classes, weights, source, self._output, deviation=page.deviation)
            samples.append(sample)
            names.append(tile_name(page, source.draw))
        return Sample(*map(torch.cat, zip(*samples, strict=True))), "; ".join(names)

    def _descend(self, prepared: Future[list[Tile]], rate: float) -> float | None:
        try:
            sample, name = self._augment(prepared)
            return self._step(sample, rate, name)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        # Not in the block above, where the error keeps the tensors of the failed step alive.
        rule = self.settings.optimisation
        self.learner.optimizer.zero_grad(set_to_none=True)
        fits = what_fits(self.learner.trained, rule, self.device, self.state.precision)
        raise MemoryLimitError(
            f"{self.device} ran out of memory in step {self.state.step + 1} with batch = {rule.batch} and "
            f"tile = {rule.tile}; {fits}"
        )

    def _step(self, sample: Sample, rate: float, name: str) -> float | None:
        """Take a step; return the mean loss before it over tiles with annotated pixels, or None."""
        with drawing(self._dropout_seed()):
            losses = self.learner.forward(sample, self.state.precision)
        totals = map(total_weight, sample.classes, sample.weights)
        # Together, because every copy from a GPU waits for it.
        values, teaching = torch.stack([torch.stack(losses).detach(), torch.stack([*totals])]).tolist()
        mean = self._mean_loss(values, teaching, name)
        self._check_norm(self.learner.backward(losses), name)
        self.learner.descend(self.done, rate, self.state.precision)
        return mean

    def _dropout_seed(self) -> int:
        return torch_seed(self.state.seed * 1_000_003 + self._numbers(self.state.step).start)

    def _mean_loss(
        self, values: Sequence[float], teaching: Sequence[float], name: str, step: int | None = None
    ) -> float | None:
        """Return the mean loss over the tiles of all processes that teach; stop where it is not finite."""
        if not all(map(math.isfinite, values)):
            worst = max(values, key=lambda value: not math.isfinite(value))
            self._stop(f"the loss is {worst}", name, step)
        # Here all processes wait for each other, and notice if one has ended.
        return self.group.mean([value for value, does in zip(values, teaching, strict=True) if does])

    def _check_norm(self, norm: float, name: str, step: int | None = None) -> None:
        if not math.isfinite(norm):
            self._stop(f"the norm of the gradient is {norm}", name, step)

    def _stop(self, what: str, name: str, step: int | None = None) -> NoReturn:
        """End the training with an error, in a step counted from 0; default: the present one."""
        kept = checkpoints(self.folder / CHECKPOINTS)
        rest = f"the last good checkpoint is {kept[-1]}" if kept else "there is no checkpoint yet"
        raise TrainingError(
            f"{what} at step {(self.state.step if step is None else step) + 1}, on {name}; {rest}. "
            "Try a lower learning rate, or look at the image"
        )
