"""What may spoil a mapping that is measured over a file or its pages, seen while the file is read."""

from collections.abc import Iterator
from typing import Any

import numpy.typing as npt

from unet2015.images.appearance import Appearance, AppearanceMeter
from unet2015.images.border_areas import BorderAreas, is_possible, left_out
from unet2015.images.frame_levels import FrameLevels
from unet2015.images.image import Image
from unet2015.settings.choices import MapEach


class Looks:
    """Looks for areas without image, for frames of another brightness, and at what the image looks like.

    Parameters
    ----------
    image : Image
        Whose bands will come, as often as they are read.
    fill_value : float or None
        Of pixels that the mapping leaves out.
    each : {"file", "page"}
        Over what it is measured; frames that are mapped by themselves may differ in brightness.
    """

    def __init__(self, image: Image, fill_value: float | None, each: MapEach = "file") -> None:
        self._image, self._fill_value, self._each = image, fill_value, each
        self._areas = BorderAreas(image)
        self._levels, self._meter = FrameLevels(image), AppearanceMeter(image, each)

    def add(self, page: int, row: int, band: npt.NDArray[Any]) -> None:
        """Look at a band, (channels, rows, width), that begins at `row` of a page."""
        self._areas.add(page, row, band)
        lookers = (self._levels, self._meter) if self._each == "file" else (self._meter,)
        wanting = [one for one in lookers if one.wants(page)]
        out = left_out(self._image, self._fill_value, page, row, band) if wanting else None
        for one in wanting:
            one.add(page, row, band, out)

    def appearance(self) -> Appearance | None:
        """Return what an image of one channel looks like; None where it is not known."""
        return self._meter.found()

    def notes(self, leave_out: str, by_page: str) -> Iterator[str]:
        """Say what was seen.

        Parameters
        ----------
        leave_out : str
            What leaves a value out, with a place for it.
        by_page : str
            What maps each page by itself.
        """
        value, dtype = self._fill_value, self._image.dtype
        if value is not None and not is_possible(dtype, value):
            yield (
                f"no pixel of type {dtype} can be {value:.9g}, which was to be left out, so nothing is left "
                "out; give the value that the areas without image have"
            )
        yield from self._areas.notes(self._fill_value, leave_out, self._each)
        yield from self._levels.notes(by_page)
