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
    order : Landmarks or None
        The same as `landmarks` where the values of one page are a factor times those of the other plus a sum;
        None where all images of the set have one type.
    """

    digest: PageDigest
    landmarks: Landmarks
    sample: PageSample
    order: Landmarks | None = None


class PageMarker:
    """Takes the bands of a page (channels, rows, columns) from top to bottom.

    Parameters
    ----------
    height, width : int
        Of the page.
    places : int
        About how many landmarks to keep.
    several_types : bool
        Whether the images of the set differ in the type of their pixels.
    """

    def __init__(self, height: int, width: int, places: int, *, several_types: bool = False) -> None:
        self._digest = TurnedDigest()
        self._landmarks = LandmarkFinder(height, width, places)
        self._sample = SampleTaker(height, width)
        self._order = LandmarkFinder(height, width, places, order_alone=True) if several_types else None

    def update(self, band: npt.NDArray[np.generic]) -> None:
        """Take the next rows."""
        for each in (self._digest, self._landmarks, self._sample, self._order):
            if each is not None:
                each.update(band)

    def marks(self, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]) -> PageMarks:
        """Return what is kept; `low` and `high` are the least and greatest value of each channel."""
        order = None if self._order is None else self._order.found()
        return PageMarks(
            self._digest.digests(), self._landmarks.found(), self._sample.found(low, high), order
        )
