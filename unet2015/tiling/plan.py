"""The plan of the overlap-tile strategy: pure integers (paper, Fig. 2).

Along one axis, in image coordinates (depth 4, tile 572)::

    margin        output 388          margin
    |----92----|======================|----92----|      what the network reads: the tile
               |----------------------|                 what comes out
               |------- kept 384 -----|                 what is written

Tiles start in phase, at multiples of the pooling factor, so that each output pixel is the same as
in one pass over the whole image (proved by Rumberger et al., ICCV 2021, arXiv:2101.05846). They run
past the far end rather than slide back, which would leave the phase; the last one keeps all that is
needed. Two dimensions are the product of two axes.

A plan is divided into parts, which are computed, kept and written as a whole, by any process and in any
order. No batch crosses from one part into the next. So the plan alone decides which tiles are computed
together, and with that every byte.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import GeometryError
from unet2015.geometry import Geometry

PART_PIXELS = 2**22
"""Pixels that the network reads for a part, at least: a second to a minute of work."""
MOST_PARTS = 1024
"""About the most parts of a plan, because each becomes a file; larger images have larger parts."""


@dataclass(frozen=True, slots=True)
class Span:
    """One tile along one axis, in image coordinates; the pixels to read may lie outside the image."""

    read_start: int
    read_stop: int
    kept_start: int
    kept_stop: int

    @property
    def kept(self) -> slice:
        """Where the kept pixels go in the image."""
        return slice(self.kept_start, self.kept_stop)

    @property
    def length(self) -> int:
        """Number of kept pixels: the first so many of the output."""
        return self.kept_stop - self.kept_start


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile of one page: the product of two spans."""

    page: int
    row: Span
    column: Span


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of tiles of one page, or whole pages: consecutive tiles, in batches of their own.

    Attributes
    ----------
    index : int
        Its number in the plan.
    pages : range
        The pages; more than one only where all their rows belong to the part.
    rows : range
        Rows of tiles, of each of these pages.
    tiles, batches : range
        Numbers of its tiles and of its batches in the plan.
    """

    index: int
    pages: range
    rows: range
    tiles: range
    batches: range


def count_tiles(length: int, tile: int, geometry: Geometry) -> int:
    """Return how many tiles of side `tile` cover `length` pixels; `tile` is legal and can cover them."""
    # One tile, and more for what its output does not cover; -(-a // b) rounds up.
    beyond = max(0, length - geometry.output_size(tile))
    return 1 + -(-beyond // geometry.kept_size(tile)) if beyond else 1


def check_covers(length: int, tile: int, geometry: Geometry) -> None:
    """Check that tiles of side `tile` can cover `length` pixels; no list is made, however long it would be.

    Raises
    ------
    GeometryError
        `tile` is not legal, or its output is smaller than the pooling factor and than `length`.
    """
    output = geometry.output_size(tile)
    if output < length and geometry.kept_size(tile) == 0:
        raise GeometryError(
            f"a tile of {tile} px has an output of {output} px, less than the pooling factor "
            f"{geometry.factor}, and cannot cover {length} px in phase; the smallest tile that can: "
            f"{geometry.smallest_covering}"
        )


def plan_axis(length: int, tile: int, geometry: Geometry) -> tuple[Span, ...]:
    """Cover `length` pixels with tiles of side `tile`.

    Raises
    ------
    GeometryError
        As `check_covers`.
    """
    check_covers(length, tile, geometry)
    kept = geometry.kept_size(tile)
    starts = [index * kept for index in range(count_tiles(length, tile, geometry))]
    stops = [*starts[1:], length]
    spans = tuple(
        Span(start - geometry.margin, start - geometry.margin + tile, start, stop)
        for start, stop in zip(starts, stops, strict=True)
    )
    _check_axis(spans, length, tile, geometry)
    return spans


def _check_axis(spans: Sequence[Span], length: int, tile: int, geometry: Geometry) -> None:
    """Check that every pixel is kept exactly once, comes out of its tile, and is in phase."""
    assert spans[0].kept_start == 0
    assert spans[-1].kept_stop == length
    assert all(one.kept_stop == next_.kept_start for one, next_ in pairwise(spans))
    for span in spans:
        assert span.kept_start % geometry.factor == 0
        assert 0 < span.length <= tile - 2 * geometry.margin
        assert span.read_start == span.kept_start - geometry.margin
        assert span.read_stop - span.read_start == tile


@dataclass(frozen=True)
class TilePlan:
    """Which tiles cover `pages` pages of `height` x `width`, in which order and batches.

    A sequence of batches; each is a tuple of tiles that go through the network together. The order
    is page by page, row by row; a batch may run on into the next row and the next page of its part.
    """

    pages: int
    height: int
    width: int
    tile: tuple[int, int]
    batch: int
    geometry: Geometry
    part_pixels: int = field(default_factory=lambda: PART_PIXELS)
    """Pixels that the network reads for a part, at least."""

    def __post_init__(self) -> None:
        if min(self.pages, self.height, self.width) < 1:
            raise GeometryError(
                f"an image needs at least one page and one pixel, this one has {self.pages} pages of "
                f"{self.height} x {self.width} px"
            )
        if self.batch < 1:
            raise GeometryError(f"a batch has at least one tile, not {self.batch}")
        for length, side in zip((self.height, self.width), self.tile, strict=True):
            check_covers(length, side, self.geometry)  # now; the lists are made where they are used

    @cached_property
    def rows(self) -> tuple[Span, ...]:
        """The spans along Y."""
        return plan_axis(self.height, self.tile[0], self.geometry)

    @cached_property
    def columns(self) -> tuple[Span, ...]:
        """The spans along X."""
        return plan_axis(self.width, self.tile[1], self.geometry)

    @cached_property
    def down_and_across(self) -> tuple[int, int]:
        """How many spans there are along Y and along X, as `rows` and `columns` list them."""
        down = count_tiles(self.height, self.tile[0], self.geometry)
        return down, count_tiles(self.width, self.tile[1], self.geometry)

    @property
    def tallest(self) -> int:
        """The largest number of rows that a tile keeps."""
        kept, others = self.geometry.kept_size(self.tile[0]), self.down_and_across[0] - 1
        return max(kept if others else 0, self.height - others * kept)

    @property
    def tiles(self) -> int:
        """Number of tiles, over all pages."""
        down, across = self.down_and_across
        return self.pages * down * across

    @property
    def exact(self) -> bool:
        """Whether the result is that of the whole image: by the network, or as each page is one tile."""
        return self.geometry.exact or self.tiles == self.pages

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The parts, in the order of their tiles."""
        rows, across = len(self.rows), len(self.columns)
        wanted = max(
            -(-self.part_pixels // (across * self.tile[0] * self.tile[1])),
            -(-self.pages * rows // MOST_PARTS),
        )  # rows of tiles, at least
        parts: list[Part] = []
        # Parts end with a page, or several pages lie in a part: a part is then a block of each array.
        pages, down = (1, wanted) if wanted < rows else (-(-wanted // rows), rows)
        for page in range(0, self.pages, pages):
            for row in range(0, rows, down):
                part_pages = range(page, min(page + pages, self.pages))
                part_rows = range(row, min(row + down, rows))
                tile = parts[-1].tiles.stop if parts else 0
                batch = parts[-1].batches.stop if parts else 0
                count = len(part_pages) * len(part_rows) * across
                tiles = range(tile, tile + count)
                batches = range(batch, batch + -(-count // self.batch))
                parts.append(Part(len(parts), part_pages, part_rows, tiles, batches))
        return tuple(parts)

    @cached_property
    def _first_batches(self) -> list[int]:
        return [part.batches.start for part in self.parts]

    def part_of(self, batch: int) -> Part:
        """Return the part that a batch belongs to."""
        return self.parts[bisect_right(self._first_batches, batch) - 1]

    def tile_at(self, index: int) -> Tile:
        """Return tile number `index`."""
        rest, column = divmod(index, len(self.columns))
        page, row = divmod(rest, len(self.rows))
        return Tile(page, self.rows[row], self.columns[column])

    def __len__(self) -> int:
        """Return the number of batches."""
        return self.parts[-1].batches.stop

    def __getitem__(self, index: int) -> tuple[Tile, ...]:
        """Return the tiles of batch number `index`."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = self.part_of(index)
        first = part.tiles.start + (index - part.batches.start) * self.batch
        return tuple(
            self.tile_at(number) for number in range(first, min(first + self.batch, part.tiles.stop))
        )

    def __iter__(self) -> Iterator[tuple[Tile, ...]]:
        """Iterate over the batches."""
        return (self[index] for index in range(len(self)))

    def as_dict(self) -> dict[str, object]:
        """Return the values for a record, from which the same plan can be made."""
        return {
            "tile": list(self.tile),
            "kept": [self.rows[0].length, self.columns[0].length],
            "margin": self.geometry.margin,
            "factor": self.geometry.factor,
            "pages": self.pages,
            "tiles": self.tiles,
            "batch": self.batch,
            "parts": len(self.parts),
            **({} if self.exact else {"exact": False}),
        }


def mirror(start: int, stop: int, length: int) -> NDArray[np.intp]:
    """Return the pixels that positions `start` to `stop` show in an image of `length` pixels.

    Beyond the border the image is mirrored without repeating the edge pixel, several times if needed: as
    NumPy's 'reflect', but for any distance and for images down to one pixel.
    """
    if length == 1:
        return np.zeros(stop - start, np.intp)
    period = 2 * (length - 1)
    position = np.arange(start, stop) % period
    # Up to length - 1 and down again: a triangle wave.
    return np.minimum(position, period - position)
