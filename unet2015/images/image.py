"""The common interface of images, wherever their pixels are: axes, calibration, and region reads."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError, UNet2015Error, UsageError, failure_of
from unet2015.images.axes import UNCALIBRATED, Calibration, describe_narrow, match_axes, plain_names
from unet2015.images.samples import MASK

AxesSource = Literal["ome", "imagej", "file", "--axes", "array"]
MetadataKind = Literal["ome", "imagej", "plain"]

Colours = npt.NDArray[np.uint8]
"""Red, green and blue of each index of a palette, shape (N, 3)."""
_BAND_PIXELS = 2**22


@dataclass(frozen=True)
class ImageHeader:
    """What a file says about its image, besides the pixels.

    Attributes
    ----------
    name : str
        The path, or "array".
    axes : str
        One letter of TZCYXI for each length of `shape`, slowest first.
    shape : tuple of int
        Lengths along `axes`.
    dtype : dtype_like
        Type of the pixels, in any byte order.
    axes_source : {"ome", "imagej", "file", "--axes", "array"}
        Where the axes come from.
    path : Path or None
        The file.
    kind : {"ome", "imagej", "plain"}
        The flavour of the file; an output like this image has the same.
    calibration : Calibration
        Pixel size, spacing, interval and their units.
    notes : tuple of str
        Remarks that are not errors, such as metadata that could not be used.
    companion : str or None
        The SHA-256 of the other file from which axes and calibration come, if they do.
    labels : bool
        The pixels are labels, and may be of type bool.
    bits : int or None
        Bits of a pixel in the file, where they are fewer than those of `dtype`.
    significant_bits : int or None
        How many of its bits the file says that the camera has, if it does; the others are 0.
    channel_names : sequence of object
        What the file calls its channels; not used unless there is one for each.
    """

    name: str
    axes: str
    shape: tuple[int, ...]
    dtype: npt.DTypeLike
    axes_source: AxesSource
    path: Path | None = None
    kind: MetadataKind = "plain"
    calibration: Calibration = UNCALIBRATED
    notes: tuple[str, ...] = ()
    companion: str | None = None
    labels: bool = False
    bits: int | None = None
    significant_bits: int | None = None
    channel_names: Sequence[object] = ()


class Image(ABC):
    """An image as pages, each a set of YX planes, one per channel; a context manager.

    Parameters
    ----------
    header : ImageHeader
        What the file says about the image.

    Attributes
    ----------
    name, path, kind, axes, axes_source, shape, calibration, companion, significant_bits
        As in the header.
    dtype : numpy.dtype
        Type of the pixels, in the machine's byte order.
    bits : int
        How many bits of a pixel can be set: 4, 12, ..., else all of its type.
    channel_names : tuple of str
        What the file calls its channels, "" where it does not; empty if it names none.
    reader : str or None
        The library beyond those in every record that reads the file, with its version.
    scene : int or None
        Of a file of a microscope, which of its images this is, from 0; else None.
    stack_channels : int
        How many channels ImageJ has of the file; not those of a pixel of 8-bit colours, which are none there.
        Of one channel that was taken alone, those of its file.
    colours_are_shown : bool
        Whether `label_colours` are those of viewers alone, which each program chooses by itself.
    label_names : mapping of int to str
        What the file calls numbers of labels; empty where it does not name any.
    title : str or None
        What tables call it; None where its path says it.
    origin : dict
        Where the first pixel lies, for each letter for which the file says so, in the calibration's unit.
    stage : mapping
        Where the stage stood along Y and X, in micrometres, where the file says so.
    """

    colours_are_shown = False
    label_names: Mapping[int, str] = MappingProxyType({})

    def __init__(self, header: ImageHeader) -> None:
        self.name = name = header.name
        self.path = header.path
        self.kind = header.kind
        self.axes = match_axes(header.axes, header.shape, name)
        self.axes_source = header.axes_source
        self.shape = tuple(int(size) for size in header.shape)
        self.dtype: np.dtype[Any] = np.dtype(header.dtype).newbyteorder("=")
        self.bits = header.bits or 8 * self.dtype.itemsize
        self.significant_bits = header.significant_bits
        self.calibration = header.calibration
        told = header.axes_source in ("ome", "--axes", "array")
        self._notes = (*header.notes, *(() if told else describe_narrow(self.axes, self.shape)))
        self.title: str | None = None
        self.origin: dict[str, float] = {}
        self.stage: Mapping[str, float] = {}
        self.companion = header.companion
        self.reader: str | None = None
        self.scene: int | None = None
        self.stack_channels = self.channels
        names = plain_names(header.channel_names)
        self.channel_names = names if len(names) == self.channels else ()
        if 0 in self.shape:
            raise ImageReadError(f"{name}: the image is empty: its shape is {self.shape}")
        if self.dtype.kind not in ("uifb" if header.labels else "uif"):
            what = MASK if self.dtype.kind == "b" else "save a copy of the same values as integers or floats"
            raise ImageReadError(
                f"{name}: expected integers or floats as pixels, but they are {self.dtype}; {what}"
            )

    def size(self, letter: str) -> int:
        """Return the length along one axis, 1 if the image lacks it."""
        return self.shape[self.axes.index(letter)] if letter in self.axes else 1

    @property
    def page_axes(self) -> str:
        """The axes without C, Y and X."""
        return "".join(letter for letter in self.axes if letter not in "CYX")

    @property
    def page_shape(self) -> tuple[int, ...]:
        """Lengths along `page_axes`."""
        return tuple(self.size(letter) for letter in self.page_axes)

    def place_of(self, page: int) -> dict[str, int]:
        """Return the place of a page along each of `page_axes`, from 0."""
        return dict(zip(self.page_axes, map(int, np.unravel_index(page, self.page_shape)), strict=True))

    @property
    def pages(self) -> int:
        """Number of pages: the product of `page_shape`."""
        return math.prod(self.page_shape)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.size("C")

    @property
    def height(self) -> int:
        """Rows of a page."""
        return self.size("Y")

    @property
    def width(self) -> int:
        """Columns of a page."""
        return self.size("X")

    @property
    def band_rows(self) -> int:
        """How many rows to read at a time when whole pages are read."""
        return max(1, min(self.height, _BAND_PIXELS // (self.width * self.channels)))

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the image that are not errors; may look at all of its files."""
        return self._notes

    @property
    def decoding_bytes(self) -> int:
        """Extra memory for reading a region, where large strips or tiles must be decoded whole."""
        return 0

    @property
    def listed_bytes(self) -> int:
        """Memory of the lists of where the pixels lie."""
        return 0

    @property
    def kept_bytes(self) -> int:
        """Bytes of decoded pixels that the image now keeps for the next read."""
        return 0

    def add_notes(self, *notes: str) -> None:
        """Add remarks."""
        self._notes += notes

    def forget(self) -> None:  # noqa: B027 - most keep nothing
        """Free decoded pixels; the file stays open."""

    def read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        """Read a region of one page; may be called from several threads.

        Parameters
        ----------
        page : int
            Page, counted along `page_axes`, the last one fastest.
        y0, y1, x0, x1 : int
            Half-open ranges of rows and columns, inside the image.

        Returns
        -------
        numpy.ndarray, shape (channels, y1 - y0, x1 - x0), of `dtype`

        Raises
        ------
        ImageReadError
            The pixels cannot be read or decoded.
        UsageError
            The region is not inside the image.
        """
        inside = 0 <= page < self.pages and 0 <= y0 < y1 <= self.height and 0 <= x0 < x1 <= self.width
        if not inside:
            raise UsageError(
                f"{self.name}: page {page}, rows {y0}:{y1}, columns {x0}:{x1} are not inside {self.pages} "
                f"pages of {self.height} x {self.width}"
            )
        try:
            return self._read(page, y0, y1, x0, x1)
        except UNet2015Error:
            raise
        except Exception as error:  # whatever it is, it is the failure of this file alone
            raise failure_of(error, self.name) from error

    def bands(self, page: int) -> Iterator[npt.NDArray[Any]]:
        """Yield a page from top to bottom, `band_rows` rows at a time, as `read` returns them."""
        for top in range(0, self.height, self.band_rows):
            yield self.read(page, top, min(top + self.band_rows, self.height), 0, self.width)

    def read_channel(self, channel: int, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        """Return one channel of what `read` returns, shape (1, y1 - y0, x1 - x0); the region is inside."""
        return self._read(page, y0, y1, x0, x1)[channel : channel + 1]

    def uncovered(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[np.bool_] | None:
        """Return which pixels of a region the file declares to hold no image.

        Returns
        -------
        ndarray of bool, shape (channels, y1 - y0, x1 - x0), or None
            None where all hold one, as far as the file says.
        """
        return None

    def label_colours(self, page: int) -> Colours | None:
        """Return the palette of a page of labels; None if there is none, or it is a gray ramp."""
        return None

    @abstractmethod
    def _read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        """Read a region that is known to be inside the image."""

    def close(self) -> None:  # noqa: B027 - most have nothing to give back
        """Close the file and free the memory of the image."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
