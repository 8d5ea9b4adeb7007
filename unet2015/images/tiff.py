"""Regions of TIFF pages, decoding only the strips or tiles that they touch."""

import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError
from unet2015.images.coded_segments import decode_segment
from unet2015.images.contents import read_contents
from unet2015.images.decoded import Decoded, beyond_kept
from unet2015.images.directories import Plane
from unet2015.images.header import merged_axes
from unet2015.images.image import Colours, Image, ImageHeader
from unet2015.images.photometric import invert
from unet2015.images.planes import listed_bytes, unlike
from unet2015.images.sample_axis import describe_alpha, plane_order, sample_axis, slices_advice
from unet2015.images.samples import common_samples, within, without_alpha
from unet2015.images.sparse import describe_absent, missing_value
from unet2015.large_arrays import large_array
from unet2015.safe_files import open_regular
from unet2015.wording import reason

_COLOURS = (3, 4)
"""Samples of a pixel of 8 bits that ImageJ opens as RGB, not as channels."""


class TiffImage(Image):
    """A TIFF file, read by regions.

    The strips or tiles decoded last are kept, up to 64 MiB and at least one, because neighbouring
    regions share them; not small tiles that are not compressed, which are read again as fast. In
    uncompressed strips only the rows of the region are read; otherwise whole strips or tiles are decoded. So
    if a compressed strip holds the whole page, each of two readers needs memory for the decoded page, and if
    it is too large to be kept, each region decodes it again. Save such a file in tiles, or in strips of a
    few rows. `decoding_bytes` tells the memory.

    Parameters
    ----------
    path : Path
        The file.
    axes : str, optional
        The axes, if the file does not tell them: one letter for each axis of the file, with or without
        those of length 1.
    labels : bool
        The pixels are labels: the indices of a palette are the labels whatever its colours, and one bit
        is a mask, of type bool.

    Attributes
    ----------
    palette : ndarray of uint8, shape (N, 3), or None
        The colours of the pixels, if these are indices of them and no labels.

    Raises
    ------
    ImageReadError
        The file is damaged, cut short, contradicts its header, or holds no intensities.
    AxesError
        The file does not say what its axes are, or `axes` do not fit.
    """

    def __init__(self, path: Path, axes: str | None = None, *, labels: bool = False) -> None:
        name = str(path)
        found = read_contents(path, axes, labels)
        self.palette, self._byte_order = found.palette, found.byte_order
        self._label_palettes = found.label_palettes
        declared, planes, page = found.declared, found.planes, found.planes[0].page
        letter, self._samples = sample_axis(page, axes, declared, name), int(page.samplesperpixel)
        values = list(range(self._samples))
        if letter == "C":
            values = common_samples(unlike([plane.page for plane in planes]), axes, name)
        inner = within(page, len(values), letter)
        named = declared.named(inner, axes, name)
        shape = merged_axes(named, page, inner, len(values))
        super().__init__(
            ImageHeader(
                name,
                *shape,
                page.dtype,
                axes_source="--axes" if axes else "file" if declared.kind == "plain" else declared.kind,
                path=path,
                kind=declared.kind,
                calibration=declared.calibration,
                companion=declared.companion,
                notes=(
                    *named.notes,
                    *found.notes,
                    *describe_absent(planes, name),
                    *describe_alpha(page, values, shape[0]),
                ),
                bits=int(page.bitspersample),
                significant_bits=declared.significant_bits,
                labels=labels,
                channel_names=() if axes else declared.channel_names,
            )
        )
        self.stage = declared.stage
        if letter == "C" and self._samples in _COLOURS and self.dtype == np.uint8 and self.kind != "ome":
            self.stack_channels //= len(values)
        self._inverted = found.inverted
        self._values = values  # the samples of a pixel that are no alpha
        self._planes, self._split = planes, letter != "C"  # each sample is a page
        self._order = plane_order(named, (letter, self._samples), self.pages)
        self._decoded = Decoded()
        self._file, self._file_lock = open_regular(path), threading.Lock()

    @property
    def band_rows(self) -> int:
        """How many rows to read at a time: a row of tiles, or as many as a band may have."""
        plane = self._planes[0]
        return min(plane.rows, self.height) if plane.across > 1 else super().band_rows

    @property
    def decoding_bytes(self) -> int:
        """Memory for decoding beyond the cache: two readers, each with its segment, encoded and decoded."""
        plane = self._planes[0]
        if plane.raw:
            return 0
        samples = 1 if plane.separate else self._samples
        segment = plane.rows * plane.columns * samples * self.dtype.itemsize
        return beyond_kept(2 * (segment + int(plane.counts.max())))

    @property
    def listed_bytes(self) -> int:
        """Memory of the directories and of where their strips or tiles lie."""
        return listed_bytes(self._planes)

    @property
    def kept_bytes(self) -> int:
        """Bytes of the decoded segments that are kept."""
        return self._decoded.nbytes

    def label_colours(self, page: int) -> Colours | None:
        """Return the palette of a page of labels."""
        number = int(self._order[page][0])
        plane = number // self._samples if self._split else number
        return self._label_palettes[plane] if self._label_palettes else None

    def forget(self) -> None:
        """Forget decoded segments."""
        self._decoded.clear()

    def close(self) -> None:
        """Close the file and forget decoded segments."""
        self._file.close()
        self.forget()

    def _read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        numbers = self._order[page].tolist()
        if self._split:
            return np.concatenate([self._read_sample(number, y0, y1, x0, x1) for number in numbers])
        return self._read_planes(numbers, y0, y1, x0, x1)

    def read_channel(self, channel: int, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        """Return one channel of a page; of the planes of the others nothing is read."""
        if self._split:
            return self._read_sample(int(self._order[page][channel]), y0, y1, x0, x1)
        plane, sample = divmod(channel, len(self._values))
        number = int(self._order[page][plane])
        return self._of_samples(number, sample, y0, y1, x0, x1)

    def _of_samples(self, number: int, sample: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        """Return one of the samples of a plane, in memory of its own, so that the others are freed."""
        found = self._read_planes([number], y0, y1, x0, x1)
        if len(found) == 1:
            return found
        alone = large_array((1, *found.shape[1:]), self.dtype)
        alone[0] = found[sample]
        return alone

    def _read_sample(self, number: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        """Return one sample of a plane where samples are pages, shape (1, y1 - y0, x1 - x0)."""
        index, sample = divmod(number, self._samples)
        plane = self._planes[index]
        if not plane.separate:
            return self._of_samples(index, sample, y0, y1, x0, x1)
        out = large_array((1, y1 - y0, x1 - x0), self.dtype)
        fill = self._fill_raw if plane.raw else self._fill_decoded
        fill(index, sample, (y0, y1, x0, x1), out)
        if self._inverted[index]:
            invert(out, self.bits)
        return out

    def _read_planes(self, numbers: list[int], y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        samples = self._samples
        out = large_array((len(numbers) * samples, y1 - y0, x1 - x0), self.dtype)
        for i, number in enumerate(numbers):
            plane = self._planes[number]
            part = out[i * samples : (i + 1) * samples]
            for sample in range(samples if plane.separate else 1):
                target = part[sample : sample + 1] if plane.separate else part
                fill = self._fill_raw if plane.raw else self._fill_decoded
                fill(number, sample, (y0, y1, x0, x1), target)
        if len(self._values) < samples:
            out = without_alpha(out, samples, self._values, self.name, slices_advice(plane.page, self.axes))
        for i, number in enumerate(numbers):
            if self._inverted[number]:
                invert(out[i * len(self._values) : (i + 1) * len(self._values)], self.bits)
        return out

    def _fill_raw(
        self, number: int, sample: int, region: tuple[int, int, int, int], target: npt.NDArray[Any]
    ) -> None:
        """Copy a region of a plane whose strips are not compressed."""
        plane = self._planes[number]
        y0, y1, x0, x1 = region
        pixel = plane.row_bytes // self.width
        dtype = self.dtype.newbyteorder(self._byte_order)
        full = x1 - x0 == self.width
        y = y0
        while y < y1:
            strip, inside = divmod(y, plane.rows)
            # Full rows follow each other in the file and are read at once; parts of rows one by one.
            end = min(y1, (strip + 1) * plane.rows) if full else y + 1
            first = int(plane.offsets[sample * plane.down + strip]) + inside * plane.row_bytes + x0 * pixel
            data = self._bytes(first, (end - y) * (x1 - x0) * pixel, plane)
            rows = np.frombuffer(data, dtype).reshape(end - y, x1 - x0, len(target))
            target[:, y - y0 : end - y0] = np.moveaxis(rows, -1, 0)
            y = end

    def _fill_decoded(
        self, number: int, sample: int, region: tuple[int, int, int, int], target: npt.NDArray[Any]
    ) -> None:
        """Copy a region of a plane from its decoded strips or tiles."""
        plane = self._planes[number]
        y0, y1, x0, x1 = region
        for row in range(y0 // plane.rows, -(-y1 // plane.rows)):
            for column in range(x0 // plane.columns, -(-x1 // plane.columns)):
                index = (sample * plane.down + row) * plane.across + column
                segment = self._segment(number, index)
                top, left = row * plane.rows, column * plane.columns
                a, b = max(y0, top), min(y1, top + plane.rows)
                c, d = max(x0, left), min(x1, left + plane.columns)
                block = segment[a - top : b - top, c - left : d - left]
                target[:, a - y0 : b - y0, c - x0 : d - x0] = np.moveaxis(block, -1, 0)

    def _segment(self, number: int, index: int) -> npt.NDArray[Any]:
        """Return a decoded strip or tile, shape (rows, columns, samples)."""
        if self._planes[number].copied:
            return self._decode(number, index)  # as fast as it could be found again
        return self._decoded.get((number, index), partial(self._decode, number, index))

    def _decode(self, number: int, index: int) -> npt.NDArray[Any]:
        plane = self._planes[number]
        if plane.counts[index] == 0:
            samples = 1 if plane.separate else self._samples
            return np.full((plane.rows, plane.columns, samples), missing_value(plane.page), self.dtype)
        data = self._bytes(int(plane.offsets[index]), int(plane.counts[index]), plane)
        try:
            return decode_segment(data, plane, index, self._samples)
        except NotImplementedError as error:
            raise ImageReadError(
                f"{self.name}: page {plane.page.index}: its strips or tiles are not supported: "
                f"{reason(error)}; save a copy without compression, or with another one"
            ) from error
        except Exception as error:  # what a codec raises on damaged data depends on the codec
            raise ImageReadError(
                f"{self.name}: page {plane.page.index}: strip or tile {index} cannot be decoded: "
                f"{reason(error)}; the file is damaged: copy it again"
            ) from error

    def _bytes(self, offset: int, count: int, plane: Plane) -> bytes:
        try:
            with self._file_lock:
                self._file.seek(offset)
                data = self._file.read(count)
        except (OSError, ValueError) as error:
            raise ImageReadError(f"{self.name}: cannot read the pixels: {error}") from error
        if len(data) < count:
            raise ImageReadError(
                f"{self.name}: page {plane.page.index}: expected {count} bytes at byte {offset}, but "
                f"{len(data)} came; the file became shorter while it was read"
            )
        return data
