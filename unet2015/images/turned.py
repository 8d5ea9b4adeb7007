"""Digests of a page: one that is the same for its copies, one also for mirrored and turned copies.

They are of values, not of files or types: equal whole numbers are equal with 8 and 16 bits and as floats.
"""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from unet2015.images.image import Image

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

    @property
    def short(self) -> str:
        """`turned` for records: 16 digits, so that copies of many pages take little room."""
        return self.turned.hex()[:16]


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
        values = band.astype(np.float64, order="C")
        if band.dtype.kind == "f":
            values += 0.0  # -0 is 0
        bits = values.view(np.uint64)
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


def page_digest(image: Image, page: int) -> PageDigest:
    """Return the digests of a page; all of it is read, a band at a time."""
    digest = TurnedDigest()
    for band in image.bands(page):
        digest.update(band)
    return digest.digests()


def _digest(parts: Iterable[bytes]) -> bytes:
    return hashlib.blake2b(b"".join(parts), digest_size=16).digest()
