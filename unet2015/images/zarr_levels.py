"""Which shards the lower resolutions of a segmentation have, and which of them several processes may make.

A row of shards is made of the two rows of shards that lie above it, one level finer. So what is made of some
rows of the full resolution, down to the level where it is one row of shards, is a block of its own: it reads
nothing that another block writes, and shares no file with it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unet2015.images.zarr_layout import ZarrLayout

_BLOCK = 4_000_000
"""Pixels at full resolution from which it pays to hand a block to another process: about 0.1 s."""

Each = Callable[[Callable[[Any], None], Sequence[Any]], None]
"""Calls a function, which can be pickled, with each of several items, in any order and at the same time."""


@dataclass(frozen=True)
class Shard:
    """A shard of a level below the full resolution; `index` is its place in the array, in shards."""

    name: str
    level: int
    index: tuple[int, ...]

    def path(self, layout: ZarrLayout) -> str:
        """Return the path of its file in the image."""
        return "/".join([layout.paths(self.name)[self.level], "c", *map(str, self.index)])

    def region(self, layout: ZarrLayout) -> tuple[tuple[int, ...], slice, slice]:
        """Return its plane, rows and columns, as far as the array reaches."""
        sizes = zip(self.index[-2:], layout.shard, layout.shape(self.name, self.level)[-2:], strict=True)
        rows, columns = (slice(i * step, min((i + 1) * step, size)) for i, step, size in sizes)
        return self.index[:-2], rows, columns


@dataclass(frozen=True)
class Block:
    """What levels 1 to `depth` of a plane have of one row of shards at level `depth`: the row's number."""

    name: str
    plane: tuple[int, ...]
    row: int
    depth: int

    def shards(self, layout: ZarrLayout) -> Iterator[Shard]:
        """Yield the shards, finest first."""
        for level in range(1, self.depth + 1):
            rows = 1 << (self.depth - level)
            yield from _shards(layout, self.name, level, self.plane, self.row * rows, (self.row + 1) * rows)


def blocks(layout: ZarrLayout) -> list[Block]:
    """Return blocks of the same depth, large enough to be worth it, that cover all planes of all maps.

    Where they would be fewer than two there are none.
    """
    depth = 1
    while (layout.band * layout.width) << depth < _BLOCK:
        depth += 1
    if depth >= layout.levels:
        return []
    rows = range(-(-layout.height // (layout.band << depth)))
    found = [
        Block(item.name, plane, row, depth)
        for item in layout.maps
        for plane in _planes(layout, item.name)
        for row in rows
    ]
    return found if len(found) > 1 else []


def shards_below(layout: ZarrLayout, depth: int) -> Iterator[Shard]:
    """Yield all shards of the levels below level `depth`, each after those that it is made of."""
    for item in layout.maps:
        for level in range(depth + 1, layout.levels):
            for plane in _planes(layout, item.name):
                yield from _shards(layout, item.name, level, plane)


def _planes(layout: ZarrLayout, name: str) -> Iterator[tuple[int, ...]]:
    return iter(np.ndindex(*layout.shape(name)[:-2]))


def _shards(
    layout: ZarrLayout, name: str, level: int, plane: tuple[int, ...], first: int = 0, stop: int | None = None
) -> Iterator[Shard]:
    """Yield the shards of a plane, row by row; of rows `first` to `stop`, as far as there are so many."""
    down, across = (
        -(-size // step) for size, step in zip(layout.shape(name, level)[-2:], layout.shard, strict=True)
    )
    for y in range(first, down if stop is None else min(stop, down)):
        for x in range(across):
            yield Shard(name, level, (*plane, y, x))
