"""Where probabilities go: an array in memory, or bands of rows for writers of files."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from unet2015.tiling.plan import Tile, TilePlan
from unet2015.tiling.rows import Packed, Rows

Render = Callable[[NDArray[np.float32]], dict[str, NDArray[Any]]]
"""Turns probabilities (classes, h, w) into pixels of each output by name: (h, w) or (planes, h, w)."""


class Sink(Protocol):
    """Takes the probabilities of tiles."""

    def write(self, tile: Tile, probabilities: NDArray[Any]) -> None:
        """Take the kept pixels of one tile, (classes, height, width)."""


@runtime_checkable
class SkippingSink(Sink, Protocol):
    """A sink that can also fill in tiles for which the network was left out."""

    def skip(self, tile: Tile) -> None:
        """Make a tile background."""


@dataclass(frozen=True)
class Prepared:
    """What a `BandSink` keeps of a tile: pixels of each output by its name; the others as those of `Band`."""

    pixels: dict[str, Packed]
    low: float
    high: float
    skipped: int = 0


@runtime_checkable
class PreparingSink(SkippingSink, Protocol):
    """A sink that keeps less of a tile than all probabilities: `write` is both, one after the other."""

    def prepare(self, probabilities: NDArray[Any]) -> Prepared:
        """Return what is kept of the probabilities of a tile, which may then be changed or freed."""

    def put(self, tile: Tile, prepared: Prepared) -> None:
        """Take what is kept of one tile."""


class ArraySink:
    """Keeps all probabilities, (pages, classes, height, width); takes tiles in any order.

    `low`, `high` and `skipped` are those of `Band`, over all tiles.

    Parameters
    ----------
    plan : TilePlan
    classes : int
    dtype
        Of the probabilities.
    threads : bool
        Copy with the threads of torch, which have nothing else to do while a GPU computes: most of the time
        goes to new pages of memory, which the system clears.
    """

    def __init__(
        self, plan: TilePlan, classes: int, dtype: Any = np.float32, *, threads: bool = False
    ) -> None:
        self.array = np.zeros((plan.pages, classes, plan.height, plan.width), dtype)
        self._threads = threads
        self.low, self.high, self.skipped = np.inf, -np.inf, 0

    def write(self, tile: Tile, probabilities: NDArray[Any]) -> None:
        """Put the kept pixels of a tile in their place."""
        kept = self.array[tile.page, :, tile.row.kept, tile.column.kept]
        low: Any
        high: Any
        if self._threads:
            given = torch.from_numpy(probabilities)
            low, high = torch.aminmax(given[1])
            torch.from_numpy(kept).copy_(given)
        else:
            low, high = probabilities[1].min(), probabilities[1].max()
            kept[...] = probabilities
        self.low, self.high = min(self.low, float(low)), max(self.high, float(high))

    def skip(self, tile: Tile) -> None:
        """Let a tile be background: class 0 for certain."""
        self.skipped += 1
        self.array[tile.page, 0, tile.row.kept, tile.column.kept] = 1


@dataclass(frozen=True, eq=False)
class Band:
    """The pixels of a row of tiles of one page: rows over the whole width.

    Attributes
    ----------
    page, row : int
        The page, and the number of the row of tiles in it.
    pixels : dict of Rows
        Of each output by its name, shape (rows, width) or (planes, rows, width).
    low, high : float
        Lowest and highest probability of class 1 that the network gave; inf and -inf for none.
    skipped : int
        Tiles left out as empty.
    """

    page: int
    row: int
    pixels: dict[str, Rows]
    low: float
    high: float
    skipped: int


class BandSink:
    """Joins a row of tiles to a band over the whole width, and passes on each full band; a `PreparingSink`.

    The tiles of a band come in the plan's order; one band is held at a time, whatever the image's
    height.

    Parameters
    ----------
    plan : TilePlan
    classes : int
        Classes of the probabilities.
    render : callable
        Makes pixels of the probabilities of a tile.
    emit : callable
        Takes each `Band`.
    """

    def __init__(self, plan: TilePlan, classes: int, render: Render, emit: Callable[[Band], object]) -> None:
        self._plan, self._classes, self._render, self._emit = plan, classes, render, emit
        self._rows = {span.kept_start: index for index, span in enumerate(plan.rows)}
        self._at = (-1, -1, plan.width)  # page, top and right end of what is held
        self._low, self._high, self._skipped = np.inf, -np.inf, 0
        self._tiles: dict[str, list[Packed]] = {}

    def write(self, tile: Tile, probabilities: NDArray[Any]) -> None:
        """Put the kept pixels of a tile in their band; emit the band when it is full."""
        self.put(tile, self.prepare(probabilities))

    def prepare(self, probabilities: NDArray[Any]) -> Prepared:
        """Return what is kept of a tile; safe to call while another is put in its band."""
        values = probabilities.astype(np.float32, copy=False)
        return Prepared(self._packed(values), float(values[1].min()), float(values[1].max()))

    def _packed(self, values: NDArray[np.float32]) -> dict[str, Packed]:
        return {name: Packed(part) for name, part in self._render(values).items()}

    def skip(self, tile: Tile) -> None:
        """Let a tile be background: class 0 for certain."""
        values = np.zeros((self._classes, tile.row.length, tile.column.length), np.float32)
        values[0] = 1
        self.put(tile, Prepared(self._packed(values), np.inf, -np.inf, 1))

    def put(self, tile: Tile, prepared: Prepared) -> None:
        """Put what is kept of a tile in its band; emit the band when it is full."""
        page, top, right = self._at
        if tile.column.kept_start == 0:
            assert right == self._plan.width, "a row of tiles must be complete before the next"
            self._low, self._high, self._skipped = np.inf, -np.inf, 0
            self._tiles = {name: [] for name in prepared.pixels}
        else:
            assert (page, top, right) == (tile.page, tile.row.kept_start, tile.column.kept_start)
        self._at = (tile.page, tile.row.kept_start, tile.column.kept_stop)
        self._low, self._high = min(self._low, prepared.low), max(self._high, prepared.high)
        self._skipped += prepared.skipped
        for name, part in prepared.pixels.items():
            self._tiles[name].append(part)
        if tile.column.kept_stop == self._plan.width:
            row = self._rows[tile.row.kept_start]
            pixels = {name: Rows(tiles) for name, tiles in self._tiles.items()}
            self._tiles = {}  # so that `emit` holds the only reference, and can free the memory
            self._emit(Band(tile.page, row, pixels, self._low, self._high, self._skipped))
