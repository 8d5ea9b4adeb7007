"""Regions of OME-Zarr images, decoding only the chunks that they touch."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageReadError, UNet2015Error
from unet2015.images.decoded import Decoded, beyond_kept
from unet2015.images.image import Colours, Image, ImageHeader
from unet2015.images.ngff import read_multiscale
from unet2015.images.zarr_bounds import check_chunk
from unet2015.images.zarr_chunks import any_chunk, describe_chunks, is_empty, stored_shape
from unet2015.images.zarr_colours import colours_of_labels, names_of_labels
from unet2015.images.zarr_formats import describe_both
from unet2015.images.zarr_group import check_levels, damage_is_told, named_axes, open_group, open_level
from unet2015.safe_files import open_regular, read_bytes

_LARGEST_CHUNK = 2**30
_OVERHEAD = 2**20  # more than headers, checksums and the index of a shard take


class ZarrImage(Image):
    """The full resolution of an OME-Zarr image, 0.4 or 0.5, in a folder.

    The chunks decoded last are kept, up to 64 MiB and at least one, as neighbouring regions share
    them. A chunk that is not there reads as the array's fill value, as Zarr says, since programs
    leave out chunks of nothing but that; `notes` counts them. It is an error where the array has no
    fill value, or no chunk at all is there; labels without any chunk at any level are nothing but 0, with
    a note.

    Parameters
    ----------
    path : Path
        The group that declares the image.
    axes : str, optional
        What the axes are, if the metadata are wrong or have other types: one letter for each axis of
        the array, with or without those of length 1; the last two are YX.
    labels : bool
        The pixels are labels, and may be of type bool.

    Raises
    ------
    ImageReadError
        The metadata are missing, damaged, of another version, or contradict the arrays.
    AxesError
        The axes are not those of an image, or `axes` do not fit.
    """

    colours_are_shown = True

    def __init__(self, path: Path, axes: str | None = None, *, labels: bool = False) -> None:
        name = str(path)
        with damage_is_told(name):
            group = open_group(path)
            attributes = dict(group.attrs.asdict())
            declared = read_multiscale(attributes, int(group.metadata.zarr_format), name)
            self._label_palette = colours_of_labels(attributes) if labels else None
            self.label_names = names_of_labels(attributes) if labels else {}
            arrays = [open_level(group, path, name) for path in declared.paths]
            check_levels(arrays, declared, name)
            both = describe_both(path, group, declared)
            self._array, self._level = arrays[0], declared.paths[0]
            shape = tuple(int(length) for length in self._array.shape)
            letters, kept, on_axes = named_axes(declared, shape, axes, name)
            super().__init__(
                ImageHeader(
                    name,
                    letters,
                    tuple(shape[axis] for axis in kept),
                    self._array.dtype,
                    axes_source="--axes" if axes else "ome",
                    path=path,
                    kind="ome",
                    calibration=declared.calibration,
                    notes=(*declared.notes, *both, *on_axes),
                    labels=labels,
                    channel_names=() if axes else declared.channel_names,
                )
            )
            self.origin = {
                letter: value
                for letter, axis in zip(self.axes, kept, strict=True)
                # Of an axis that `axes` call otherwise it is not known in what a place is measured.
                if (value := declared.translation[axis]) and declared.axes[axis] == letter
            }
            self._kept, self._chunk = kept, tuple(int(length) for length in self._array.chunks)
            codec = self._array.compressors[-1] if self._array.compressors else None
            self._blosc = "blosc" in type(codec).__name__.lower()
            self._check_chunks(
                [*zip(declared.paths, arrays, strict=True)]
                if labels and self._array.dtype.kind in "bui"
                else []
            )
        self._decoded = Decoded()

    @property
    def band_rows(self) -> int:
        """Rows that are best read at a time: a row of chunks, or as many as a band may have."""
        return max(1, min(self._chunk[self._kept[self.axes.index("Y")]], super().band_rows))

    @property
    def notes(self) -> tuple[str, ...]:
        """How many chunks are not there, or are of another grid."""
        assert self.path is not None
        return (*self._notes, *describe_chunks(self.path / self._level, self._array))

    @property
    def decoding_bytes(self) -> int:
        """Memory beyond the cache: two readers, each with a chunk encoded, decoded and copied."""
        return beyond_kept(6 * math.prod(self._chunk) * self.dtype.itemsize)

    @property
    def kept_bytes(self) -> int:
        """Bytes of the decoded chunks that are kept."""
        return self._decoded.nbytes

    def label_colours(self, page: int) -> Colours | None:
        """Return the colours that viewers give the numbers of labels."""
        return self._label_palette

    def forget(self) -> None:
        """Forget decoded chunks."""
        self._decoded.clear()

    def close(self) -> None:
        """Forget decoded chunks."""
        self.forget()

    def _check_chunks(self, levels: list[tuple[str, Any]]) -> None:
        """See that chunks have a size and are there; where all `levels` are empty, none may be."""
        if 0 in self._chunk:
            raise ImageReadError(f"{self.name}: array {self._level} has chunks of no size: {self._chunk}")
        size = math.prod(self._chunk) * self._array.dtype.itemsize
        if size > _LARGEST_CHUNK:
            raise ImageReadError(
                f"{self.name}: array {self._level} has chunks of {size / 2**30:.1f} GiB ({self._chunk}), "
                "which cannot be read in bounded memory; save it with chunks of some MiB"
            )
        assert self.path is not None
        empty = bool(levels) and all(is_empty(self.path / level, array) for level, array in levels)
        if not empty and not any_chunk(self.path / self._level, self._array):
            raise ImageReadError(
                f"{self.name}: array {self._level} of shape {self._array.shape} is declared, but none of its "
                f"chunks is there: it is nothing but {self._array.fill_value}, or its chunks were not "
                "copied: copy it again, or save it with write_empty_chunks=True if it is to hold nothing else"
            )

    def _read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        return self._read_region(page, {"C": (0, self.channels), "Y": (y0, y1), "X": (x0, x1)})

    def read_channel(self, channel: int, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        """Return one channel of a page; chunks of the others are not read."""
        return self._read_region(page, {"C": (channel, channel + 1), "Y": (y0, y1), "X": (x0, x1)})

    def _read_region(self, page: int, ranges: dict[str, tuple[int, int]]) -> npt.NDArray[Any]:
        """Return what of a page lies in these ranges of C, Y and X."""
        place = self.place_of(page)
        lengths = [stop - start for start, stop in ranges.values()]
        ranges = ranges | {letter: (index, index + 1) for letter, index in place.items()}
        region = [(0, 1)] * len(self._chunk)  # axes that were left out have length 1
        for letter, axis in zip(self.axes, self._kept, strict=True):
            region[axis] = ranges[letter]
        out = np.empty([stop - start for start, stop in region], self.dtype)
        grid = [range(a // c, -(-b // c)) for (a, b), c in zip(region, self._chunk, strict=True)]
        for index in np.ndindex(*(len(line) for line in grid)):
            chunk = tuple(line[i] for line, i in zip(grid, index, strict=True))
            inside, target = [], []
            for (a, b), c, n in zip(region, self._chunk, chunk, strict=True):
                start, stop = max(a, n * c), min(b, (n + 1) * c)
                inside.append(slice(start - n * c, stop - n * c))
                target.append(slice(start - a, stop - a))
            block = self._decoded.get(chunk, partial(self._decode, chunk))
            out[tuple(target)] = block[tuple(inside)]
        last = [self._kept[self.axes.index(letter)] for letter in "CYX" if letter in self.axes]
        order = [axis for axis in range(out.ndim) if axis not in last] + last
        return np.ascontiguousarray(out.transpose(order).reshape(lengths))

    def _decode(self, chunk: tuple[int, ...]) -> npt.NDArray[Any]:
        """Return a chunk, cut at the end of the array."""
        where = tuple(slice(n * c, (n + 1) * c) for n, c in zip(chunk, self._chunk, strict=True))
        try:
            self._check_file(chunk)
            self._check_size(chunk)
            block = np.asarray(self._array[where])
        except UNet2015Error:
            raise
        except Exception as error:  # what a codec raises on damaged data depends on the codec
            raise ImageReadError(
                f"{self.name}: array {self._level}: chunk {chunk} cannot be read: {error}; the image is "
                "damaged: copy it again"
            ) from error
        return block.astype(self.dtype, copy=False)

    def _check_file(self, chunk: tuple[int, ...]) -> None:
        """See that a chunk is there and whole, where zarr does not."""
        metadata = self._array.metadata
        undefined = metadata.zarr_format == 2 and metadata.fill_value is None
        if self._array.shards or not (undefined or self._blosc):
            return
        assert self.path is not None
        key = metadata.encode_chunk_key(chunk)
        file = self.path / self._level / key
        if file.is_dir() or not file.exists():
            if undefined:
                raise ImageReadError(
                    f"{self.name}: array {self._level}: chunk {key} is not there, and the array has no fill "
                    "value; copy the image again"
                )
            return
        if self._blosc:  # which would read on in memory beyond the end of a file that is too short
            with open_regular(file) as opened:
                header, size = opened.read(16), opened.seek(0, 2)
            if len(header) < 16 or int.from_bytes(header[12:], "little") > size:
                raise ImageReadError(
                    f"{self.name}: array {self._level}: chunk {key} cannot be read: it is cut short at byte "
                    f"{size}; copy the image again"
                )

    def _check_size(self, chunk: tuple[int, ...]) -> None:
        """See that a file is hardly larger than its pixels, and becomes no more: zarr reads all of it."""
        metadata, most = self._array.metadata, math.prod(stored_shape(self._array)) * self.dtype.itemsize
        place = tuple(
            n * c // s for n, c, s in zip(chunk, self._chunk, stored_shape(self._array), strict=True)
        )
        assert self.path is not None
        file = self.path / self._level / metadata.encode_chunk_key(place)
        try:
            size = file.stat().st_size
        except OSError:  # it is not there, or zarr says what is wrong
            return
        if size > 2 * most + _OVERHEAD:
            raise ValueError(f"its file has {size} bytes, but is to hold {most}")
        if metadata.zarr_format == 2 and metadata.compressor is not None:  # codecs of Zarr 3 are bounded
            factor = 8 if metadata.filters else 1  # which may change the type
            check_chunk(metadata.compressor.codec_id, read_bytes(file), factor * most)
