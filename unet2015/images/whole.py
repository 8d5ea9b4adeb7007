"""Images of formats without regions: decoded as a whole when first read."""

import threading
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.images.declared import Declared
from unet2015.images.decoded import beyond_kept
from unet2015.images.image import Image, ImageHeader


def header_of_page(
    path: Path,
    axes: str | None,
    shape: tuple[int, int, int],
    dtype: npt.DTypeLike,
    *,
    labels: bool = False,
    notes: tuple[str, ...] = (),
) -> ImageHeader:
    """Return what is said about a file that holds one page and no axes.

    Parameters
    ----------
    path : Path
        The file.
    axes : str or None
        What the user says the axes are.
    shape : (int, int, int)
        Height, width and channels; one channel is no axis.
    dtype, labels, notes
        As of `ImageHeader`.

    Raises
    ------
    AxesError
        `axes` do not fit.
    """
    kept = shape[: 2 + (shape[2] > 1)]
    within = "YXC"[: len(kept)]
    named = Declared("plain", "", ()).named(within, axes, str(path))
    return ImageHeader(
        str(path),
        named.lead + within,
        named.sizes + kept,
        dtype,
        axes_source="--axes" if axes else "file",
        path=path,
        labels=labels,
        notes=notes,
    )


class WholeImage(Image):
    """An image of one page that is decoded as a whole when it is first read.

    Parameters
    ----------
    header : ImageHeader
        What the file says about the image.
    samples : int
        Samples of a pixel as they are decoded, with those that are dropped.
    size : int
        Bytes of the file.
    """

    def __init__(self, header: ImageHeader, samples: int, size: int) -> None:
        super().__init__(header)
        self._samples, self._size = samples, size
        self._pixels: npt.NDArray[Any] | None = None
        self._lock = threading.Lock()

    def _read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        with self._lock:
            if self._pixels is None:
                self._pixels = self._decode()
        return np.array(np.moveaxis(self._pixels[y0:y1, x0:x1], -1, 0), self.dtype)

    @abstractmethod
    def _decode(self) -> npt.NDArray[Any]:
        """Return the pixels, shape (height, width, channels)."""

    @property
    def decoding_bytes(self) -> int:
        """Memory for the whole image, encoded and decoded, beyond what small images take."""
        decoded = self.height * self.width * self._samples * self.dtype.itemsize
        return beyond_kept(decoded + 2 * self._size)

    @property
    def kept_bytes(self) -> int:
        """Bytes of the decoded image, once it was read."""
        pixels = self._pixels
        return 0 if pixels is None else pixels.nbytes

    def forget(self) -> None:
        """Forget the pixels."""
        self._pixels = None

    def close(self) -> None:
        """Forget the pixels."""
        self.forget()
