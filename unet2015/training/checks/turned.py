"""Digests of a page: one that is the same for its copies, one also for mirrored and turned copies."""

import hashlib
from collections.abc import Iterable
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

    def update(self, band: npt.NDArray[np.generic]) -> None:
        """Take the next rows."""
        native = band.astype(band.dtype.newbyteorder("="), order="C", copy=False)
        bits = native.view(f"u{band.dtype.itemsize}").astype(np.uint64)
        mixed = (bits + np.uint64(1)) * _ODD
        mixed ^= mixed >> _HALF
        mixed *= _ODD
        self._rows.append(mixed.sum(axis=2, dtype=np.uint64))
        below = mixed.sum(axis=1, dtype=np.uint64)
        self._columns = below if self._columns is None else self._columns + below

    def digests(self) -> PageDigest:
        """Return both digests of the page."""
        if self._columns is None:
            return PageDigest(b"", b"")
        sides = np.concatenate(self._rows, axis=1), self._columns
        either = [min(sums.tobytes(), np.ascontiguousarray(sums[:, ::-1]).tobytes()) for sums in sides]
        return PageDigest(_digest(sums.tobytes() for sums in sides), _digest(sorted(either)))


def _digest(parts: Iterable[bytes]) -> bytes:
    return hashlib.blake2b(b"".join(parts), digest_size=16).digest()
