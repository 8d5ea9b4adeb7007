"""Work for a device that is recorded once, as a CUDA graph, and then replayed without waiting for the host.

A large GPU computes most operations of a step in less time than the host needs to ask for them one by one.
On a CPU the same work runs directly, for tests.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from unet2015.networks import TrainingScores
from unet2015.networks.gpu_training import cast_weights
from unet2015.settings import OptimisationSettings
from unet2015.training.augment import Sample
from unet2015.training.losses import tile_losses
from unet2015.training.precision import autocast

_WARM = 3
"""Calls before a graph is recorded: libraries choose their algorithms in them."""


class Recorded:
    """Work on a stream of its own, recorded on a GPU when `record` is called.

    Parameters
    ----------
    work : callable
        The same operations on the same tensors in each call; it must not ask the device for a number.
    changing : callable
        Returns the tensors that the work changes.
    weights : sequence of Tensor
        Whose gradients the work computes.
    device : torch.device
        Where it is done.

    Attributes
    ----------
    stream : torch.cuda.Stream or None
        On which a GPU does it.
    """

    def __init__(
        self,
        work: Callable[[], None],
        changing: Callable[[], Sequence[Tensor]],
        weights: Sequence[Tensor],
        device: torch.device,
    ) -> None:
        self._work, self._changing, self._weights, self._device = work, changing, weights, device
        self.stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._graph: Any = None

    def on(self) -> Any:
        """Return the context in which the device is asked for work on this stream."""
        return nullcontext() if self.stream is None else torch.cuda.stream(self.stream)

    def wait(self) -> None:
        """Wait for the end of all that was asked for on this stream."""
        if self.stream is not None:
            self.stream.synchronize()

    def record(self) -> None:
        """Record the work, on a GPU; afterwards all that it changes is as it was before."""
        if self.stream is None or self._graph is not None:
            return
        with kept(self._changing(), self):
            with self.on():
                for _ in range(_WARM):
                    self._work()
                self.wait()
                forget_gradients(self._weights)
                graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                self._work()
        self._graph = graph

    def __call__(self) -> None:
        """Do the work; a GPU is only asked to."""
        with self.on():
            if self._graph is None:
                self._work()
            else:
                self._graph.replay()


@contextmanager
def kept(tensors: Sequence[Tensor], recorded: Recorded) -> Iterator[None]:
    """Put tensors back at the end, whatever was written into them."""
    with recorded.on(), torch.no_grad():
        before = [tensor.detach().clone() for tensor in tensors]
    recorded.wait()
    try:
        yield
    finally:
        with recorded.on(), torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
        recorded.wait()


def forget_gradients(weights: Sequence[Tensor]) -> None:
    """Free the gradients of weights."""
    for weight in weights:
        weight.grad = None


def losses_with_gradient(
    scores: TrainingScores, rule: OptimisationSettings, precision: str, sample: Sample
) -> Tensor:
    """Return the loss of each tile (N,), and leave the gradient of their mean with the weights.

    Each tile counts the same, whatever is annotated on it. In ``bfloat16`` all weights are cast together.
    """
    images = sample.image.contiguous(memory_format=torch.channels_last)
    with autocast(images.device, precision):
        cast = cast_weights(scores, torch.bfloat16) if precision == "bfloat16" else {}
        maps = functional_call(scores, cast, images)
    losses = torch.stack(tile_losses(rule, maps, sample))
    losses.mean().backward()  # type: ignore[no-untyped-call]
    return losses.detach()
