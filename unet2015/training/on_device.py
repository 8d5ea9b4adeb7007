"""A training that lives on its device: pages, draws and recipe, the whole step one CUDA graph.

The loop of :mod:`unet2015.training.loop` waits for the host at every step: for a page, and for the loss. A
narrow network on a large GPU spends most of its time waiting. Here everything that the steps need is on the
device before the first one: the pages, the random numbers of every step (those of
:func:`unet2015.training.draw.draw`) and the rates. A step is recorded once and then replayed, without waiting
for the host; several trainings side by side fill a card. On a CPU the same step runs directly, for tests.

The result is that of the loop with the same settings, up to rounding; only drop-out drops other values
(:mod:`unet2015.training.drop_out`). A training cannot be resumed in the middle: this is for trainings of
seconds to minutes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from unet2015.errors import SettingsError
from unet2015.networks import TrainingScores, build
from unet2015.networks.gpu_training import fuse
from unet2015.settings import FineTuningSettings, TrainingSettings
from unet2015.settings.choices import Averaging
from unet2015.tiling.averaging import VERSIONS
from unet2015.tiling.plan import mirror
from unet2015.training.augment import Sample
from unet2015.training.deform import NUMBERS, Deformer, DevicePages
from unet2015.training.drawn import drawn_network
from unet2015.training.drop_out import DropoutDraws
from unet2015.training.precision import autocast
from unet2015.training.recording import Recorded, forget_gradients, losses_with_gradient
from unet2015.training.state import torch_seed
from unet2015.training.update import RATES, Update, rates


class DeviceTraining:
    """A network in training on a device; `load` begins one training after another.

    Parameters
    ----------
    settings : TrainingSettings
        They decide the graph: network, tile, batch, optimizer, loss, precision, interpolation, and whether
        there is drop-out, clipping and an average. The rest comes with `load`.
    shape : tuple of int
        (pages, channels, height, width) of the largest training set.
    capacity : int
        Steps of the longest training.

    Raises
    ------
    SettingsError
        The settings need an operation that cannot be recorded.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        shape: tuple[int, int, int, int],
        capacity: int,
        device: torch.device,
    ) -> None:
        rule = settings.optimisation
        if rule.precision == "auto":
            raise SettingsError("a training on the device needs precision float32 or bfloat16, not auto")
        if settings.phase or rule.epochs is not None or rule.schedule == "plateau":
            raise SettingsError(
                "a training on the device has one phase, a number of steps and no validation; leave phases, "
                'epochs and schedule = "plateau" out'
            )
        if settings.fine_tuning != FineTuningSettings():
            raise SettingsError("a training on the device starts from drawn weights; leave fine_tuning out")
        self.settings, self.device, self.capacity, self.shape = settings, device, capacity, shape
        self.network = build(settings.network, shape[1], settings.labels.classes)
        self.network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        fuse(self.network)
        self.dropped = DropoutDraws(self.network, device)
        self.scores = TrainingScores(self.network)
        output = self.network.training_geometry.output_size(rule.tile)
        aug = settings.augmentation
        sizes = [shape[2:]] * shape[0]
        self.deform = Deformer(sizes, shape[1], rule.tile, output, aug, device)
        self.parameters: list[Tensor] = list(self.network.parameters())
        self.update = Update(rule, self.parameters)
        self._recorded = Recorded(
            self._step, lambda: list(self._changing().values()), self.parameters, device
        )

        def table(columns: int) -> Tensor:
            return torch.zeros((capacity, columns), device=device)

        self.draws = table(rule.batch * (NUMBERS + 2 * aug.elastic_grid**2)).view(capacity, rule.batch, -1)
        self.rates = table(RATES)
        self.losses = table(1)[:, 0]
        self.norms = table(1)[:, 0]
        self.at = torch.zeros(1, dtype=torch.long, device=device)

    @torch.no_grad()
    def load(self, settings: TrainingSettings, pages: DevicePages, draws: NDArray[np.float32]) -> None:
        """Begin a training: first weights of its seed, its pages, its draws (steps, batch, numbers)."""
        with self._on():
            first = drawn_network(settings, pages.images.shape[1], torch_seed(settings.seed))
            self.network.load_state_dict(first.state_dict())  # in place; with the running means
            self.update.reset()
            self.dropped.seed(torch_seed(settings.seed))
            self.deform.load(pages)
            self.draws[: len(draws)].copy_(torch.from_numpy(draws))
            self.schedule(settings)
            self.at.zero_()

    def schedule(self, settings: TrainingSettings) -> None:
        """Set the rates of all steps; steps that are done already stay as they were."""
        with self._on():
            self.rates[: settings.optimisation.steps].copy_(rates(settings.optimisation))

    def extend(self, settings: TrainingSettings, draws: NDArray[np.float32]) -> None:
        """Set the final number of steps of a training that has begun: all its draws, and its rates.

        Steps that are done stay done; their draws must be the ones that were used.
        """
        with self._on(), torch.no_grad():
            self.draws[: len(draws)].copy_(torch.from_numpy(draws))
        self.schedule(settings)

    def state(self) -> dict[str, Tensor]:
        """Return all that changes from step to step, on the CPU."""
        self.wait()
        return {name: tensor.detach().cpu().clone() for name, tensor in self._changing().items()}

    @torch.no_grad()
    def restore(self, state: dict[str, Tensor]) -> None:
        """Put back what `state` returned, after `load` of the same training."""
        with self._on():
            for name, tensor in self._changing().items():
                tensor.copy_(state[name])
        self.wait()

    def _changing(self) -> dict[str, Tensor]:
        found = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        groups = zip(("average", "mean", "square"), (self.update.average, *self.update.moments), strict=True)
        for name, group in groups:
            found |= {f"{name}.{i}": tensor for i, tensor in enumerate(group)}
        return found | {"at": self.at, "losses": self.losses, "norms": self.norms}

    def run(self, steps: int) -> None:
        """Take steps; on a GPU this only starts them, and `wait` waits for their end."""
        self._recorded.record()
        for _ in range(steps):
            self._recorded()

    def wait(self) -> None:
        """Wait for the end of the steps that were started."""
        self._recorded.wait()

    @property
    def stream(self) -> Any:
        """The stream on which a GPU takes the steps; None on a CPU."""
        return self._recorded.stream

    def _on(self) -> Any:
        return self._recorded.on()

    def _step(self) -> None:
        rule = self.settings.optimisation
        self.network.train()
        rows = self.draws.index_select(0, self.at)[0]
        samples = [self.deform(rows[i]) for i in range(rule.batch)]
        images, classes, weights = (torch.stack(planes) for planes in zip(*samples, strict=True))
        forget_gradients(self.parameters)
        sample = Sample(images, classes, weights)
        self.dropped.begin(self.at)
        losses = losses_with_gradient(self.scores, rule, rule.precision, sample)
        norm = self.update(self.rates.index_select(0, self.at)[0], self.at)
        with torch.no_grad():
            self.losses.index_copy_(0, self.at, losses.mean()[None].float())
            self.norms.index_copy_(0, self.at, norm[None].float())
            self.at.add_(1)

    @torch.no_grad()
    def predict(
        self, images: Sequence[NDArray[np.float32]], average: Averaging = "none"
    ) -> NDArray[np.uint8]:
        """Return the probability of class 1 of pages (channels, height, width) as 0 to 255.

        One pass over each whole page, mirrored at the border; scores are averaged over versions of the
        input. The weights are the averaged ones, if the recipe has an average.
        """
        with self._on():
            averaged = self.update.average
            now = [p.detach().clone() for p in self.parameters] if averaged else []
            for parameter, mean in zip(self.parameters, averaged, strict=False):
                parameter.copy_(mean)
            self.network.eval()
            found = [self._page(page, average) for page in images]
            for parameter, value in zip(self.parameters, now, strict=False):
                parameter.copy_(value)
        return np.stack(found)

    def _page(self, page: NDArray[np.float32], average: Averaging) -> NDArray[np.uint8]:
        geometry = self.network.geometry
        height, width = page.shape[1:]
        rows, columns = (
            mirror(-geometry.margin, geometry.input_for(length) - geometry.margin, length)
            for length in (height, width)
        )
        image = torch.from_numpy(page[:, rows[:, None], columns[None]])[None].to(self.device)
        total: Tensor | None = None
        for version in VERSIONS[average]:
            turned = version.apply(image).contiguous(memory_format=torch.channels_last)
            with autocast(self.device, self.settings.optimisation.precision):
                scores = version.undo(self.network(turned).float())
            total = scores if total is None else total + scores
        assert total is not None
        shown = functional.softmax(total / len(VERSIONS[average]), dim=1)[0, 1, :height, :width]
        levels: NDArray[np.uint8] = (shown * 255).round().to(torch.uint8).cpu().numpy()
        return levels

    def weights(self) -> dict[str, Tensor]:
        """Return the weights of the model, averaged if the recipe has it, on the CPU."""
        names = [name for name, _ in self.network.named_parameters()]
        state = {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}
        state |= {name: mean.cpu().clone() for name, mean in zip(names, self.update.average, strict=False)}
        return state
