"""Where probabilities go: an array in memory, or bands of rows for a writer of files."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.tiling.plan import Tile, TilePlan


class ArraySink:
    """Keeps all probabilities, (pages, classes, height, width); takes tiles in any order."""

    def __init__(self, plan: TilePlan, classes: int, dtype: Any = np.float32) -> None:
        self.array = np.zeros((plan.pages, classes, plan.height, plan.width), dtype)

    def write(self, tile: Tile, probabilities: NDArray[Any]) -> None:
        """Put the kept pixels of a tile in their place."""
        self.array[tile.page, :, tile.row.kept, tile.column.kept] = probabilities


class BandSink:
    """Joins a row of tiles to a band over the whole width, and hands each full band on.

    Tiles come in the plan's order; one band is held at a time, whatever the image's height.

    Parameters
    ----------
    emit : callable
        Takes each band, (classes, rows, width) float32, from the top of page 0 downwards.
    """

    def __init__(self, plan: TilePlan, classes: int, emit: Callable[[NDArray[np.float32]], object]) -> None:
        self._plan, self._emit = plan, emit
        tallest = max(span.length for span in plan.rows)
        self._band = np.empty((classes, tallest, plan.width), np.float32)
        self._next = 0

    def write(self, tile: Tile, probabilities: NDArray[Any]) -> None:
        """Put the kept pixels of a tile in their band; emit the band when it is full."""
        assert tile == self._plan.tile_at(self._next), "tiles must come in the plan's order"
        self._next += 1
        self._band[:, : tile.row.length, tile.column.kept] = probabilities
        if tile.column.kept_stop == self._plan.width:
            self._emit(self._band[:, : tile.row.length])
