"""From pages of pixels to batches of tiles, mirrored at the border of the image."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from unet2015.tiling.plan import Tile, TilePlan, mirror
from unet2015.tiling.times import Times


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
    regions: Sequence[NDArray[Any]], indices: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]
) -> NDArray[Any]:
    """Return the tiles (N, channels, H, W) that rows and columns of N regions make.

    What lies inside the image is copied as a block, and only the mirrored strips pixel by pixel.
    """
    rows, columns = indices[0]
    tiles = np.empty((len(regions), len(regions[0]), len(rows), len(columns)), regions[0].dtype)
    for tile, region, (rows, columns) in zip(tiles, regions, indices, strict=True):
        (top, bottom), (left, right) = _longest_run(rows), _longest_run(columns)
        tile[:, top:bottom, left:right] = region[:, _block(rows, top, bottom), _block(columns, left, right)]
        for y, x in (
            (slice(None, top), slice(None)),
            (slice(bottom, None), slice(None)),
            (slice(top, bottom), slice(None, left)),
            (slice(top, bottom), slice(right, None)),
        ):
            tile[:, y, x] = region[:, rows[y, None], columns[None, x]]
    return tiles


def _longest_run(index: NDArray[np.intp]) -> tuple[int, int]:
    """Return where the longest run of neighbours begins and ends: the part that is not mirrored."""
    ends = np.flatnonzero(np.diff(index) != 1) + 1
    bounds = np.concatenate([[0], ends, [len(index)]])
    first = int(np.argmax(np.diff(bounds)))
    return int(bounds[first]), int(bounds[first + 1])


def _block(index: NDArray[np.intp], start: int, stop: int) -> slice:
    return slice(int(index[start]), int(index[stop - 1]) + 1)


def is_empty(raw: NDArray[Any]) -> bool:
    """Whether each channel of a region, (channels, height, width), has one value only."""
    return bool((raw == raw[:, :1, :1]).all())


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

    def __call__(self, batch: Sequence[Tile]) -> tuple[NDArray[Any] | None, list[bool]]:
        """Read a batch.

        Returns
        -------
        tiles : ndarray or None
            (N, channels, H, W): the tiles that are not empty; None if all are.
        empty : list of bool
            For each tile of the batch, whether it was left out.
        """
        read, indices, empty = [], [], []
        for tile in batch:
            region, *index = window(tile, self._plan.height, self._plan.width)
            with self._times.measure("read"):
                raw = self._raw(tile.page, *region)
            empty.append(self._skip_empty and is_empty(raw))
            if empty[-1]:
                continue
            with self._times.measure("map"):
                read.append(raw if self._map is None else self._map(raw, tile.page))
            indices.append((index[0], index[1]))
        if not read:
            return None, empty
        with self._times.measure("map"):
            return joined(read, indices), empty
