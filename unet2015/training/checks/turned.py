"""Digests of a page: one that is the same for its copies, one also for mirrored and turned copies."""

import hashlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_ODD = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)

Sums = npt.NDArray[np.uint64]


class PageDigest(NamedTuple):
    """What pages with the same pixels have in common.

    Attributes
    ----------
    exact : bytes
        The same for pages with equal pixels.
    turned : bytes
        The same also where one is mirrored or turned.
    """

    exact: bytes
    turned: bytes


class TurnedDigest:
    """Takes the bands of a page (channels, rows, columns) from top to bottom.

    Each value becomes a number of 64 bits. Mirroring and turning exchange the sums of rows and those of
    columns, or their order, and leave them as they are, to the last bit. Pages with equal sums have the same
    values in each row and each column, so that they are copies.
    """

    def __init__(self) -> None:
        self._rows: list[Sums] = []
        self._columns: Sums | None = None
        self._channels: list[hashlib.blake2b] = []

    def update(self, band: npt.NDArray[np.generic]) -> None:
        """Take the next rows."""
        native = band.astype(band.dtype.newbyteorder("="), order="C", copy=False)
        self._channels = self._channels or [hashlib.blake2b(digest_size=16) for _ in native]
        for channel, rows in zip(self._channels, native, strict=True):
            channel.update(rows)
        bits = native.view(f"u{band.dtype.itemsize}").astype(np.uint64)
        mixed = (bits + np.uint64(1)) * _ODD
        mixed ^= mixed >> _HALF
        mixed *= _ODD
        self._rows.append(mixed.sum(axis=2, dtype=np.uint64))
        below = mixed.sum(axis=1, dtype=np.uint64)
        self._columns = below if self._columns is None else self._columns + below

    def digests(self) -> PageDigest:
        """Return both digests of the page."""
        return PageDigest(b"".join(channel.digest() for channel in self._channels), self.digest())

    def digest(self) -> bytes:
        """Return the digest that mirrored and turned copies share."""
        if self._columns is None:
            return b""
        sides = []
        for sums in (np.concatenate(self._rows, axis=1), self._columns):
            sides.append(min(sums.tobytes(), np.ascontiguousarray(sums[:, ::-1]).tobytes()))
        return hashlib.blake2b(b"".join(sorted(sides)), digest_size=16).digest()
