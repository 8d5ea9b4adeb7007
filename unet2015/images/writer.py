"""Writing images like the ones that were read: same axes, calibration and flavour; whole or absent."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageWriteError
from unet2015.images.array_image import ArrayImage
from unet2015.images.axes import UNCALIBRATED, Calibration
from unet2015.images.display import Colours, Display
from unet2015.images.image import Image
from unet2015.images.imagej import describe_imagej
from unet2015.images.layout import Layout, flavour_of, is_big, is_tiled, resolution_of, what_fits
from unet2015.images.ome_description import describe_ome
from unet2015.images.plain import describe_plain
from unet2015.images.result_names import is_ome_name
from unet2015.images.strips import StripWriter
from unet2015.images.tiles import TileWriter
from unet2015.safe_files import Guard, atomic_path

__all__ = ["ImageWriter", "Layout", "RowWriter", "write_image"]


class RowWriter(Protocol):
    """Takes the rows of an image, page by page, from top to bottom."""

    def write(self, rows: npt.NDArray[Any]) -> None:
        """Take the next rows, (rows, width) or (planes, rows, width)."""


class ImageWriter:
    """Writes the rows of an image to a TIFF; a context manager.

    The file appears at its path when the body ends without an error; otherwise an earlier file stays.
    The flavour is that of `like`, if it can hold the result; a name in ``.ome.tif`` makes it OME-TIFF. An
    ImageJ TIFF cannot be BigTIFF; its planes have the order TZC, its pixels 8 or 16 bit integers or 32 bit
    floats. If that does not fit, OME-TIFF is written. OME-XML has no axis I; then a plain TIFF is written,
    with its axes in tifffile's JSON header and the pixel size in the resolution tags. All are deflated, in
    strips. This holds for ImageJ, too, which follows the directories of a compressed stack. More than 4 GB of
    pixels make a BigTIFF, and so does a `layout` in tiles.

    Parameters
    ----------
    path : str or Path
        Path of the new image.
    like : Image
        The image whose axes (without C), calibration and flavour the result has.
    dtype : dtype
        Type of the pixels.
    channels : int, optional
        Length of an axis C before YX. Default: no such axis.
    layout : Layout, optional
        Strips or tiles. Default: as `Layout` has it.
    guard : callable, optional
        As of :func:`unet2015.safe_files.atomic_path`.
    display : Display, optional
        Its range and colours go into an ImageJ TIFF; other flavours have a colour table, which ImageJ follows
        and OME's programs do not. BigTIFF has none. The values of pixels are the same with and without it.
        Default: ImageJ decides.

    Attributes
    ----------
    lost : tuple of str
        Notes on what of place and time cannot be said in this flavour, and is left out.

    Raises
    ------
    ImageWriteError
        The file cannot be written, or the body ended before all rows came.
    """

    def __init__(
        self,
        path: str | Path,
        like: Image,
        dtype: npt.DTypeLike,
        channels: int | None = None,
        layout: Layout | None = None,
        guard: Guard | None = None,
        display: Display | None = None,
    ) -> None:
        self._guard, self._display = guard, display
        layout = layout or Layout()
        self.path = Path(path)
        self.dtype = np.dtype(dtype)
        self.axes = like.page_axes + ("" if channels is None else "C") + "YX"
        sizes = {"C": channels or 1, "Y": like.height, "X": like.width}
        self.shape = tuple(sizes.get(letter) or like.size(letter) for letter in self.axes)
        self._channels, self._planes = channels, channels or 1
        self._height, self._width, self._pages = like.height, like.width, like.pages
        self._pyramid, self._tiled = layout.pyramid, is_tiled(like, layout)
        self._big = is_big(like, self.dtype, channels, layout)
        named_ome = is_ome_name(self.path)
        self.kind = flavour_of(like, self.dtype, channels, layout, "ome" if named_ome else None)
        if named_ome and self.kind != "ome":
            raise ImageWriteError(
                f"{self.path}: OME-TIFF cannot have axes {self.axes} of {self.dtype}; give a name without "
                ".ome before its ending or, if the pages are slices or times, --axes with Z or T"
            )
        self.calibration, self.lost = what_fits(like, self.kind)
        self._resolution = resolution_of(self.calibration, self.kind)
        self._pending: list[npt.NDArray[Any]] = []
        self._page = self._row = 0  # where the next row goes
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self.path, self._guard))
            file = stack.enter_context(temporary.open("wb"))
            planes = self._pages * self._planes
            size, colours = (self._height, self._width), self._colours()
            self._strips = (
                TileWriter(file, planes, *size, self.dtype, pyramid=self._pyramid, colours=colours)
                if self._tiled
                else StripWriter(file, planes, *size, self.dtype, big=self._big, colours=colours)
            )
            self._stack = stack.pop_all()
        return self

    def write(self, rows: npt.NDArray[Any]) -> None:
        """Append any number of rows: page 0 from top to bottom, then page 1, ...

        Parameters
        ----------
        rows : numpy.ndarray, shape (h, width) or (channels, h, width)
            Without or with an axis C.

        Raises
        ------
        ImageWriteError
            The shape or type is wrong, there are too many rows, or the file cannot be written.
        """
        expected = f"({'' if self._channels is None else f'{self._planes}, '}rows, {self._width})"
        band = rows[None] if self._channels is None else rows
        wrong = band.ndim != 3 or band.shape[::2] != (self._planes, self._width)
        if wrong or rows.dtype != self.dtype:
            raise ImageWriteError(
                f"{self.path}: expected rows of shape {expected} and type {self.dtype}, but {rows.shape} of "
                f"{rows.dtype} came"
            )
        try:
            while band.shape[1]:
                band = self._take(band)
        except OSError as error:
            if isinstance(error, ImageWriteError):
                raise
            raise self._failure(error) from error

    def _take(self, band: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Take rows up to the end of the strip, write it if it is full, return the rest."""
        if self._page == self._pages:
            raise ImageWriteError(f"{self.path}: expected {self._pages * self._height} rows, but more came")
        strip_end = min((self._row // self._strips.rows + 1) * self._strips.rows, self._height)
        taken, rest = np.split(band, [strip_end - self._row], axis=1)
        self._row += taken.shape[1]
        # Rows that wait are copied, as the caller may reuse its array; the others are written below.
        self._pending.append(taken if self._row == strip_end else taken.copy())
        if self._row == strip_end:
            strip = self._pending[0] if len(self._pending) == 1 else np.concatenate(self._pending, axis=1)
            for channel in range(self._planes):
                self._strips.write_strip(self._page * self._planes + channel, strip[channel])
            self._pending.clear()
        if self._row == self._height:
            self._page, self._row = self._page + 1, 0
        return rest

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack as stack:
            if error is not None:
                stack.__exit__(kind, error, trace)
                return
            if self._page < self._pages:
                came = self._page * self._height + self._row
                raise ImageWriteError(
                    f"{self.path}: expected {self._pages * self._height} rows, but {came} came"
                )
            try:
                self._strips.finish(self._description(), self._resolution)
            except OSError as problem:
                raise self._failure(problem) from problem

    def _description(self) -> str:
        if self.kind == "imagej":
            return describe_imagej(self.axes, self.shape, self.calibration, self._display)
        if self.kind == "ome":
            return describe_ome(self.axes, self.shape, self.dtype, self.calibration)
        return describe_plain(self.axes, self.shape, self.calibration)

    def _colours(self) -> Colours | None:
        """Return the colour table; None if the result is shown rightly without."""
        if self._display is None:
            return None
        return self._display.table(self.dtype, ranged=self.kind == "imagej")

    def _failure(self, error: OSError) -> ImageWriteError:
        return ImageWriteError(f"{self.path}: cannot write the file: {error.strerror or error}")


def write_image(
    path: str | Path, array: npt.NDArray[Any], axes: str, calibration: Calibration = UNCALIBRATED
) -> None:
    """Write a whole array as a plain TIFF.

    Parameters
    ----------
    path : str or Path
        Where the image shall be.
    array : numpy.ndarray
        Pixels.
    axes : str
        A letter of TZCYXI for each dimension; C is written before YX, wherever it is.
    calibration : Calibration
        What a pixel measures.

    Raises
    ------
    AxesError
        `axes` do not fit the array.
    ImageWriteError
        The file cannot be written.
    """
    image = ArrayImage(array, axes, calibration)
    channels = image.channels if "C" in image.axes else None
    with ImageWriter(path, image, image.dtype, channels) as writer:
        for page in range(image.pages):
            rows = image.read(page, 0, image.height, 0, image.width)
            writer.write(rows[0] if channels is None else rows)
