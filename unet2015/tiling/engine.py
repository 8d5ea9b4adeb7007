"""Carries out a tile plan: reading, network and writing at the same time, in bounded memory."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from unet2015.tiling.computing import Computed, Computes, computing
from unet2015.tiling.plan import Tile, TilePlan
from unet2015.tiling.reading import BatchReader, PixelReader
from unet2015.tiling.sinks import Sink, SkippingSink
from unet2015.tiling.times import Times

AHEAD = 2
"""Batches read before their turn, and batches that wait to be written: one in work, one ready."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a plan is carried out; the bytes depend on `skip_empty` alone.

    Attributes
    ----------
    workers : int
        Threads that read, ahead of the network.
    order : sequence of int, optional
        Numbers of the batches to run, in this order, none twice. Default: all, in the plan's order.
    skip_empty : bool
        Leave out the network for tiles whose pixels all have the same value in each channel, margin
        included; before any mapping if the reader is a ``RawPixelReader``. Needs a ``SkippingSink``.
    """

    workers: int = 2
    order: Sequence[int] | None = None
    skip_empty: bool = False

    def __post_init__(self) -> None:
        assert self.order is None or len(set(self.order)) == len(self.order)


def run(
    plan: TilePlan,
    reader: PixelReader,
    predict: Callable[[NDArray[Any]], NDArray[Any]],
    sink: Sink,
    options: RunOptions = RunOptions(),
    *,
    times: Times | None = None,
    progress: Callable[[int], object] = lambda tiles: None,
) -> Times:
    """Send the tiles of `plan` from `reader` through `predict` to `sink`.

    Parameters
    ----------
    plan : TilePlan
        The tiles. What is computed together is part of the plan, so that the same plan gives the
        same bytes whatever the workers and the order.
    reader : PixelReader
        Called from several threads at a time.
    predict : callable
        (N, channels, H, W) -> (N, classes, h, w), called from this thread. If it `Submits` and runs ahead, it
        is given the next tiles while it computes, and the writing thread waits for what comes.
    sink : Sink
        Called from one thread at a time, in the order of the batches.
    options : RunOptions
    times : Times, optional
        What the times are added to. Default: a new one.
    progress : callable
        Called with the number of tiles of each batch that is written.

    Returns
    -------
    Times
        `times`, or the new one.
    """
    times = Times() if times is None else times
    order = range(len(plan)) if options.order is None else options.order
    upcoming = iter(order)
    behind: deque[Future[None]] = deque()
    with ExitStack() as stack:
        # After an error, waiting batches are dropped; running ones end before the caller closes the sink.
        readers, writer = ThreadPoolExecutor(max(1, options.workers)), ThreadPoolExecutor(1)
        stack.callback(writer.shutdown, cancel_futures=True)
        stack.callback(readers.shutdown, cancel_futures=True)
        compute: Computes[Any] = stack.enter_context(
            computing(predict, BatchReader(plan, reader, times, options.skip_empty), sink, times)
        )
        write = _Writer(sink, times, progress)
        ahead: deque[tuple[tuple[Tile, ...], Future[Any]]] = deque()
        for _ in order:
            while len(ahead) < AHEAD and (index := next(upcoming, None)) is not None:
                batch = plan[index]
                ahead.append((batch, readers.submit(compute.read, batch)))
            batch, future = ahead.popleft()
            computed = compute(batch, future.result())
            del future  # and with it what was read
            behind.append(writer.submit(write, batch, computed))
            # Waits if too much is unwritten; raises an error of the writer as soon as it is known.
            while len(behind) > AHEAD or (behind and behind[0].done()):
                behind.popleft().result()
        while behind:
            behind.popleft().result()
    return times


class _Writer:
    """Hands the tiles of a batch to the sink, and says when the batch is done."""

    def __init__(self, sink: Sink, times: Times, progress: Callable[[int], object]) -> None:
        self._sink, self._times, self._progress = sink, times, progress

    def __call__(self, batch: Sequence[Tile], computed: Computed) -> None:
        with self._times.measure("network"):  # the rest of its time
            found = computed.wait()
        with self._times.measure("write"):
            outputs = iter(found)
            for tile, skipped in zip(batch, computed.empty, strict=True):
                if skipped:
                    assert isinstance(self._sink, SkippingSink)
                    self._sink.skip(tile)
                else:
                    computed.take(tile, next(outputs))
        self._progress(len(batch))
