"""What may spoil a mapping that is measured over a whole file, seen while the file is read."""

from collections.abc import Iterator
from typing import Any

import numpy.typing as npt

from unet2015.images.border_areas import BorderAreas
from unet2015.images.frame_levels import FrameLevels
from unet2015.images.image import Image


class Looks:
    """Looks for areas without image, and for frames of another brightness.

    Parameters
    ----------
    image : Image
        Whose bands will come, as often as they are read.
    fill_value : float or None
        Of pixels that the mapping leaves out.
    """

    def __init__(self, image: Image, fill_value: float | None) -> None:
        self._fill_value = fill_value
        self._areas = BorderAreas(image)
        self._levels = FrameLevels(image, fill_value)

    def add(self, page: int, row: int, band: npt.NDArray[Any]) -> None:
        """Look at a band, (channels, rows, width), that begins at `row` of a page."""
        self._areas.add(page, row, band)
        self._levels.add(page, row, band)

    def notes(self, advice: str) -> Iterator[str]:
        """Say what was seen.

        Parameters
        ----------
        advice : str
            What leaves a value out, with a place for it.
        """
        yield from self._areas.notes(self._fill_value, advice)
        yield from self._levels.notes()
