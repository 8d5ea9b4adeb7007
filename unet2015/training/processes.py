"""Data-parallel training (DDP) with several processes, one for each GPU: ranks and collective operations.

``torchrun`` starts the processes and gives each its rank by environment variables. In every step each
process shows the network tiles of its own, and all follow the mean of their gradients. Without torchrun, or
with one process, nothing here has an effect.

A process that fails shows its error and ends. The others notice the closed connection at the next collective
operation, before their next gradient, and end without a message. They always wait through Gloo, on the
processor, which notices it; NCCL, on the GPUs, would wait for ever.
"""

import hashlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from unet2015.device import choose_device, gpu_count
from unet2015.errors import OtherProcessError, TrainingError, UsageError

_PATIENCE = timedelta(days=7)
"""Timeout of collective operations: a validation on many pages must not end a training."""

_log = logging.getLogger("unet2015")


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train together, as DDP has them.

    Attributes
    ----------
    rank : int
        Number of this process, from 0; rank 0 alone writes, validates and shows messages.
    size : int
        Number of processes (the world size).
    local_rank : int
        Number of this process on its machine: the number of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def draw(self, step: int) -> int:
        """Return the number, over all processes and steps, of the tile that this one shows at `step`."""
        return step * self.size + self.rank

    def device(self, name: str) -> torch.device:
        """Return the device of this process; each of several processes takes the GPU with its own number.

        Raises
        ------
        UsageError
            There is no such device, or there are fewer than processes.
        """
        if self.size == 1:
            return choose_device(name)
        device = torch.device("cuda") if name == "cuda" else choose_device(name)
        if device.type == "mps" or device.index is not None:
            raise UsageError(
                f"device {name!r}: {self.size} processes cannot share it; give cuda, so that each takes a "
                "GPU of its own, or cpu"
            )
        if device.type == "cpu":
            return device
        if self.local_rank >= gpu_count():
            raise UsageError(
                f"process {self.local_rank} of this machine needs a GPU of its own, but there are "
                f"{gpu_count()}; give torchrun a smaller --nproc-per-node"
            )
        torch.cuda.set_device(self.local_rank)
        return torch.device("cuda", self.local_rank)

    def share(self, network: nn.Module) -> nn.Module:
        """Return a network whose ``backward`` leaves the mean of all processes' gradients."""
        if self.size == 1:
            return network
        self.wait()
        device = next(network.parameters()).device
        with _connected():
            return DistributedDataParallel(network, None if device.type == "cpu" else [device])

    def exchange(self) -> AbstractContextManager[None]:
        """Return the context for the backward pass of a shared network."""
        return nullcontext() if self.size == 1 else _connected()

    def mean(self, values: Sequence[float]) -> float | None:
        """Return the mean of the numbers of all processes, None if there is no number; waits for all."""
        totals, counts = zip(*self._gather(sum(values), float(len(values))), strict=True)
        return sum(totals) / sum(counts) if any(counts) else None

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Return for each flag whether it is set in any process; waits for all."""
        every = zip(*self._gather(*map(float, flags)), strict=True)
        return tuple(any(one) for one in every)

    def first_of(self, value: float) -> float:
        """Return the number of process 0; waits for all."""
        return self._gather(value)[0][0]

    def wait(self) -> None:
        """Wait for all processes."""
        self._gather(0.0)

    def check_same(self, what: str, value: object) -> None:
        """Raise a `TrainingError` if a value differs between processes; its `repr` must show all of it."""
        digest = float(int.from_bytes(hashlib.sha256(repr(value).encode()).digest()[:6], "big"))
        if self.first_of(digest) != digest:
            raise TrainingError(
                f"process {self.rank} of {self.size} does not see the same {what} as process 0; all must be "
                "given the same settings and see the same files"
            )

    def _gather(self, *values: float) -> list[tuple[float, ...]]:
        """Return the numbers of each process, in their order."""
        if self.size == 1:
            return [values]
        mine = torch.tensor(values, dtype=torch.float64)
        every = [torch.empty_like(mine) for _ in range(self.size)]
        with _connected():
            distributed.all_gather(every, mine)
        return [tuple(one.tolist()) for one in every]


SINGLE_PROCESS = ProcessGroup()
"""One process."""


@contextmanager
def process_group() -> Iterator[ProcessGroup]:
    """Yield the group of this process: of one process, unless torchrun has started several.

    With several processes, only process 0 shows the messages of this package. If several fail, only one
    shows its error.

    Raises
    ------
    OtherProcessError
        Another process has failed, and shows its error; or all were interrupted, and process 0 says so.
    TrainingError
        Another process ended without an error.
    """
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        yield SINGLE_PROCESS
        return
    group = ProcessGroup(int(os.environ["RANK"]), size, int(os.environ.get("LOCAL_RANK", 0)))
    if distributed.is_initialized():
        yield group
        return
    store, rank, size = next(rendezvous("env://"))
    backend = "cpu:gloo,cuda:nccl" if gpu_count() else "gloo"
    distributed.init_process_group(backend, timeout=_PATIENCE, rank=rank, world_size=size, store=store)
    disabled, _log.disabled = _log.disabled, _log.disabled or not group.first
    try:
        yield group
    except KeyboardInterrupt as error:
        if group.first:
            raise
        _wait_for_report(1)
        raise OtherProcessError("interrupted", 130) from error
    except Exception as error:
        if _reports(store):
            raise
        _wait_for_report(5)
        raise OtherProcessError("another process of this training has failed, and shows its error") from error
    finally:
        _log.disabled = disabled
        distributed.destroy_process_group()


def _reports(store: Any) -> bool:
    """Return whether this process is the first that fails, and so reports its error."""
    try:
        return bool(store.add("unet2015/failures", 1) == 1)
    except RuntimeError:  # the store is gone with the process that kept it
        return True


def _wait_for_report(seconds: float) -> None:
    """Wait until the error can be reported: torchrun ends all processes when the first has ended."""
    if distributed.is_torchelastic_launched():
        time.sleep(seconds)


@contextmanager
def _connected() -> Iterator[None]:
    """Turn the errors that Gloo and NCCL raise when another process is gone into a `TrainingError`."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise TrainingError(
            f"the connection to another process of the training is lost: it was killed, or its machine or "
            f"the network is gone ({error}); go on from the last checkpoint with --resume"
        ) from error
