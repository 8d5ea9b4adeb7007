"""Carries out a tile plan: reading, network and writing at the same time, in bounded memory."""

import copy
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unet2015.errors import MemoryLimitError, UsageError
from unet2015.networks import Network, architecture_of
from unet2015.networks.architecture import make_bfloat16
from unet2015.tiling.averaging import VERSIONS, Averaging
from unet2015.tiling.plan import Tile, TilePlan, mirror

Precision = Literal["float32", "bfloat16"]
AHEAD = 2
"""Batches read before their turn, and batches that wait to be written."""

_log = logging.getLogger("unet2015")


class Source(Protocol):
    """What the network reads: pages of mapped intensities."""

    def read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[Any]:
        """Return (channels, y1 - y0, x1 - x0) of one page; must be safe to call from threads."""


@runtime_checkable
class RawSource(Source, Protocol):
    """A source whose two halves can be called, and timed, one after the other."""

    def raw(self, page: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[Any]:
        """Return the pixels as they are in the file."""

    def map(self, raw: NDArray[Any], page: int) -> NDArray[Any]:
        """Return what the network reads of them."""


class Sink(Protocol):
    """What becomes of the probabilities."""

    def write(self, tile: Tile, probabilities: NDArray[Any]) -> None:
        """Take the kept pixels of one tile, (classes, height, width)."""


@runtime_checkable
class SkippingSink(Sink, Protocol):
    """A sink that knows what stands where the network was not asked."""

    def skip(self, tile: Tile) -> None:
        """Take note that a tile is background."""


@dataclass
class Times:
    """Seconds that each stage was busy; the stages overlap, so the sum is no elapsed time."""

    read: float = 0.0
    map: float = 0.0
    network: float = 0.0
    write: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                setattr(self, stage, getattr(self, stage) + time.perf_counter() - start)

    def add(self, other: "Times") -> None:
        """Add the seconds of another run."""
        with self._lock:
            for stage in self.as_dict():
                setattr(self, stage, getattr(self, stage) + getattr(other, stage))

    def __getstate__(self) -> dict[str, float]:
        return {stage: getattr(self, stage) for stage in self.as_dict()}

    def __setstate__(self, state: dict[str, float]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def as_dict(self) -> dict[str, float]:
        """Return the seconds for a record."""
        return {stage: round(getattr(self, stage), 3) for stage in ("read", "map", "network", "write")}


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; ``auto`` takes CUDA, then MPS, then the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        usable = {
            "cpu": True,
            "cuda": (device.index or 0) < torch.cuda.device_count(),
            "mps": torch.backends.mps.is_available(),
        }[device.type]
    except (RuntimeError, KeyError) as error:
        raise UsageError(f"device {name!r} is not known; choose auto, cpu, cuda, cuda:N or mps") from error
    if not usable:
        raise UsageError(f"device {name!r} is not available on this machine; choose auto or cpu")
    return device


@dataclass
class Predictor:
    """A network on its device: batches of tiles in, probabilities out.

    Attributes
    ----------
    network : Network
        Copied, so that the caller's network stays as it is. One of the table that has a fast path on a
        CPU takes it there.
    scores : callable
        (N, channels, H, W) -> (N, classes, h, w), on the device: the network before the softmax.
    device, precision, average
        As in :func:`unet2015.segment`. The last layer, the average and the softmax are float32 also
        in ``bfloat16``; a float64 network stays float64.
    """

    network: Network
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: Precision = "float32"
    average: Averaging = "none"

    def __post_init__(self) -> None:
        if self.average not in VERSIONS:
            raise UsageError(f"average must be one of {', '.join(VERSIONS)}, not {self.average!r}")
        if self.precision not in ("float32", "bfloat16"):
            raise UsageError(f"precision must be float32 or bfloat16, not {self.precision!r}")
        self._limit: int | None = None
        self._dtype = next(self.network.parameters()).dtype
        if self.precision == "bfloat16":
            self._dtype = torch.bfloat16
        fast = architecture_of(self.network).fast
        if self.device.type == "cpu" and fast is not None:
            self.scores: Callable[[Tensor], Tensor] = fast.scores(self.network, self._dtype)
            return
        network = copy.deepcopy(self.network).eval().requires_grad_(False)
        if self.precision == "bfloat16":
            make_bfloat16(network)  # from the scores on, everything is summed in float32
        network = network.to(self.device)
        # Several times faster than channels first, on CPUs and GPUs alike.
        self.scores = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, tiles: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities (N, classes, h, w) for tiles (N, channels, H, W).

        A device out of memory halves the batch, says so and goes on.

        Raises
        ------
        MemoryLimitError
            One tile alone is too much for the device.
        """
        done: list[NDArray[Any]] = []
        position = 0
        while position < len(tiles):
            part = tiles[position : position + (self._limit or len(tiles))]
            try:
                done.append(self._predict(torch.from_numpy(part)))
                position += len(part)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                self._halve(part.shape)
        return np.concatenate(done) if len(done) > 1 else done[0]

    @torch.inference_mode()
    def _predict(self, tiles: Tensor) -> NDArray[Any]:
        with exact_float32(self.device):
            x = tiles.to(self.device, self._dtype)
            versions = VERSIONS[self.average]
            total: Tensor | None = None
            for version in versions:
                turned = version.apply(x).contiguous(memory_format=torch.channels_last)
                scores = version.undo(self.scores(turned))
                total = scores if total is None else total + scores
            assert total is not None
            probabilities: NDArray[Any] = torch.softmax(total / len(versions), dim=1).cpu().numpy()
            return probabilities

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
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


@contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """Switch off TensorFloat-32 and the algorithm search, which would round and vary on CUDA."""
    if device.type != "cuda":
        yield
        return
    matmul = torch.backends.cuda.matmul
    before, matmul.allow_tf32 = matmul.allow_tf32, False
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        matmul.allow_tf32 = before


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch says that there is not enough memory."""
    text = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError)
        or "out of memory" in text
        or "can't allocate memory" in text
        or "could not create a primitive" in text  # what oneDNN says where a process may take no more
    )


def read_tile(source: Source, tile: Tile, height: int, width: int) -> NDArray[Any]:
    """Return what the network reads for `tile`, mirrored where it lies outside the image."""
    region, mirrored = window(tile, height, width)
    return source.read(tile.page, *region)[mirrored]


def window(
    tile: Tile, height: int, width: int
) -> tuple[tuple[int, int, int, int], tuple[slice, NDArray[np.intp], NDArray[np.intp]]]:
    """Return the region of the image that `tile` shows, and the index that makes the tile of it."""
    y = mirror(tile.row.read_start, tile.row.read_stop, height)
    x = mirror(tile.column.read_start, tile.column.read_stop, width)
    y0, y1, x0, x1 = int(y.min()), int(y.max()) + 1, int(x.min()), int(x.max()) + 1
    return (y0, y1, x0, x1), (slice(None), (y - y0)[:, None], (x - x0)[None, :])


def is_empty(raw: NDArray[Any]) -> bool:
    """Whether each channel of a region, (channels, height, width), has one value only."""
    return bool((raw == raw[:, :1, :1]).all())


class _Reader:
    """Reads batches from a source; leaves out tiles of constant pixels where asked to."""

    def __init__(self, plan: TilePlan, source: Source, times: Times, skip_empty: bool) -> None:
        self._plan, self._times, self._skip = plan, times, skip_empty
        self._raw: Callable[..., NDArray[Any]] = source.read
        self._map: Callable[..., NDArray[Any]] | None = None  # a source of one piece maps as it reads
        if isinstance(source, RawSource):
            self._raw, self._map = source.raw, source.map

    def __call__(self, batch: Sequence[Tile]) -> tuple[NDArray[Any] | None, list[bool]]:
        """Return network input for the tiles that are not empty, None without any; and which are."""
        read, empty = [], []
        for tile in batch:
            region, mirrored = window(tile, self._plan.height, self._plan.width)
            with self._times.measure("read"):
                raw = self._raw(tile.page, *region)
            empty.append(self._skip and is_empty(raw))
            if empty[-1]:
                continue
            with self._times.measure("map"):
                mapped = raw if self._map is None else self._map(raw, tile.page)
                read.append(mapped[mirrored])
        if not read:
            return None, empty
        with self._times.measure("map"):
            return np.stack(read), empty


def run(
    plan: TilePlan,
    source: Source,
    predict: Callable[[NDArray[Any]], NDArray[Any]],
    sink: Sink,
    *,
    workers: int = 2,
    order: Sequence[int] | None = None,
    skip_empty: bool = False,
    times: Times | None = None,
    progress: Callable[[int], object] = lambda tiles: None,
) -> Times:
    """Send tiles of `plan`, all unless said otherwise, from `source` through `predict` to `sink`.

    Parameters
    ----------
    plan : TilePlan
        The tiles. What is computed together is part of the plan, so that the same plan gives the
        same bytes whatever `workers` and `order`.
    source : Source
        Read by `workers` threads, ahead of the network.
    predict : callable
        (N, channels, H, W) -> (N, classes, h, w), such as a :class:`Predictor`.
    sink : Sink
        Called from one thread at a time, in the order of the batches; a :class:`SkippingSink` for
        `skip_empty`.
    order : sequence of int, optional
        The batches and their order, none twice; all of the plan unless given.
    skip_empty : bool
        Leave out the network for tiles whose pixels all have the same value in each channel, margin
        included and before any mapping if the source is a :class:`RawSource`.
    times : Times, optional
        What to add the times to.
    progress : callable
        Called with the number of tiles of each batch that is done.
    """
    times = Times() if times is None else times
    order = range(len(plan)) if order is None else order
    assert len(set(order)) == len(order)
    read = _Reader(plan, source, times, skip_empty)

    def write(batch: Sequence[Tile], empty: Sequence[bool], probabilities: NDArray[Any] | None) -> None:
        with times.measure("write"):
            outputs = iter(() if probabilities is None else probabilities)
            for tile, skipped in zip(batch, empty, strict=True):
                if skipped:
                    assert isinstance(sink, SkippingSink)
                    sink.skip(tile)
                else:
                    sink.write(tile, next(outputs)[:, : tile.row.length, : tile.column.length])
        progress(len(batch))

    ahead: deque[tuple[tuple[Tile, ...], Future[tuple[NDArray[Any] | None, list[bool]]]]] = deque()
    behind: deque[Future[None]] = deque()
    upcoming = iter(order)
    readers, writer = ThreadPoolExecutor(max(1, workers)), ThreadPoolExecutor(1)
    try:
        for _ in order:
            while len(ahead) < AHEAD and (index := next(upcoming, None)) is not None:
                batch = plan[index]
                ahead.append((batch, readers.submit(read, batch)))
            batch, future = ahead.popleft()
            tiles, empty = future.result()
            probabilities = None
            if tiles is not None:
                with times.measure("network"):
                    probabilities = predict(tiles)
            behind.append(writer.submit(write, batch, empty, probabilities))
            while len(behind) > AHEAD or (behind and behind[0].done()):
                behind.popleft().result()
        while behind:
            behind.popleft().result()
    finally:
        # After an error what waits is dropped; what runs ends before the sink is closed.
        readers.shutdown(cancel_futures=True)
        writer.shutdown(cancel_futures=True)
    return times
