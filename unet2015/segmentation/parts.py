"""Parts of a plan: computed in any order and anywhere, kept on disk, put together in order.

A `Part` (see :mod:`unet2015.tiling.plan`) is a pure function of the plan, and what it becomes is one of
the image, the model and the plan. So a part that was computed once, by this process or another, need
not be computed again, and the whole is the same bytes whoever computed what.

- `compute_part`: one part, as bands in memory: for a worker elsewhere.
- `PartStore`: finished parts in a folder, one file each, whole or absent.
- `in_order`: all bands of a plan from top to bottom, from the store where they are there, else
  computed (and stored).
"""

import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import ImageWriteError
from unet2015.safe_files import atomic_path
from unet2015.tiling.engine import RunOptions, run
from unet2015.tiling.plan import Part, TilePlan
from unet2015.tiling.reading import PixelReader
from unet2015.tiling.sinks import Band, BandSink, Render
from unet2015.tiling.times import Times


class Computer(Protocol):
    """What computes parts: a :class:`unet2015.segmentation.segmenter.Segmenter`."""

    @property
    def classes(self) -> int:
        """Classes of the probabilities."""

    @property
    def skip_empty(self) -> bool:
        """Whether tiles of constant pixels are left out."""

    def predict(self, tiles: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities (N, classes, h, w) for tiles (N, channels, H, W)."""

    def renderer(self, name: str, probability: bool) -> Render:
        """Return what makes pixels of probabilities."""


def compute_part(
    computer: Computer,
    source: PixelReader,
    plan: TilePlan,
    part: Part,
    name: str,
    probability: bool = False,
    *,
    times: Times | None = None,
) -> list[Band]:
    """Compute one part.

    Parameters
    ----------
    computer : Segmenter
        The model on its device.
    source : PixelReader
        The image as the network shall see it.
    plan, part
        The plan, and the part of it.
    name : str
        The image, for messages.
    probability : bool
        Whether the bands hold what a probability map shows.
    times : Times, optional
        What to add the times to.

    Returns
    -------
    list of Band
        Those of the part, from top to bottom.
    """
    bands: list[Band] = []
    compute_parts(computer, source, plan, [part], bands.append, name, probability, times=times)
    return bands


def compute_parts(
    computer: Computer,
    source: PixelReader,
    plan: TilePlan,
    parts: Sequence[Part],
    emit: Callable[[Band], object],
    name: str,
    probability: bool = False,
    *,
    times: Times | None = None,
    progress: Callable[[int], object] = lambda tiles: None,
) -> Times:
    """Compute parts one after the other; reading, network and `emit`, in a thread, overlap."""
    sink = BandSink(plan, computer.classes, computer.renderer(name, probability), emit)
    order = list(chain.from_iterable(part.batches for part in parts))
    return run(
        plan,
        source,
        computer.predict,
        sink,
        RunOptions(order=order, skip_empty=computer.skip_empty),
        times=times,
        progress=progress,
    )


class PartStore:
    """Finished parts of a plan in a folder, one file each, whole or absent.

    Several processes may write different parts at the same time.

    Parameters
    ----------
    folder : Path
        An existing folder.
    plan : TilePlan
        The plan whose parts are kept.
    """

    def __init__(self, folder: Path, plan: TilePlan) -> None:
        self.folder, self.plan = folder, plan

    def path(self, part: Part) -> Path:
        """Return where a part is kept."""
        return self.folder / f"{part.index:05d}.part"

    def finished(self) -> set[int]:
        """Return the numbers of the parts that are there."""
        names = {path.name for path in self.folder.iterdir()}
        return {part.index for part in self.plan.parts if self.path(part).name in names}

    def save(self, part: Part, bands: Sequence[Band]) -> None:
        """Keep a part.

        Raises
        ------
        ImageWriteError
            It cannot be written.
        """
        with PartWriter(self, part) as writer:
            for band in bands:
                writer.append(band)

    def load(self, part: Part) -> Iterator[Band]:
        """Yield the bands of a part, one in memory at a time.

        Raises
        ------
        ImageWriteError
            The file is damaged; it is removed, so that the next run computes the part again.
        """
        path = self.path(part)
        try:
            with zipfile.ZipFile(path) as file:
                for index, (page, row, low, high, skipped) in enumerate(json.loads(file.read("bands.json"))):
                    classes = _load(file, f"{index}.classes")
                    shown = f"{index}.probability"
                    probability = _load(file, shown) if shown in file.namelist() else None
                    yield Band(page, row, classes, probability, low, high, skipped)
        except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError) as error:
            path.unlink(missing_ok=True)
            raise ImageWriteError(
                f"{path}: what an earlier run kept is damaged ({error}) and was removed; run again"
            ) from error


class PartWriter:
    """Writes one part to a store, band by band; a context manager, whole or nothing at its end."""

    def __init__(self, store: PartStore, part: Part) -> None:
        self._path, self._part = store.path(part), part
        self._bands: list[tuple[int, int, float, float, int]] = []
        self._stack = ExitStack()

    def __enter__(self) -> "PartWriter":
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self._path))
            self._file = stack.enter_context(zipfile.ZipFile(temporary, "w"))
            self._stack = stack.pop_all()
        return self

    def append(self, band: Band) -> None:
        """Write the next band."""
        index = len(self._bands)
        _save(self._file, f"{index}.classes", band.classes, zipfile.ZIP_DEFLATED)
        if band.probability is not None:  # the noise of floats hardly packs
            _save(self._file, f"{index}.probability", band.probability, zipfile.ZIP_STORED)
        self._bands.append((band.page, band.row, band.low, band.high, band.skipped))

    @property
    def full(self) -> bool:
        """Whether all bands of the part came."""
        return len(self._bands) == len(self._part.pages) * len(self._part.rows)

    def __exit__(self, *error: Any) -> None:
        with self._stack as stack:
            if error[1] is not None:
                stack.__exit__(*error)
                return
            assert self.full
            self._file.writestr("bands.json", json.dumps(self._bands))


def _save(file: zipfile.ZipFile, name: str, array: NDArray[Any], method: int) -> None:
    entry = zipfile.ZipInfo(name)
    entry.compress_type = method
    entry._compresslevel = 1  # type: ignore[attr-defined]  # read once, soon, then deleted
    with file.open(entry, "w", force_zip64=True) as target:
        np.lib.format.write_array(target, array, allow_pickle=False)


def _load(file: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with file.open(name) as source:
        array: NDArray[Any] = np.lib.format.read_array(source, allow_pickle=False)
        source.read()  # to the end, where the checksum is compared
        return array


def in_order(
    computer: Computer,
    source: PixelReader,
    plan: TilePlan,
    emit: Callable[[Band], object],
    name: str,
    probability: bool = False,
    *,
    store: PartStore | None = None,
    check: Callable[[], None] = lambda: None,
    times: Times | None = None,
    progress: Callable[[int], object] = lambda tiles: None,
) -> Times:
    """Hand all bands of a plan to `emit` from top to bottom, computing what the store does not hold.

    Parameters
    ----------
    computer, source, plan, name, probability, times, progress
        As for :func:`compute_parts`.
    emit : callable
        Takes each `Band`; called from one thread at a time.
    store : PartStore, optional
        Where finished parts are, and where those are kept that are computed now.
    check : callable
        Called before a part is kept; raises if what was computed is not to be trusted.
    """
    times = Times() if times is None else times
    finished = set() if store is None else store.finished()
    assembly = _Assembly(plan, finished, store, emit, check, progress)
    missing = [part for part in plan.parts if part.index not in finished]
    with assembly.stack:
        compute_parts(
            computer, source, plan, missing, assembly.take, name, probability, times=times, progress=progress
        )
        with times.measure("write"):
            assembly.replay(len(plan.parts))
    return times


class _Assembly:
    """Puts bands that are computed, in order but with gaps, and those of the store together."""

    def __init__(
        self,
        plan: TilePlan,
        finished: set[int],
        store: PartStore | None,
        emit: Callable[[Band], object],
        check: Callable[[], None],
        progress: Callable[[int], object],
    ) -> None:
        self._plan, self._finished, self._store = plan, finished, store
        self._emit, self._check, self._progress = emit, check, progress
        self._next = 0  # the part that is being handed on
        self._writer: PartWriter | None = None
        self.stack = ExitStack()

    def take(self, band: Band) -> None:
        """Hand on a computed band, after the stored parts before it; keep its part when it is full."""
        if self._store is None:
            self._emit(band)
            return
        if self._writer is None:
            first = (band.page * len(self._plan.rows) + band.row) * len(self._plan.columns)
            self.replay(next(part.index for part in self._plan.parts[self._next :] if first in part.tiles))
            self._writer = self.stack.enter_context(PartWriter(self._store, self._plan.parts[self._next]))
        self._writer.append(band)
        self._emit(band)
        if self._writer.full:
            self._check()
            self.stack.pop_all().close()
            self._writer = None
            self._next += 1

    def replay(self, stop: int) -> None:
        """Hand on the stored parts before number `stop`."""
        if self._store is None:
            return
        for part in self._plan.parts[self._next : stop]:
            assert part.index in self._finished
            for band in self._store.load(part):
                self._emit(band)
            self._progress(len(part.tiles))
        self._next = stop
