"""Rows of an image over its whole width, kept in few bytes until they are written."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

BLOCK = 256
"""Rows that are unpacked together."""
_MOST_BITS = 4


class Packed:
    """Pixels of one tile, (height, width) or (planes, height, width); classes take a few bits each.

    Parameters
    ----------
    pixels : ndarray
        They are copied.
    """

    def __init__(self, pixels: NDArray[Any]) -> None:
        self.shape, self.dtype = pixels.shape, pixels.dtype
        self._bits: list[NDArray[np.uint8]] | None = None
        if pixels.dtype == np.uint8 and (count := int(pixels.max()).bit_length()) <= _MOST_BITS:
            one = [pixels] if count == 1 else [pixels >> bit & 1 for bit in range(count)]
            self._bits = [np.packbits(bits, axis=-1) for bits in one]
        else:
            self._pixels = np.array(pixels)  # a view would keep what it is a view of

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Return some of the rows."""
        if self._bits is None:
            return self._pixels[..., start:stop, :]
        found = np.zeros((*self.shape[:-2], stop - start, self.shape[-1]), np.uint8)
        for bit, packed in enumerate(self._bits):
            bits = np.unpackbits(packed[..., start:stop, :], axis=-1, count=self.shape[-1])
            found |= bits << bit
        return found


class Rows:
    """The pixels of a row of tiles, side by side; `numpy.asarray` gives all of them.

    Parameters
    ----------
    tiles : sequence of Packed
        Of one height, from left to right.
    """

    def __init__(self, tiles: Sequence[Packed]) -> None:
        self._tiles, first = tiles, tiles[0]
        self.dtype = first.dtype
        self.shape = (*first.shape[:-1], sum(tile.shape[-1] for tile in tiles))

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield `BLOCK` rows at a time, the last time what is left."""
        height = self.shape[-2]
        for start in range(0, height, BLOCK):
            yield self._rows(start, min(start + BLOCK, height))

    def _rows(self, start: int, stop: int) -> NDArray[Any]:
        if len(self._tiles) == 1:
            return self._tiles[0].rows(start, stop)
        found = np.empty((*self.shape[:-2], stop - start, self.shape[-1]), self.dtype)
        left = 0
        for tile in self._tiles:
            right = left + tile.shape[-1]
            found[..., left:right] = tile.rows(start, stop)
            left = right
        return found

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all of them."""
        return self._rows(0, self.shape[-2]).astype(dtype or self.dtype, copy=False)
