"""The class map of a probability map of several classes, made while it is read."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.images.image import Image
from unet2015.images.view import ImageView, header_without_channels
from unet2015.tiling.classes import class_map


class ClassImage(ImageView):
    """The class of each pixel of a probability map: that of the highest probability, as `segment` writes it.

    Parameters
    ----------
    probabilities : Image
        A map of several classes, which stays open as long as this is read.
    """

    def __init__(self, probabilities: Image) -> None:
        header = header_without_channels(probabilities)
        super().__init__(probabilities, replace(header, dtype=np.uint8, bits=None, significant_bits=None))

    def _read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        return class_map(self._image.read(page, y0, y1, x0, x1), None)[None]
