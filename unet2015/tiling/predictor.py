"""The network on its device: tiles in, probabilities out, averaged over versions of each tile."""

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from unet2015.device import (
    exact_float32,
    fetch,
    is_out_of_memory,
    release_cached_memory,
    send,
    transfer_array,
)
from unet2015.errors import MemoryLimitError, UsageError
from unet2015.networks import Network, architecture_of
from unet2015.networks.architecture import FastScores, make_bfloat16
from unet2015.networks.gpu import speed_up
from unet2015.settings.choices import Averaging, Precision
from unet2015.tiling.averaging import VERSIONS

_log = logging.getLogger("unet2015")

_ROWS = 128
"""Rows whose scores become probabilities together, on a CPU."""


@dataclass
class Predictor:
    """A network on its device: batches of tiles in, probabilities out.

    Attributes
    ----------
    network : Network
        It is copied, so the caller's network does not change. On a CPU, its fast path is used if the table
        has one.
    scores : callable
        (N, channels, H, W) -> (N, classes, h, w), on the device: the network before the softmax.
    convolutions : str or None
        How the fast path computes convolutions, in words, which decides how scores are rounded; None where
        there is one way alone. Given ``fastest``, it becomes what is fastest on this machine; not given, what
        usually is. The words of an earlier run round as that run did.
    runs_ahead : bool
        Whether the device computes while the processor goes on.
    device, precision, average
        As in :func:`unet2015.segment`. The last layer, the average and the softmax are float32 also
        in ``bfloat16``; a float64 network stays float64.

    Raises
    ------
    UsageError
        The precision, the averaging or the convolutions are not known.
    """

    network: Network
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: Precision = "float32"
    average: Averaging = "none"
    convolutions: str | None = None

    def __post_init__(self) -> None:
        if self.average not in VERSIONS:
            raise UsageError(f"average must be one of {', '.join(VERSIONS)}, not {self.average!r}")
        if self.precision not in get_args(Precision):
            raise UsageError(f"precision must be {' or '.join(get_args(Precision))}, not {self.precision!r}")
        self._limit: int | None = None
        self.runs_ahead = self.device.type == "cuda"
        self._dtype = next(self.network.parameters()).dtype
        if self.precision == "bfloat16":
            self._dtype = torch.bfloat16
        fast = architecture_of(self.network).fast
        self._fast: FastScores | None = None
        if self.device.type == "cpu" and fast is not None:
            self.convolutions = fast.way(self.network, self._dtype, self.convolutions)
            self._fast = fast.scores(self.network, self._dtype, self.convolutions)
            self.scores: Callable[[Tensor], Tensor] = self._fast
            return
        self.convolutions = None
        network = copy.deepcopy(self.network).eval().requires_grad_(False)
        if self.precision == "bfloat16":
            make_bfloat16(network)  # from the scores on, everything is summed in float32
        network = network.to(self.device)
        # Several times faster than channels first, on CPUs and GPUs alike.
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.scores = network if self.device.type != "cuda" else _on_gpu(network)

    def __call__(self, tiles: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities (N, classes, h, w) for tiles (N, channels, H, W); errors as `submit`."""
        return self.submit(tiles)()

    def release(self) -> None:
        """Free what is kept for the next tile; that takes it again."""
        if self._fast is not None:
            self._fast.release()

    def array(self, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any] | None:
        """Return an array for tiles from which the device reads fast; None where any array will do."""
        return transfer_array(shape, dtype, self.device)

    def submit(self, tiles: NDArray[Any]) -> Callable[[], NDArray[Any]]:
        """Begin with tiles (N, channels, H, W); what is returned waits, and gives what a call would.

        A GPU has then the next tiles to compute while the last ones are still on their way; the tiles must
        not change until then. If the device runs out of memory, the batch is halved, with a warning, here and
        in later calls.

        Raises
        ------
        MemoryLimitError
            One tile alone is too much for the device.
        """
        begun: list[Callable[[], NDArray[Any]]] = []
        position = 0
        while position < len(tiles):
            part = tiles[position : position + (self._limit or len(tiles))]
            try:
                begun.append(self._begin(part))
                position += len(part)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(part.shape)

        unread = tiles if self.runs_ahead else None

        def wait(_kept: NDArray[Any] | None = unread) -> NDArray[Any]:
            done = [each() for each in begun]
            return np.concatenate(done) if len(done) > 1 else done[0]

        return wait

    @torch.inference_mode()
    def _begin(self, tiles: NDArray[Any]) -> Callable[[], NDArray[Any]]:
        with exact_float32(self.device):
            x = send(tiles, self.device, self._dtype)
            versions = VERSIONS[self.average]
            total: Tensor | None = None
            for version in versions:
                turned = version.apply(x).contiguous(memory_format=torch.channels_last)
                scores = version.undo(self.scores(turned))
                total = scores if total is None else total.add_(scores)
                del turned, scores  # before the next ones are made
            assert total is not None
            if len(versions) > 1:
                total /= len(versions)
            return fetch(_probabilities(total))

    def _halve(self, shape: tuple[int, ...]) -> None:
        count, height, width = shape[0], shape[-2], shape[-1]
        if count == 1:
            raise MemoryLimitError(
                f"{self.device} ran out of memory with one tile of {height} x {width} px; "
                "give a smaller --tile or --max-memory"
            )
        self._limit = count // 2
        _log.warning(
            "%s ran out of memory with a batch of %d tiles; going on with %d", self.device, count, self._limit
        )
        release_cached_memory(self.device)


def _probabilities(scores: Tensor) -> Tensor:
    """Return the softmax of scores (N, classes, h, w); on a CPU in their own memory, as a tile's are large.

    Many rows at a time give the same bits as all of them; of few pixels, torch takes the exponential another
    way. So the last ones are up to twice as many.
    """
    if scores.device.type != "cpu":
        return torch.softmax(scores, dim=1)
    cuts = tuple(range(_ROWS, scores.shape[2] - _ROWS + 1, _ROWS))
    for some in scores.tensor_split(cuts, dim=2):
        some.copy_(torch.softmax(some, dim=1))
    return scores


def _on_gpu(network: Network) -> Callable[[Tensor], Tensor]:
    """Return the fastest way to compute the scores of a network that is on a GPU."""
    found = architecture_of(network).gpu_scores(network)
    if found is not None:
        return found
    speed_up(network)
    return network
