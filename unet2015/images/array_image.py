"""An array as an image."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import AxesError
from unet2015.images.axes import UNCALIBRATED, Calibration, may_be_channels_last
from unet2015.images.image import AxesSource, Image, ImageHeader


class ArrayImage(Image):
    """An image in memory.

    Parameters
    ----------
    array : numpy.ndarray
        Pixels; not copied.
    axes : str, optional
        One letter for each dimension. Default: YX for two dimensions, IYX for three.
    calibration : Calibration
        The size of a pixel.
    name, path, axes_source
        Where the pixels come from. Default: an array of the caller.

    Raises
    ------
    AxesError
        `axes` do not fit, or are missing where there are several leading dimensions.
    """

    def __init__(
        self,
        array: npt.NDArray[Any],
        axes: str | None = None,
        calibration: Calibration = UNCALIBRATED,
        *,
        name: str = "array",
        path: Path | None = None,
        axes_source: AxesSource = "array",
    ) -> None:
        if axes is None:
            if array.ndim not in (2, 3):
                such = "YX" if array.ndim < 3 else "TZCYX"[-array.ndim :]
                if array.ndim > 3 and may_be_channels_last(array.shape):
                    such = "TZYXC"[-array.ndim :]
                raise AxesError(f"{name}: an array of shape {array.shape} needs axes, such as {such!r}")
            if may_be_channels_last(array.shape):
                raise AxesError(
                    f"{name}: an array of shape {array.shape} may be pages or channels last; say which with "
                    "axes, 'IYX' or 'YXC'"
                )
            axes = "YX" if array.ndim == 2 else "IYX"
        super().__init__(
            ImageHeader(
                name,
                axes,
                array.shape,
                array.dtype,
                axes_source=axes_source,
                path=path,
                calibration=calibration,
            )
        )
        order = self.page_axes + ("C" if "C" in self.axes else "") + "YX"
        self._view = array.transpose([self.axes.index(letter) for letter in order])

    def _read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        region = self._view[np.unravel_index(page, self.page_shape)][..., y0:y1, x0:x1]
        return np.array(region.reshape(self.channels, y1 - y0, x1 - x0), self.dtype)
