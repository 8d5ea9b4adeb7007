"""From pages of pixels to batches of tiles, mirrored at the border of the image."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from unet2015.large_arrays import large_array
from unet2015.tiling.plan import Tile, TilePlan, mirror
from unet2015.tiling.times import Times

_ROWS = 64
"""Rows of a region that are mapped together."""

Make = Callable[[tuple[int, ...], np.dtype[Any]], NDArray[Any] | None]
"""(shape, dtype) -> an array, or None where any will do."""
Each = Callable[[Callable[[Any], None], Iterable[Any]], Iterable[None]]
"""(function, items) -> what calls the function with each of them, in any order, when it is gone through."""


class PixelReader(Protocol):
    """Pages of mapped intensities, of which the network reads regions."""

    def read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[Any]:
        """Return (channels, y1 - y0, x1 - x0) of one page; must be safe to call from threads."""


@runtime_checkable
class RawPixelReader(PixelReader, Protocol):
    """A reader that also gives pixels as they are stored, so that reading and mapping are timed apart."""

    def raw(self, page: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[Any]:
        """Return (channels, y1 - y0, x1 - x0) of one page as they are in the file."""

    def map(self, raw: NDArray[Any], page: int) -> NDArray[Any]:
        """Return what the network reads, for what :meth:`raw` returned."""


def read_tile(reader: PixelReader, tile: Tile, height: int, width: int) -> NDArray[Any]:
    """Return what the network reads for `tile`, mirrored where it lies outside the image."""
    region, rows, columns = window(tile, height, width)
    (read,) = joined([reader.read(tile.page, *region)], [(rows, columns)])
    return read  # type: ignore[no-any-return]


def window(
    tile: Tile, height: int, width: int
) -> tuple[tuple[int, int, int, int], NDArray[np.intp], NDArray[np.intp]]:
    """Return the region of the image that `tile` shows, and its rows and columns that make the tile.

    Parameters
    ----------
    tile : Tile
        It may lie partly outside the image.
    height, width : int
        Of the image, in pixels.

    Returns
    -------
    region : tuple of int
        (y0, y1, x0, x1) in pixels of the image.
    rows, columns : ndarray of int
        Of the region's array (channels, y1 - y0, x1 - x0), in the order in which the tile shows them.
    """
    y = mirror(tile.row.read_start, tile.row.read_stop, height)
    x = mirror(tile.column.read_start, tile.column.read_stop, width)
    y0, y1, x0, x1 = int(y.min()), int(y.max()) + 1, int(x.min()), int(x.max()) + 1
    return (y0, y1, x0, x1), y - y0, x - x0


def joined(
    regions: Sequence[NDArray[Any]],
    indices: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
    mapped: Callable[[int, NDArray[Any]], NDArray[Any]] = lambda number, pixels: pixels,
    array: Make | None = None,
    each: Each = map,
) -> NDArray[Any]:
    """Return the tiles (N, channels, H, W) that rows and columns of N regions make.

    What lies inside the image, and a strip that is mirrored once, is copied as blocks of rows; only what is
    mirrored several times, pixel by pixel.

    Parameters
    ----------
    regions : sequence of ndarray
        Pixels (channels, rows, columns) of each tile.
    indices : sequence of tuple of ndarray
        Its rows and columns, as `window` returns them.
    mapped : callable
        Makes pixels of the tile of some pixels of a region, given the region's number. Only a block at a time
        is in memory beside regions and tiles. Default: they are the same.
    array : callable, optional
        (shape, dtype) -> the array for the tiles, or None.
    each : callable
        Fills the blocks, perhaps several at a time. Default: one after the other.
    """
    rows, columns = indices[0]
    first = mapped(0, regions[0][:, :1, :1])
    shape = (len(regions), len(first), len(rows), len(columns))
    made = None if array is None else array(shape, first.dtype)
    tiles = large_array(shape, first.dtype) if made is None else made

    def fill(block: tuple[int, slice, slice]) -> None:
        number, y, x = block
        rows, columns = indices[number]
        tiles[number, :, y, x] = mapped(number, _pixels(regions[number], rows[y], columns[x]))

    for number, (rows, columns) in enumerate(indices):
        across = [slice(*part) for part in _parts(columns)]
        down = [
            slice(start, min(start + _ROWS, bottom))
            for top, bottom in _parts(rows)
            for start in range(top, bottom, _ROWS)
        ]
        for _ in each(fill, product([number], down, across)):
            pass
    return tiles


def _parts(index: NDArray[np.intp]) -> list[tuple[int, int]]:
    """Return where the longest run of neighbours begins and ends, and what lies before and after it."""
    ends = np.flatnonzero(np.diff(index) != 1) + 1
    bounds = np.concatenate([[0], ends, [len(index)]])
    first = int(np.argmax(np.diff(bounds)))
    start, stop = int(bounds[first]), int(bounds[first + 1])
    parts = [(0, start), (start, stop), (stop, len(index))]
    return [(one, other) for one, other in parts if one < other]


def _pixels(region: NDArray[Any], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[Any]:
    """Return ``region[:, rows, columns]``, as a view if each axis runs one way in steps of one pixel."""
    y, x = _run(rows), _run(columns)
    if y is None or x is None:
        return region[:, rows[:, None], columns]
    return region[:, y, x]


def _run(index: NDArray[np.intp]) -> slice | None:
    """Return an index as a slice, upwards or downwards; None if it is neither."""
    first, last = int(index[0]), int(index[-1])
    step = 1 if last >= first else -1
    if last - first != step * (len(index) - 1) or (np.diff(index) != step).any():
        return None
    return slice(first, None if last + step < 0 else last + step, step)


def is_empty(raw: NDArray[Any]) -> bool:
    """Whether each channel of a region, (channels, height, width), has one value only."""
    return bool((raw == raw[:, :1, :1]).all())


@dataclass(frozen=True)
class Regions:
    """What was read for a batch: for each tile that is not empty, pixels, page, and rows and columns of it.

    `empty` says of each tile of the batch whether it was left out.
    """

    pixels: list[NDArray[Any]]
    pages: list[int]
    indices: list[tuple[NDArray[np.intp], NDArray[np.intp]]]
    empty: list[bool]


class BatchReader:
    """Reads batches of tiles; safe to call from threads.

    Parameters
    ----------
    plan : TilePlan
    reader : PixelReader
    times : Times
        What the times of reading and mapping are added to.
    skip_empty : bool
        Leave out tiles whose pixels all have the same value in each channel.
    """

    def __init__(self, plan: TilePlan, reader: PixelReader, times: Times, skip_empty: bool) -> None:
        self._plan, self._times, self._skip_empty = plan, times, skip_empty
        self._raw: Callable[..., NDArray[Any]] = reader.read
        self._map: Callable[..., NDArray[Any]] | None = None  # `read` has mapped the pixels already
        if isinstance(reader, RawPixelReader):
            self._raw, self._map = reader.raw, reader.map

    def read(self, batch: Sequence[Tile]) -> Regions:
        """Read the regions of a batch, as they are in the file where the reader gives them so."""
        found = Regions([], [], [], [])
        for tile in batch:
            region, rows, columns = window(tile, self._plan.height, self._plan.width)
            with self._times.measure("read"):
                raw = self._raw(tile.page, *region)
            found.empty.append(self._skip_empty and is_empty(raw))
            if not found.empty[-1]:
                found.pixels.append(raw)
                found.pages.append(tile.page)
                found.indices.append((rows, columns))
        return found

    def tiles(self, found: Regions, array: Make | None = None, each: Each = map) -> NDArray[Any] | None:
        """Return the tiles (N, channels, H, W) that are not empty; None if all are.

        `array` and `each` are as for `joined`.
        """
        if not found.pixels:
            return None
        mapping, pages = self._map, found.pages
        with self._times.measure("map"):
            if mapping is None:
                return joined(found.pixels, found.indices, array=array, each=each)
            mapped = lambda number, pixels: mapping(pixels, pages[number])  # noqa: E731
            return joined(found.pixels, found.indices, mapped, array, each)
