"""What is kept of the pixels of a page, to know copies of it among other pages."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from unet2015.images.turned import PageDigest, TurnedDigest
from unet2015.training.checks.landmarks import LandmarkFinder, Landmarks
from unet2015.training.checks.rescaled import PageSample, SampleTaker


class PageMarks(NamedTuple):
    """By what copies of a page are known.

    Attributes
    ----------
    digest : PageDigest
        The same for copies.
    landmarks : Landmarks
        Pages that overlap have some of them in common.
    sample : PageSample
        Of a copy in another brightness or contrast, on a line over that of the page.
    """

    digest: PageDigest
    landmarks: Landmarks
    sample: PageSample


class PageMarker:
    """Takes the bands of a page (channels, rows, columns) from top to bottom.

    Parameters
    ----------
    height, width : int
        Of the page.
    places : int
        About how many landmarks to keep.
    """

    def __init__(self, height: int, width: int, places: int) -> None:
        self._digest = TurnedDigest()
        self._landmarks = LandmarkFinder(height, width, places)
        self._sample = SampleTaker(height, width)

    def update(self, band: npt.NDArray[np.generic]) -> None:
        """Take the next rows."""
        for each in (self._digest, self._landmarks, self._sample):
            each.update(band)

    def marks(self, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]) -> PageMarks:
        """Return what is kept; `low` and `high` are the least and greatest value of each channel."""
        return PageMarks(self._digest.digests(), self._landmarks.found(), self._sample.found(low, high))
