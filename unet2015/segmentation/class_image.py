"""The class map of a probability map of several classes, made while it is read."""

from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.images.image import Image, ImageHeader
from unet2015.tiling.classes import class_map


class ClassImage(Image):
    """The class of each pixel of a probability map: that of the highest probability, as `segment` writes it.

    Parameters
    ----------
    probabilities : Image
        A map of several classes, which stays open as long as this is read.
    """

    def __init__(self, probabilities: Image) -> None:
        self._probabilities = probabilities
        kept = [place for place, letter in enumerate(probabilities.axes) if letter != "C"]
        super().__init__(
            ImageHeader(
                probabilities.name,
                "".join(probabilities.axes[place] for place in kept),
                tuple(probabilities.shape[place] for place in kept),
                np.uint8,
                axes_source=probabilities.axes_source,
                path=probabilities.path,
                kind=probabilities.kind,
                calibration=probabilities.calibration,
            )
        )

    @property
    def band_rows(self) -> int:
        """How many rows to read at a time: as of the probability map."""
        return self._probabilities.band_rows

    @property
    def decoding_bytes(self) -> int:
        """Extra memory for reading a region: that of the probability map."""
        return self._probabilities.decoding_bytes

    def _read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        return class_map(self._probabilities.read(page, y0, y1, x0, x1), None)[None]
