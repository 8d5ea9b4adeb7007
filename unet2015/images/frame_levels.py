"""Frames of a film that differ in brightness, as by bleaching, a lamp or another exposure.

A mapping that is measured over the whole file takes them together, so that what was learned of one brightness
is looked for at another.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.images.border_areas import Mask
from unet2015.images.image import Image

_ENDS = (0.2, 99.8)
"""Percentiles: neither single hot pixels nor how many cells a frame has should count."""
_SAMPLE = 2**14
"""About how many pixels of a frame are looked at."""
_CONTRAST = 2.0
"""Times as much contrast as in another frame; within films of the Cell Tracking Challenge at most 1.6."""
_SHIFT = 0.5
"""Of the usual range of a frame: how far the middle of the range may move. In those films at most 0.17."""


class FrameLevels:
    """Notes the lowest and highest intensities of each frame while an image is read.

    Pages along Z are not compared: stacks are darker at their ends.

    Parameters
    ----------
    image : Image
        Whose bands will come.
    """

    def __init__(self, image: Image) -> None:
        self._image = image
        self._stride = max(1, int((image.height * image.width / _SAMPLE) ** 0.5))
        self._parts: list[list[npt.NDArray[Any]]] = []
        self._ends = np.full((image.pages if image.size("T") > 1 else 0, image.channels, 2), np.nan)

    def wants(self, page: int) -> bool:
        """Whether a page is to be looked at: of a film, and as long as it is not known."""
        return len(self._ends) > 0 and bool(np.isnan(self._ends[page, 0, 0]))

    def add(self, page: int, row: int, band: npt.NDArray[Any], out: Mask | None) -> None:
        """Look at a band, (channels, rows, width), that begins at `row` of a page; bands come in order.

        Pixels of `out` do not count.
        """
        if row == 0:
            self._parts = [[] for _ in band]
        rows = np.s_[-row % self._stride :: self._stride, :: self._stride]
        for channel, plane in enumerate(band):
            kept = plane[rows] if out is None else plane[rows][~out[channel][rows]]
            self._parts[channel].append(kept.ravel())
        if row + band.shape[1] == self._image.height:
            for channel, parts in enumerate(self._parts):
                values = np.concatenate(parts)
                if values.size:
                    self._ends[page, channel] = np.percentile(values, _ENDS)

    def notes(self, by_page: str) -> Iterator[str]:
        """Say which two frames differ most, where they differ much.

        Parameters
        ----------
        by_page : str
            What maps each page by itself.
        """
        axes, shape = self._image.page_axes, self._image.page_shape
        if not len(self._ends):
            return
        # Frames that differ in time alone are compared: (others, frames, channels, ends).
        time = axes.index("T")
        numbers = np.moveaxis(np.arange(self._image.pages).reshape(shape), time, -1).reshape(-1, shape[time])
        for channel in range(self._image.channels):
            found = [pair for frames in numbers if (pair := self._unlike(frames, channel)) is not None]
            if not found:
                continue
            pair = max(found, key=lambda pair: self._span(pair[1], channel) / self._span(pair[0], channel))
            first, last = (
                "{:g} to {:g} on page {}".format(*self._ends[page, channel], page) for page in pair
            )
            where = f" in channel {channel}" if self._image.channels > 1 else ""
            yield (
                f"the frames differ in brightness{where}: nearly all pixels are {first}, and {last}. Their "
                "intensities are mapped together, so that cells may seem larger or smaller, or be lost, from "
                f"frame to frame; {by_page} maps each frame by itself, for films whose frames all have cells"
            )

    def _span(self, page: int, channel: int) -> float:
        low, high = (self._ends[page, channel] / 4).tolist()
        return float(high - low)

    def _unlike(self, frames: npt.NDArray[np.intp], channel: int) -> tuple[int, int] | None:
        """Return two frames that differ much, the duller first; frames of one value do not count."""
        low, high = self._ends[frames, channel].T
        counted = frames[high > low]  # not those without a pixel that counts, either
        if counted.size < 2:
            return None
        low, high = self._ends[counted, channel].T / 4  # so that the difference of two float64 is finite
        spans, middles = high - low, (high + low) / 2
        if spans.max() > _CONTRAST * spans.min():
            return int(counted[spans.argmin()]), int(counted[spans.argmax()])
        if np.ptp(middles) > _SHIFT * np.median(spans):
            return int(counted[middles.argmin()]), int(counted[middles.argmax()])
        return None
