"""The network in training, its optimizer and the moving average of its weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from unet2015.networks import Network, TrainingScores
from unet2015.networks.architecture import counterparts
from unet2015.networks.cpu_training import fused_copy
from unet2015.settings import PhaseSettings, TrainingSettings
from unet2015.training.augment import Sample
from unet2015.training.drawn import drawn_network
from unet2015.training.encoder import freeze, freeze_named, weight_groups
from unet2015.training.losses import tile_losses
from unet2015.training.muon import Muon
from unet2015.training.optimizers import OPTIMIZERS, MovingAverage, clip_gradient, descend
from unet2015.training.precision import autocast
from unet2015.training.processes import ProcessGroup


class Learner:
    """A network with all that a step of gradient descent changes.

    Parameters
    ----------
    channels : int
        Of the images.
    settings : TrainingSettings
        Network and recipe.
    seed : int
        Of the initial weights; a number that torch accepts.
    device : device
        Where the network lies.
    group : ProcessGroup
        The processes whose gradients are averaged.
    start : mapping of str to Tensor, optional
        First weights in place of drawn ones: those of a model that is fine-tuned, or of the phase before.
    phase : tuple of PhaseSettings and int, optional
        What a phase freezes, and its number from 1.

    Attributes
    ----------
    network : Module
        As the last step left it.
    trained : Module
        What a step computes: on a CPU a copy with the same parameters, faster in training; else the network.
    optimizer : Optimizer
        Over the weights of the network, in their order.
    average : MovingAverage or None
        The moving average of the weights.
    frozen : list of Module
        Modules of the network whose weights and running means stay as they are.
    shared : Module
        What a step calls: the network's ``training_scores``, wrapped (DDP) if several processes train it.
    """

    def __init__(
        self,
        channels: int,
        settings: TrainingSettings,
        seed: int,
        device: torch.device,
        group: ProcessGroup,
        start: Mapping[str, Tensor] | None = None,
        phase: tuple[PhaseSettings, int] | None = None,
    ) -> None:
        self.rule, self.device, self.group = settings.optimisation, device, group
        network = drawn_network(settings, channels, seed)
        if start is not None:
            network.load_state_dict(start)
        # Several times faster than channels first, on CPUs and GPUs alike.
        self.network: Network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.frozen = freeze(self.network, settings.fine_tuning)
        if phase is not None:
            self.frozen += freeze_named(self.network, *phase)
        weights = weight_groups(self.network, settings.fine_tuning)
        self.trained = fused_copy(self.network) if device.type == "cpu" else self.network
        self._frozen = counterparts(self.frozen, self.network, self.trained)
        self.optimizer = OPTIMIZERS[self.rule.optimizer](weights, self.rule)
        self.average = MovingAverage(self.network, self.rule.average) if self.rule.average else None
        self.shared: nn.Module = group.share(TrainingScores(self.trained))

    @property
    def model(self) -> Network:
        """The network that is validated and kept."""
        averaged: Network = self.network if self.average is None else self.average.network
        return averaged

    def forward(self, sample: Sample, precision: str) -> list[Tensor]:
        """Return the loss of each tile."""
        self.trained.train()
        for module in self._frozen:
            module.eval()
        image = sample.image.contiguous(memory_format=torch.channels_last)
        with autocast(self.device, precision):
            maps = self.shared(image)
        return tile_losses(self.rule, maps, sample)

    def backward(self, losses: list[Tensor]) -> float:
        """Compute the gradient of the mean loss over all processes; return its norm before clipping."""
        self.optimizer.zero_grad(set_to_none=True)
        with self.group.exchange():
            torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
        return clip_gradient(self.network.parameters(), self.rule.clip)

    def descend(self, step: int, rate: float, precision: str = "float32") -> None:
        """Go down the gradient; steps are counted from 0."""
        if isinstance(self.optimizer, Muon):
            self.optimizer.half = precision == "bfloat16"
        descend(self.optimizer, self.rule, step, rate)
        if self.average is not None:
            self.average.update(self.network, step)

    def is_finite(self) -> bool:
        """Whether all weights and buffers are finite."""
        tensors = [*self.network.state_dict().values(), *self.model.state_dict().values()]
        return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)
