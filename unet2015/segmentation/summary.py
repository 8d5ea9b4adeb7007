"""Facts about the probabilities, collected while an image is segmented, and what is said of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unet2015.tiling.sinks import Band

_BY_TILES = (
    "empty tiles were left out (--skip-empty), and their size, which follows from the memory, decides which "
    "areas are background; give --tile for the same result on every machine"
)


@dataclass
class Summary:
    """Facts about the probabilities of an image, or of a part of it.

    Attributes
    ----------
    low, high : float
        Least and largest probability of class 1 that the network gave.
    skipped : int
        Tiles left out as empty.
    """

    low: float = np.inf
    high: float = -np.inf
    skipped: int = 0

    def add(self, seen: "Band | Summary") -> None:
        """Add a band, or the summary of a part."""
        self.low, self.high = min(self.low, seen.low), max(self.high, seen.high)
        self.skipped += seen.skipped

    @property
    def constant(self) -> bool:
        """Whether all probabilities were equal; no useful model gives that."""
        return 0 <= self.high - self.low < 1e-3

    def notes(self, tile: int | None) -> Iterator[str]:
        """Say what must be known of the results; `tile` is the side that was asked for."""
        if self.constant:
            yield "all pixels got the same probability; does the model suit the image?"
        if self.skipped and tile is None:
            yield _BY_TILES
