"""Parts of a plan: computed in any order and anywhere, put together in order.

The division into parts follows from the plan alone (see :mod:`unet2015.tiling.plan`), and the pixels of a
part from the image, the model and the plan. So a part that was computed once, by this process or another,
is never computed again, and the result is the same bytes wherever the parts were computed.

- `compute_parts` computes some parts and hands on their bands: for a worker elsewhere.
- `in_order` gives all bands of a plan from top to bottom. It takes from the store what is there, and
  computes and stores the rest.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol

from unet2015.images.image import Image
from unet2015.images.mapped_image import MappedImage
from unet2015.images.mapping import Scale
from unet2015.segmentation.jobs import Job
from unet2015.segmentation.part_store import PartStore, PartWriter, Store
from unet2015.segmentation.segmenter import Segmenter
from unet2015.tiling.engine import RunOptions, run
from unet2015.tiling.plan import Part, TilePlan
from unet2015.tiling.sinks import Band, BandSink
from unet2015.tiling.times import Times


@dataclass(frozen=True)
class Computation:
    """What the pixels of all products of an image are computed from.

    Attributes
    ----------
    segmenter : Segmenter
        The model on its device, and how it is used.
    source : MappedImage
        The image, as the network reads it.
    plan : TilePlan
        Its tiles and parts.
    times : Times
        Times of its stages so far.
    """

    segmenter: Segmenter
    source: MappedImage
    plan: TilePlan
    times: Times = field(default_factory=Times)


class Elsewhere(Protocol):
    """Other processes, perhaps on other machines, that see the same files."""

    def compute(self, job: Job, computation: Computation, store: Store) -> None:
        """Compute the parts that a store lacks, and keep them in the store."""

    def each(self, function: Callable[[Any], None], items: Sequence[Any]) -> None:
        """Call a function, which can be pickled, with each item, in any order and at the same time."""


def computation_of(
    segmenter: Segmenter, image: Image, plan: TilePlan, scale: Scale | None = None
) -> Computation:
    """Return what an image is computed from; without `scale`, the mapping may read the whole image."""
    times = Times()
    with times.measure("map"):
        source = MappedImage(image, segmenter.mapping, scale, segmenter.judge)
    return Computation(segmenter, source, plan, times)


def compute_parts(
    computation: Computation,
    parts: Sequence[Part],
    emit: Callable[[Band], object],
    progress: Callable[[int], object] = lambda tiles: None,
) -> None:
    """Compute parts one after the other; reading, network and `emit`, in a thread, overlap.

    Parameters
    ----------
    computation : Computation
        What they are computed from.
    parts : sequence of Part
        Of its plan.
    emit : callable
        Takes each `Band`; called from one thread at a time.
    progress : callable
        Called with the number of tiles of each batch that is done.
    """
    segmenter, plan = computation.segmenter, computation.plan
    order = list(chain.from_iterable(part.batches for part in parts))
    render = segmenter.renderer(computation.source.image.name)
    run(
        plan,
        computation.source,
        segmenter.predict,
        BandSink(plan, segmenter.info.classes, render, emit),
        RunOptions(order=order, skip_empty=segmenter.options.skip_empty),
        times=computation.times,
        progress=progress,
    )


def in_order(
    computation: Computation,
    emit: Callable[[Band], object],
    store: PartStore | None = None,
    progress: Callable[[int], object] = lambda tiles: None,
) -> None:
    """Hand all bands of a plan to `emit` from top to bottom, computing what the store does not hold.

    Parameters
    ----------
    computation, emit, progress
        As for :func:`compute_parts`.
    store : PartStore, optional
        Holds the finished parts; parts computed now are added.
    """
    plan = computation.plan
    finished = set() if store is None else store.finished()
    assembly = _Assembly(plan, finished, store, emit, progress)
    missing = [part for part in plan.parts if part.index not in finished]
    with assembly.stack:
        compute_parts(computation, missing, assembly.take, progress)
        with computation.times.measure("write"):
            assembly.replay(len(plan.parts))


class _Assembly:
    """Merges computed bands, which come in order but with gaps, with the bands in the store."""

    def __init__(
        self,
        plan: TilePlan,
        finished: set[int],
        store: PartStore | None,
        emit: Callable[[Band], object],
        progress: Callable[[int], object],
    ) -> None:
        self._plan, self._finished, self._store = plan, finished, store
        self._emit, self._progress = emit, progress
        self._next = 0  # the part that is emitted now
        self._writer: PartWriter | None = None
        self.stack = ExitStack()

    def take(self, band: Band) -> None:
        """Emit a computed band, after the stored parts before it; keep its part when it is full."""
        if self._store is None:
            self._emit(band)
            return
        if self._writer is None:
            # The number of the band's first tile tells its part; all parts before that one are in the store.
            first = (band.page * len(self._plan.rows) + band.row) * len(self._plan.columns)
            self.replay(next(part.index for part in self._plan.parts[self._next :] if first in part.tiles))
            self._writer = self.stack.enter_context(PartWriter(self._store, self._plan.parts[self._next]))
        self._writer.append(band)
        self._emit(band)
        if self._writer.full:
            self.stack.pop_all().close()
            self._writer = None
            self._next += 1

    def replay(self, stop: int) -> None:
        """Emit the stored parts before number `stop`."""
        if self._store is None:
            return
        for part in self._plan.parts[self._next : stop]:
            assert part.index in self._finished
            for band in self._store.load(part):
                self._emit(band)
            self._progress(len(part.tiles))
        self._next = stop
