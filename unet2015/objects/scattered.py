"""Measured labels of which some are in several pieces."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from unet2015.metrics.several_pieces import describe_pieces
from unet2015.objects.labelling import Labels
from unet2015.objects.pieces import Pieces
from unet2015.objects.table import Table


class Scattered:
    """Instance labels whose pieces are looked at as their strips are taken, in the pass that measures them.

    Parameters
    ----------
    labels : Labels
        The instance labels.
    """

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self.pages, self.height, self.width = labels.pages, labels.height, labels.width
        self._several: dict[int, list[int]] = {}

    def names(self, page: int) -> NDArray[np.int64]:
        """Return the labels of a page, as they stand in its file; object 1 first."""
        return self._labels.names(page)

    def strips(self, page: int) -> Iterator[tuple[int, NDArray[np.integer]]]:
        """Yield the first row and the objects of each strip."""
        pieces = Pieces(self.width)
        for row, strip in self._labels.strips(page):
            pieces.add(strip)
            yield row, strip
        self._several[page] = self.names(page)[np.array(pieces.several(), np.int64) - 1].tolist()

    def describe(self, tables: Sequence[Table]) -> str | None:
        """Return a note where some objects are in several pieces, else None; all strips were taken.

        `tables` are of what was measured, for each page.
        """
        found = [
            (f"page {page}" if len(tables) > 1 else "", self._several[page]) for page in range(len(tables))
        ]
        return describe_pieces(found, sum(len(table["label"]) for table in tables))
