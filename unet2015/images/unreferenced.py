"""Parts of a TIFF to which nothing in it refers, as where the link from a page to the next one was lost."""

from array import array

import numpy as np

ELSEWHERE = frozenset((330, 513, 519, 520, 521, 34665, 34853, 37500, 40965))
"""Tags that point to more than their own value: SubIFDs, old JPEG, EXIF, GPS, notes of makers."""
_NEAR = 64
"""Bytes between two parts that count as one, so that a directory and its values take one entry of a list."""


class Referenced:
    """Collects which bytes of a TIFF its directories take: they, their values, their strips and tiles.

    Attributes
    ----------
    whole : bool
        Whether all are known. They are not where a directory points to others, or is too long to be listed.
    """

    def __init__(self) -> None:
        self.whole = True
        self._parts = array("Q", (0, 8))  # the header
        self._smallest = 0

    def add(self, start: int, length: int) -> None:
        """Add a part, in bytes; it may overlap others."""
        if 0 <= start - self._parts[-1] <= _NEAR:
            self._parts[-1] = start + length
        else:
            self._parts.extend((start, start + length))

    def add_page(self, offsets: tuple[int, ...], counts: tuple[int, ...]) -> None:
        """Add the strips or tiles of a page."""
        for start, length in zip(offsets, counts, strict=False):
            self.add(start, length)
        taken = sum(counts)
        self._smallest = min(taken, self._smallest or taken)

    def notes(self, size: int) -> tuple[str, ...]:
        """Return a note if a file of `size` bytes has room for one more page to which nothing refers."""
        if not (self.whole and self._smallest):
            return ()
        starts, ends = np.frombuffer(self._parts, np.uint64).astype(np.int64).reshape(-1, 2).T
        order = np.argsort(starts)
        until = np.maximum.accumulate(ends[order])
        gap = max(size - int(until[-1]), int((starts[order][1:] - until[:-1]).max(initial=0)))
        if gap < self._smallest:
            return ()
        return (
            f"{gap} bytes in a row belong to no page, as much as a page takes: if pages are missing, the "
            "link to them was lost: copy the file again",
        )
