"""A training that lives on its device: pages, draws and recipe, the whole step one CUDA graph.

The loop of :mod:`unet2015.training.loop` asks the host at every step: for a page, for the loss. A narrow
network on a large GPU waits for it most of the time. Here all that a step needs lies on the device before
the first: the pages, the random numbers of every step (those of :func:`unet2015.training.augment.draw`),
the rates. A step is recorded once and played again, without a word to the host; several trainings side by
side fill a card. On a CPU the same step runs as it stands, so that it can be tested.

What a training learns is that of the same settings in the loop, up to rounding. Nothing is resumable
inside a training: this is for trainings of seconds to minutes.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from unet2015.errors import SettingsError
from unet2015.networks import build
from unet2015.settings import TrainingSettings
from unet2015.tiling.averaging import VERSIONS, Averaging
from unet2015.tiling.plan import mirror
from unet2015.training.augment import Draw
from unet2015.training.labels import IGNORED
from unet2015.training.recipe import LOSSES, learning_rate, momentum
from unet2015.training.warp import blurred, spline_basis

_WARM = 3
"""Steps before a graph is recorded: libraries choose their algorithms in them."""
_DRAW = 9
"""Numbers of a draw before its vectors."""


@dataclass(frozen=True, eq=False)
class DevicePages:
    """Labelled pages of one size.

    Attributes
    ----------
    images : ndarray of float32, shape (pages, channels, height, width)
        Mapped intensities.
    classes : ndarray of uint8, shape (pages, height, width)
        255 is not annotated.
    weights : ndarray of float32, shape (pages, height, width)
        Eq. 2.
    """

    images: NDArray[np.float32]
    classes: NDArray[np.uint8]
    weights: NDArray[np.float32]


def draw_row(chosen: Draw, page: int) -> NDArray[np.float32]:
    """Return a draw as the numbers that a `Deformer` takes: float32, (9 + 2 n n,)."""
    angle = math.radians(chosen.angle)
    numbers = [
        page,
        *chosen.centre,
        chosen.scale * round(math.cos(angle), 15),
        chosen.scale * round(math.sin(angle), 15),
        -1 if chosen.flip else 1,
        chosen.gray_scale,
        chosen.gray_shift,
        chosen.blur,
    ]
    return np.concatenate([numbers, chosen.vectors.ravel()]).astype(np.float32)


class Deformer:
    """Cuts and deforms tiles of pages that lie on a device, as :func:`unet2015.training.augment.augment`.

    Every shape is the same in each call, and no number is asked of the device: it can be recorded.

    Parameters
    ----------
    shape : tuple of int
        (pages, channels, height, width).
    tile, output : int
        Sides of what the network reads and gives, in pixels.
    grid : int
        Displacement vectors along each axis.
    cubic : bool
        Interpolate the image by bicubic convolution instead of bilinearly.
    blur : float
        Largest deviation of a blur, in pixels; 0: none.
    """

    def __init__(
        self,
        shape: tuple[int, int, int, int],
        tile: int,
        output: int,
        grid: int,
        cubic: bool,
        blur: float,
        device: torch.device,
    ) -> None:
        pages, _, self.height, self.width = shape
        self.tile, self.grid, self.cubic, self.radius = tile, grid, cubic, math.ceil(4 * blur)
        first = (tile - output) // 2
        self.centre = slice(first, first + output)
        self.images = torch.zeros(shape, device=device)
        self.classes = torch.full((pages, self.height, self.width), IGNORED, dtype=torch.uint8, device=device)
        self.weights = torch.zeros((pages, self.height, self.width), device=device)
        self.basis = torch.tensor(spline_basis(tile, grid), dtype=torch.float32, device=device)
        self.middle = (tile - 1) / 2
        self.along = torch.arange(tile, device=device) - self.middle

    def load(self, pages: DevicePages) -> None:
        """Put pages in the place of those that are there; there may be fewer."""
        count = len(pages.images)
        for plane, values in (
            (self.images, pages.images),
            (self.classes, pages.classes),
            (self.weights, pages.weights),
        ):
            plane[:count].copy_(torch.from_numpy(values))

    def __call__(self, row: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return image (C, tile, tile), classes (output, output) int64 and weights of a draw's row."""
        y, x = self._coordinates(row)
        page = row[0].long()
        image = self._image(y, x, page)
        if self.radius:
            image = blurred(image, row[8], self.radius)
        varied = (image - image.mean(dim=(1, 2), keepdim=True)) * row[6]
        image = image + varied + row[7]
        y, x = y[self.centre, self.centre], x[self.centre, self.centre]
        near = self._index((y + 0.5).floor(), (x + 0.5).floor())
        start = page * (self.height * self.width)
        classes = self.classes.view(-1)[start + near]
        weights = self._bilinear(self.weights.view(-1), start, y, x)
        return image, classes.long(), weights.masked_fill(classes == IGNORED, 0)

    def _coordinates(self, row: Tensor) -> tuple[Tensor, Tensor]:
        cosine, sine = row[3], row[4]
        y, x = self.along[:, None], self.along[None] * row[5]
        start = self.middle - self.tile // 2
        vectors = row[_DRAW:].view(2, self.grid, self.grid)
        moved = (self.basis @ vectors) @ self.basis.T
        return (
            cosine * y - sine * x + moved[0] + (start + row[1]),
            sine * y + cosine * x + moved[1] + (start + row[2]),
        )

    def _index(self, y: Tensor, x: Tensor) -> Tensor:
        """Return where whole rows and columns lie in a page, mirrored where they lie outside."""
        return _mirrored(y.long(), self.height) * self.width + _mirrored(x.long(), self.width)

    def _image(self, y: Tensor, x: Tensor, page: Tensor) -> Tensor:
        area = self.height * self.width
        channels = self.images.shape[1]
        flat = self.images.view(-1)
        sample = self._bicubic if self.cubic else self._bilinear
        return torch.stack([sample(flat, (page * channels + c) * area, y, x) for c in range(channels)])

    def _bilinear(self, flat: Tensor, start: Tensor, y: Tensor, x: Tensor) -> Tensor:
        top, left = y.floor(), x.floor()
        dy, dx = y - top, x - left
        above = torch.lerp(flat[start + self._index(top, left)], flat[start + self._index(top, left + 1)], dx)
        below = torch.lerp(
            flat[start + self._index(top + 1, left)], flat[start + self._index(top + 1, left + 1)], dx
        )
        return torch.lerp(above, below, dy)

    def _bicubic(self, flat: Tensor, start: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Keys' convolution with a = -0.5, four by four pixels."""
        top, left = y.floor(), x.floor()
        wy, wx = _keys(y - top), _keys(x - left)
        total = torch.zeros_like(y)
        for i in range(4):
            line = torch.zeros_like(y)
            for j in range(4):
                line = line + wx[j] * flat[start + self._index(top + (i - 1), left + (j - 1))]
            total = total + wy[i] * line
        return total


def _keys(t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the weights of the pixels at -1, 0, 1, 2 for a place t in 0 to 1 (Keys 1981, a = -0.5)."""
    s, t2, t3 = 1 - t, t * t, t * t * t
    return (
        (-t3 + 2 * t2 - t) / 2,
        (3 * t3 - 5 * t2 + 2) / 2,
        (3 * s**3 - 5 * s * s + 2) / 2,
        (t3 - t2) / 2,
    )


def _mirrored(index: Tensor, length: int) -> Tensor:
    if length == 1:
        return torch.zeros_like(index)
    period = 2 * (length - 1)
    index = index.remainder(period)
    return torch.minimum(index, period - index)


class DeviceTraining:
    """A network in training on a device; can be loaded with one training after another.

    Parameters
    ----------
    settings : TrainingSettings
        What decides the graph: network, tile, batch, optimizer, loss, precision, interpolation, whether
        there is drop-out, clipping and an average. The rest comes with `load`.
    shape : tuple of int
        (pages, channels, height, width) of the largest training set.
    capacity : int
        Steps of the longest training.

    Raises
    ------
    SettingsError
        The settings ask for what cannot be recorded.
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
        self.settings, self.device, self.capacity = settings, device, capacity
        self.network = build(settings.network, shape[1], settings.labels.classes)
        self.network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        output = self.network.geometry.output_size(rule.tile)
        aug = settings.augmentation
        self.deform = Deformer(
            shape, rule.tile, output, aug.elastic_grid, aug.interpolation == "bicubic", aug.blur, device
        )
        self.parameters: list[Tensor] = list(self.network.parameters())
        self.average = [p.detach().clone() for p in self.parameters] if rule.average else []
        self._moments = [[torch.zeros_like(p) for p in self.parameters] for _ in range(2)]
        self.stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._graph: Any = None

        def table(columns: int) -> Tensor:
            return torch.zeros((capacity, columns), device=device)

        self.draws = table(rule.batch * (_DRAW + 2 * aug.elastic_grid**2)).view(capacity, rule.batch, -1)
        self.rates = table(4)  # rate, momentum, decay of the average, largest norm
        self.losses = table(1)[:, 0]
        self.norms = table(1)[:, 0]
        self.at = torch.zeros(1, dtype=torch.long, device=device)

    @torch.no_grad()
    def load(self, settings: TrainingSettings, pages: DevicePages, draws: NDArray[np.float32]) -> None:
        """Begin a training: first weights of its seed, its pages, its draws (steps, batch, numbers)."""
        with self._on():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(settings.seed)
                first = build(
                    settings.network, pages.images.shape[1], settings.labels.classes, settings.initialisation
                )
            for weight, drawn in zip(self.parameters, first.parameters(), strict=True):
                weight.copy_(drawn)
            for mean, value in zip(self.average, self.parameters, strict=False):
                mean.copy_(value)
            for moments in self._moments:
                for moment in moments:
                    moment.zero_()
            self.deform.load(pages)
            self.draws[: len(draws)].copy_(torch.from_numpy(draws))
            self.schedule(settings)
            self.at.zero_()

    def schedule(self, settings: TrainingSettings) -> None:
        """Set the rates of all steps; steps that are done already stay as they were."""
        rule = settings.optimisation
        rows = [
            (
                learning_rate(rule, step),
                momentum(rule, step),
                min(rule.average, (1 + step) / (10 + step)),
                rule.clip or math.inf,
            )
            for step in range(rule.steps)
        ]
        with self._on():
            self.rates[: rule.steps].copy_(torch.tensor(rows))

    def extend(self, settings: TrainingSettings, draws: NDArray[np.float32]) -> None:
        """Give a training that has begun its final number of steps: all its draws, and its rates.

        What is done already stays; the draws of those steps must be those that were shown.
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
        for name, group in (
            ("average", self.average),
            ("mean", self._moments[0]),
            ("square", self._moments[1]),
        ):
            found |= {f"{name}.{i}": tensor for i, tensor in enumerate(group)}
        return found | {"at": self.at, "losses": self.losses, "norms": self.norms}

    def run(self, steps: int) -> None:
        """Take steps; on a GPU they are only asked for, and `wait` waits for them."""
        if self.device.type == "cuda" and self._graph is None:
            self._record()
        with self._on():
            for _ in range(steps):
                if self._graph is None:
                    self._step()
                else:
                    self._graph.replay()

    def wait(self) -> None:
        """Wait for the steps asked for."""
        if self.stream is not None:
            self.stream.synchronize()

    def _on(self) -> Any:
        return nullcontext() if self.stream is None else torch.cuda.stream(self.stream)

    def _record(self) -> None:
        """Record a step; the training stands afterwards where it stood before."""
        kept = list(self._changing().values())
        with self._on():
            before = [tensor.detach().clone() for tensor in kept]
            for _ in range(_WARM):
                self._step()
            self.wait()
            for parameter in self.parameters:
                parameter.grad = None
            graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            self._step()
        with self._on(), torch.no_grad():
            for tensor, value in zip(kept, before, strict=True):
                tensor.copy_(value)
        self.wait()
        self._graph = graph

    def _step(self) -> None:
        rule = self.settings.optimisation
        self.network.train()
        rows = self.draws.index_select(0, self.at)[0]
        samples = [self.deform(rows[i]) for i in range(rule.batch)]
        images, classes, weights = (torch.stack(planes) for planes in zip(*samples, strict=True))
        for parameter in self.parameters:
            parameter.grad = None
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=rule.precision == "bfloat16", cache_enabled=False
        ):
            scores = self.network(images.contiguous(memory_format=torch.channels_last))
        loss = LOSSES[rule.loss](scores, classes, weights, rule)
        loss.backward()  # type: ignore[no-untyped-call]
        self._update(loss.detach())

    @torch.no_grad()
    def _update(self, loss: Tensor) -> None:
        rule, values = self.settings.optimisation, self.rates.index_select(0, self.at)[0]
        rate, inertia, decay, clip = values[0], values[1], values[2], values[3]
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        assert len(gradients) == len(self.parameters)
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        if rule.clip:
            torch._foreach_mul_(gradients, (clip / (norm + 1e-6)).clamp(max=1))
        if rule.optimizer == "sgd":
            self._sgd(gradients, rate, inertia)
        else:
            self._adam(gradients, rate)
        if self.average:
            torch._foreach_mul_(self.average, decay)
            torch._foreach_add_(self.average, torch._foreach_mul(self.parameters, 1 - decay))
        self.losses.index_copy_(0, self.at, loss[None].float())
        self.norms.index_copy_(0, self.at, norm[None].float())
        self.at.add_(1)

    def _sgd(self, gradients: list[Tensor], rate: Tensor, inertia: Tensor) -> None:
        rule, velocity = self.settings.optimisation, self._moments[0]
        if rule.weight_decay:
            torch._foreach_add_(gradients, self.parameters, alpha=rule.weight_decay)
        torch._foreach_mul_(velocity, inertia)
        torch._foreach_add_(velocity, gradients)
        way = velocity
        if rule.nesterov:
            way = list(torch._foreach_add(gradients, torch._foreach_mul(velocity, inertia)))
        torch._foreach_sub_(self.parameters, torch._foreach_mul(way, rate))

    def _adam(self, gradients: list[Tensor], rate: Tensor) -> None:
        rule = self.settings.optimisation
        mean, square = self._moments
        done = (self.at + 1.0)[0]
        if self.device.type == "cuda":
            # One pass over all; the library's own kernel wants a counter for each parameter.
            kernel = torch._fused_adamw_ if rule.optimizer == "adamw" else torch._fused_adam_
            kernel(
                self.parameters,
                gradients,
                mean,
                square,
                [],
                [done.float()] * len(mean),
                lr=rate,
                beta1=rule.betas[0],
                beta2=rule.betas[1],
                weight_decay=rule.weight_decay,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
            )
            return
        if rule.optimizer == "adamw":
            torch._foreach_mul_(self.parameters, 1 - rate * rule.weight_decay)
        elif rule.weight_decay:
            torch._foreach_add_(gradients, self.parameters, alpha=rule.weight_decay)
        torch._foreach_lerp_(mean, gradients, 1 - rule.betas[0])
        torch._foreach_mul_(square, rule.betas[1])
        torch._foreach_addcmul_(square, gradients, gradients, 1 - rule.betas[1])
        first, second = (1 - beta**done for beta in rule.betas)
        spread = torch._foreach_sqrt(torch._foreach_div(square, second))
        torch._foreach_add_(spread, 1e-8)
        torch._foreach_sub_(
            self.parameters, torch._foreach_mul(torch._foreach_div(mean, spread), rate / first)
        )

    @torch.no_grad()
    def predict(
        self, images: Sequence[NDArray[np.float32]], average: Averaging = "none"
    ) -> NDArray[np.uint8]:
        """Return the probability of class 1 of pages (channels, height, width) as 0 to 255.

        One pass over each whole page, mirrored; scores are averaged over versions of the input. The
        weights are the averaged ones, if the recipe has any.
        """
        with self._on():
            now = [p.detach().clone() for p in self.parameters] if self.average else []
            for parameter, mean in zip(self.parameters, self.average, strict=False):
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
            with torch.autocast(
                self.device.type,
                torch.bfloat16,
                enabled=self.settings.optimisation.precision == "bfloat16",
                cache_enabled=False,
            ):
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
        state |= {name: mean.cpu().clone() for name, mean in zip(names, self.average, strict=False)}
        return state
