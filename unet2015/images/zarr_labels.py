"""Instance labels as a label image of OME-Zarr, written row by row: of an image that is there, or alone."""

import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageWriteError
from unet2015.images.image import Image
from unet2015.images.zarr_layout import ZarrMap, plan_layout
from unet2015.images.zarr_writer import ZarrSegmentation

_ROWS = 1024
"""Rows that are written together. They do not follow from tiles, so that equal labels are equal bytes."""


class ZarrLabels:
    """Writes ``labels/NAME`` of an OME-Zarr image; a context manager. What lies there is replaced.

    Alone, without an image to which they belong, the labels are the image, too: its metadata name their
    arrays.

    Parameters
    ----------
    folder : Path
        The image, which is not yet at its final path.
    like : Image
        The image whose pages, calibration and origin the labels have.
    name : str
        Of the label image.
    dtype : dtype
        Of the labels.
    alone : int, optional
        In a folder that is empty: the largest label. Default: an image lies there.

    Raises
    ------
    ImageWriteError
        It cannot be written, or the body ended before all rows came.
    """

    def __init__(
        self, folder: Path, like: Image, name: str, dtype: npt.DTypeLike, alone: int | None = None
    ) -> None:
        self._like, self._name, self._alone = like, name, alone is not None
        self._dtype = np.dtype(dtype)
        item = ZarrMap(
            name, "instance labels", self._dtype.name, None, label=True, names=(), largest=alone or 1
        )
        self._image = ZarrSegmentation(folder, plan_layout(like, min(_ROWS, like.height), [item]))
        self._page = self._row = 0
        self._waiting: list[npt.NDArray[Any]] = []

    def __enter__(self) -> Self:
        try:
            if self._alone:
                self._image.create(self._like)
                return self
            place = self._image.folder / "labels" / self._name
            if place.exists():
                shutil.rmtree(place)
            self._image.add_label(self._like)
        except OSError as error:
            raise self._failure(error) from error
        return self

    def write(self, rows: npt.NDArray[Any]) -> None:
        """Take the next rows, (rows, width): page 0 from top to bottom, then page 1, ..."""
        height, band = self._like.height, self._image.layout.band
        while len(rows):
            stop = min((self._row // band + 1) * band, height)
            taken, rows = rows[: stop - self._row], rows[stop - self._row :]
            self._waiting.append(taken)
            self._row += len(taken)
            if self._row == stop:
                whole = np.concatenate(self._waiting)
                self._image.write(self._page, stop - len(whole), {self._name: whole})
                self._waiting.clear()
            if self._row == height:
                self._page, self._row = self._page + 1, 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            if self._page < self._like.pages:
                raise ImageWriteError(
                    f"{self._image.folder}: expected labels of {self._like.pages} pages, not {self._page}"
                )
            self._image.make_levels()

    def _failure(self, error: OSError) -> ImageWriteError:
        return ImageWriteError(f"{self._image.folder}: cannot write the labels: {error.strerror or error}")
