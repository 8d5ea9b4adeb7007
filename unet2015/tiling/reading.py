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
    region, mirrored = window(tile, height, width)
    return reader.read(tile.page, *region)[mirrored]


def window(
    tile: Tile, height: int, width: int
) -> tuple[tuple[int, int, int, int], tuple[slice, NDArray[np.intp], NDArray[np.intp]]]:
    """Return the region of the image that `tile` shows, and the index that makes the tile from it.

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
    mirrored : tuple
        Index into the region's array (channels, y1 - y0, x1 - x0).
    """
    y = mirror(tile.row.read_start, tile.row.read_stop, height)
    x = mirror(tile.column.read_start, tile.column.read_stop, width)
    y0, y1, x0, x1 = int(y.min()), int(y.max()) + 1, int(x.min()), int(x.max()) + 1
    return (y0, y1, x0, x1), (slice(None), (y - y0)[:, None], (x - x0)[None, :])


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
        read, empty = [], []
        for tile in batch:
            region, mirrored = window(tile, self._plan.height, self._plan.width)
            with self._times.measure("read"):
                raw = self._raw(tile.page, *region)
            empty.append(self._skip_empty and is_empty(raw))
            if empty[-1]:
                continue
            with self._times.measure("map"):
                mapped = raw if self._map is None else self._map(raw, tile.page)
                read.append(mapped[mirrored])
        if not read:
            return None, empty
        with self._times.measure("map"):
            return np.stack(read), empty
