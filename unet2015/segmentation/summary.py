"""What is seen of the probabilities while an image is segmented."""

from dataclasses import dataclass

import numpy as np

from unet2015.tiling.sinks import Band


@dataclass
class Summary:
    """What was seen of the probabilities of an image, or of a part of it.

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
        """Take a band or the summary of a part into account."""
        self.low, self.high = min(self.low, seen.low), max(self.high, seen.high)
        self.skipped += seen.skipped

    @property
    def constant(self) -> bool:
        """Whether all probabilities were alike, which no useful model gives."""
        return 0 <= self.high - self.low < 1e-3
