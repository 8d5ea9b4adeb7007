"""The network at work on batches of tiles: by a device that goes on by itself, or by the processor."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike, NDArray

from unet2015.device import thread_count
from unet2015.large_arrays import large_array
from unet2015.tiling.plan import Tile
from unet2015.tiling.reading import BatchReader, Each, Regions
from unet2015.tiling.sinks import PreparingSink, Sink
from unet2015.tiling.times import Times

_MAPPERS = 8
"""Most threads that map pixels: more would wait for the memory."""

Read = TypeVar("Read")


@runtime_checkable
class Submits(Protocol):
    """A `predict` that can begin with tiles before those given earlier are done: a ``Predictor``.

    Attributes
    ----------
    runs_ahead : bool
        Whether it does: on a device that computes while the processor goes on.
    """

    runs_ahead: bool

    def submit(self, tiles: NDArray[Any]) -> Callable[[], NDArray[Any]]:
        """Begin with tiles; what is returned waits for their probabilities."""

    def array(self, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any] | None:
        """Return an array for tiles; None where any will do. Must be safe to call from threads."""


@dataclass(frozen=True)
class Computed:
    """What a batch becomes.

    Attributes
    ----------
    empty : list of bool
        For each tile of the batch, whether it was left out.
    wait : callable
        Waits for the outputs of the other tiles, and returns them.
    take : callable
        Gives the sink such a tile and its output.
    """

    empty: list[bool]
    wait: Callable[[], Any]
    take: Callable[[Tile, Any], None]


class Computes(Protocol, Generic[Read]):
    """Reads batches, in threads, and computes what was read, in one."""

    def read(self, batch: Sequence[Tile]) -> Read:
        """Read a batch; safe to call from threads."""

    def __call__(self, batch: Sequence[Tile], found: Read) -> Computed:
        """Compute a batch that was read."""


@contextmanager
def computing(
    predict: Callable[[NDArray[Any]], NDArray[Any]], reader: BatchReader, sink: Sink, times: Times
) -> Iterator[Computes[Any]]:
    """Yield what reads and computes batches, the way that suits `predict`."""
    if isinstance(predict, Submits) and predict.runs_ahead:
        yield _OnDevice(predict, reader, sink, times)
        return
    threads = min(_MAPPERS, thread_count())
    if threads == 1:
        yield _Here(predict, reader, sink, times, map)
        return
    with ThreadPoolExecutor(threads) as mappers:
        yield _Here(predict, reader, sink, times, mappers.map)


def _cut(tile: Tile, probabilities: NDArray[Any]) -> NDArray[Any]:
    """Return what lies inside the image: tiles run past its far end."""
    return probabilities[:, : tile.row.length, : tile.column.length]


class _OnDevice:
    """Gives a device the next tiles while it computes; they are mapped as soon as they are read."""

    def __init__(self, predict: Submits, reader: BatchReader, sink: Sink, times: Times) -> None:
        self._predict, self._reader, self._sink, self._times = predict, reader, sink, times

    def read(self, batch: Sequence[Tile]) -> tuple[NDArray[Any] | None, list[bool]]:
        found = self._reader.read(batch)
        return self._reader.tiles(found, self._predict.array), found.empty

    def __call__(self, batch: Sequence[Tile], found: tuple[NDArray[Any] | None, list[bool]]) -> Computed:
        tiles, empty = found
        wait: Callable[[], Any] = lambda: ()  # noqa: E731
        if tiles is not None:
            with self._times.measure("network"):
                wait = self._predict.submit(tiles)
        return Computed(empty, wait, lambda tile, output: self._sink.write(tile, _cut(tile, output)))


class _Here:
    """Computes one batch after the other, with as little as can be in memory beside it.

    Pixels wait as they are in the file, and are mapped into an array that stays, by threads that have nothing
    else to do then. Probabilities become what the sink keeps of them before the next batch begins.
    """

    def __init__(
        self,
        predict: Callable[[NDArray[Any]], NDArray[Any]],
        reader: BatchReader,
        sink: Sink,
        times: Times,
        each: Each,
    ) -> None:
        self._predict, self._reader, self._sink, self._times = predict, reader, sink, times
        self._each, self._tiles = each, np.empty(0)
        self.read = reader.read

    def _array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        if (self._tiles.shape, self._tiles.dtype) != (shape, dtype):
            self._tiles = np.empty(0)  # freed before another is made
            self._tiles = large_array(shape, dtype)
        return self._tiles

    def __call__(self, batch: Sequence[Tile], found: Regions) -> Computed:
        tiles = self._reader.tiles(found, self._array, self._each)
        outputs: Any = ()
        if tiles is not None:
            found.pixels.clear()
            with self._times.measure("network"):
                outputs = self._predict(tiles)
            if np.may_share_memory(outputs, tiles):
                self._tiles = np.empty(0)
        kept = [tile for tile, empty in zip(batch, found.empty, strict=True) if not empty]
        cut = [_cut(tile, output) for tile, output in zip(kept, outputs, strict=True)]
        sink = self._sink
        if not isinstance(sink, PreparingSink):
            return Computed(found.empty, lambda: cut, sink.write)
        with self._times.measure("write"):
            prepared = [sink.prepare(each) for each in cut]
        return Computed(found.empty, lambda: prepared, sink.put)
