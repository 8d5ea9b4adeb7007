"""Segmentations as OME-Zarr 0.5 in a folder: class map as labels, probabilities as the image.

The layout::

    OUT.zarr/                  the image: the probability map where there is one, else the class map
      0, 1, ...                probabilities at full resolution, and halved again and again (means)
      labels/classes/          the class map as a label image
        0, 1, ...              classes at full resolution, and every second pixel, again and again

A label image needs an image that it belongs to. Where no probabilities are asked for, the metadata of
the image name the arrays of the class map, so that viewers show something and nothing is stored twice.

Arrays have no chunk that two rows of tiles share: chunks and shards begin where rows of tiles begin
and go no further than one, so whoever has computed a row of tiles writes its files alone.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageWriteError
from unet2015.images.image import Image
from unet2015.images.ngff import WRITTEN, describe_multiscale, ordered_axes
from unet2015.images.zarr import ZarrImage, zarr_library

CLASSES = "labels/classes"
SMALLEST_LEVEL = 1024
"""Levels are halved until Y and X are no longer than this."""
_CHUNK, _SHARD = 1024, 4096
_COLOURS = ((0, 0, 0), (255, 196, 0), (0, 158, 255), (230, 0, 92), (0, 200, 120), (160, 90, 255))


@dataclass(frozen=True)
class ZarrLayout:
    """Shape and chunks of the arrays of a segmentation: what whoever writes rows needs to know.

    Attributes
    ----------
    page_axes : str
    page_shape : tuple of int
        As the pages are counted.
    height, width : int
        Of a page.
    band : int
        Rows that are written together: those that a row of tiles keeps.
    channels : int or None
        Classes of the probability map, where it has an axis C.
    probability : bool
        Whether there is a probability map.
    """

    page_axes: str
    page_shape: tuple[int, ...]
    height: int
    width: int
    band: int
    channels: int | None
    probability: bool

    def axes(self, probability: bool) -> str:
        """Return the axes of an array in the order of OME-Zarr."""
        channel = "C" if probability and self.channels else ""
        return ordered_axes(self.page_axes + channel + "YX", "the result")

    def shape(self, probability: bool, level: int = 0) -> tuple[int, ...]:
        """Return the shape of an array."""
        sizes = dict(zip(self.page_axes, self.page_shape, strict=True)) | {"C": self.channels or 1}
        sizes |= {"Y": -(-self.height // 2**level), "X": -(-self.width // 2**level)}
        return tuple(sizes[letter] for letter in self.axes(probability))

    @property
    def levels(self) -> int:
        """How many resolutions there are."""
        longest = max(self.height, self.width)
        return 1 + max(0, math.ceil(math.log2(longest / SMALLEST_LEVEL)))

    @property
    def chunk(self) -> tuple[int, int]:
        """Rows and columns of a chunk; the rows divide a band."""
        parts = next(n for n in range(-(-self.band // _CHUNK), self.band + 1) if self.band % n == 0)
        return self.band // parts, min(_CHUNK, self.width)

    @property
    def shard(self) -> tuple[int, int]:
        """Rows and columns of a shard: a band high."""
        across = self.chunk[1]
        return self.band, across * max(1, min(_SHARD // across, -(-self.width // across)))

    def place(self, page: int, probability: bool) -> tuple[Any, ...]:
        """Return the index of a page in an array, all classes of it."""
        where: dict[str, Any] = dict(
            zip(self.page_axes, map(int, np.unravel_index(page, self.page_shape)), strict=True)
        )
        return tuple(where.get(letter, slice(None)) for letter in self.axes(probability)[:-2])

    def paths(self, probability: bool) -> list[str]:
        """Return the paths of the arrays, full resolution first."""
        folder = "" if probability else f"{CLASSES}/"
        return [f"{folder}{level}" for level in range(self.levels)]


def plan_layout(image: Image, band: int, channels: int | None, probability: bool) -> ZarrLayout:
    """Return the layout of the segmentation of an image.

    Raises
    ------
    AxesError
        OME-Zarr cannot have these axes.
    """
    layout = ZarrLayout(
        image.page_axes, image.page_shape, image.height, image.width, band, channels, probability
    )
    ordered_axes(layout.page_axes + ("C" if probability and channels else "") + "YX", image.name)
    return layout


class ZarrSegmentation:
    """The arrays of a segmentation in a folder that is not yet where it shall be.

    Parameters
    ----------
    folder : Path
        Of the group.
    layout : ZarrLayout
        As `plan_layout` returns it.
    """

    def __init__(self, folder: Path, layout: ZarrLayout) -> None:
        self.folder, self.layout = folder, layout
        self._open: dict[str, Any] = {}

    def create(self, like: Image, class_names: Sequence[str]) -> None:
        """Make groups, arrays and metadata; what is there already stays.

        Parameters
        ----------
        like : Image
            The image that was segmented: its calibration and, from OME-Zarr, where it lies.
        class_names : sequence of str
            One a class, in the order of the values.

        Raises
        ------
        ImageWriteError
            They cannot be written.
        """
        zarr, layout = zarr_library(), self.layout
        try:
            root = zarr.open_group(self.folder, mode="a", zarr_format=3)
            labels = root.require_group("labels")
            classes = labels.require_group("classes")
            self._create_arrays(root, np.dtype(np.uint8), probability=False)
            shown = self._describe("class map", like, probability=False)
            label = {
                "colors": _colours(len(class_names)),
                "properties": [{"label-value": i, "name": name} for i, name in enumerate(class_names)],
                "source": {"image": "../../"},
            }
            classes.attrs["ome"] = {
                "version": WRITTEN,
                "multiscales": [_below(shown, f"{CLASSES}/")],
                "image-label": label,
            }
            labels.attrs["ome"] = {"version": WRITTEN, "labels": ["classes"]}
            names, top = ["class"], len(class_names) - 1
            if layout.probability:
                self._create_arrays(root, np.dtype(np.float32), probability=True)
                shown = self._describe("probability map", like, probability=True)
                names, top = list(class_names if layout.channels else class_names[1:]), 1
            root.attrs["ome"] = {"version": WRITTEN, "multiscales": [shown], "omero": _display(names, top)}
        except OSError as error:
            raise self._failure(error) from error

    def write(
        self, page: int, top: int, classes: npt.NDArray[np.uint8], probability: npt.NDArray[Any] | None
    ) -> None:
        """Write a band: rows of a page over the whole width, from row `top` on.

        Parameters
        ----------
        page, top : int
            `top` is a multiple of the layout's band.
        classes : ndarray of uint8, shape (rows, width)
        probability : ndarray of float32 or None
            Shape (rows, width), or (classes, rows, width).

        Raises
        ------
        ImageWriteError
            It cannot be written.
        """
        assert top % self.layout.band == 0
        rows = slice(top, top + classes.shape[0])
        try:
            place = self.layout.place(page, probability=False)
            self._array(self.layout.paths(False)[0])[(*place, rows, slice(None))] = classes
            if probability is not None:
                place = self.layout.place(page, probability=True)
                self._array(self.layout.paths(True)[0])[(*place, rows, slice(None))] = probability
        except OSError as error:
            raise self._failure(error) from error

    def make_levels(self) -> None:
        """Make the lower resolutions of the full one, a shard in memory at a time."""
        try:
            for probability in (False, True) if self.layout.probability else (False,):
                paths = self.layout.paths(probability)
                for fine, coarse in pairwise(paths):
                    source, target = self._array(fine), self._array(coarse)
                    for lead, rows, columns in _blocks(target.shape, self.layout.shard):
                        twice = tuple(slice(2 * s.start, 2 * s.stop) for s in (rows, columns))
                        pixels = source[(*lead, *twice)]
                        target[(*lead, rows, columns)] = _halved(pixels, mean=probability)
        except OSError as error:
            raise self._failure(error) from error

    def _array(self, path: str) -> Any:
        if path not in self._open:
            self._open[path] = zarr_library().open_array(
                self.folder / path, mode="r+", config={"write_empty_chunks": True}
            )
        return self._open[path]

    def _create_arrays(self, root: Any, dtype: np.dtype[Any], probability: bool) -> None:
        from zarr.codecs import ZstdCodec

        layout = self.layout
        axes = layout.axes(probability)
        lead = (1,) * (len(axes) - 2)
        chunks, shards = (*lead, *layout.chunk), (*lead, *layout.shard)
        for level, path in enumerate(layout.paths(probability)):
            if path in root:
                continue
            root.create_array(
                path,
                shape=layout.shape(probability, level),
                dtype=dtype,
                chunks=chunks,
                shards=None if shards == chunks else shards,
                fill_value=0,
                # Deeper levels gain nothing on the noise of floats; a checksum tells damaged chunks.
                compressors=ZstdCodec(level=1 if dtype.kind == "f" else 3, checksum=True),
                dimension_names=[letter.lower() for letter in axes],
            )

    def _describe(self, name: str, like: Image, probability: bool) -> dict[str, Any]:
        return describe_multiscale(
            name,
            self.layout.axes(probability),
            like.calibration,
            self.layout.paths(probability),
            mean=probability,
            origin=like.origin if isinstance(like, ZarrImage) else {},
        )

    def _failure(self, error: OSError) -> ImageWriteError:
        return ImageWriteError(f"{self.folder}: cannot write the image: {error.strerror or error}")


def _below(multiscale: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return the metadata with paths as they are seen from `folder`."""
    datasets = [level | {"path": level["path"].removeprefix(folder)} for level in multiscale["datasets"]]
    return multiscale | {"datasets": datasets}


def _display(names: Sequence[str], top: int) -> dict[str, Any]:
    window = {"min": 0, "max": top, "start": 0, "end": top}
    colours = ["FFFFFF"] if len(names) == 1 else [_hex(rgb) for rgb in _cycle(len(names))]
    return {
        "channels": [
            {"label": name, "color": colour, "active": True, "window": window}
            for name, colour in zip(names, colours, strict=True)
        ]
    }


def _colours(classes: int) -> list[dict[str, Any]]:
    """Return colours of the classes; class 0 is see-through."""
    return [
        {"label-value": value, "rgba": [*rgb, 255 if value else 0]}
        for value, rgb in enumerate(_cycle(classes))
    ]


def _cycle(count: int) -> list[tuple[int, int, int]]:
    return [_COLOURS[0], *(_COLOURS[1 + i % (len(_COLOURS) - 1)] for i in range(count - 1))]


def _hex(rgb: tuple[int, int, int]) -> str:
    return "".join(f"{value:02X}" for value in (rgb if any(rgb) else (128, 128, 128)))


def _blocks(shape: tuple[int, ...], block: tuple[int, int]) -> Iterator[tuple[tuple[int, ...], slice, slice]]:
    """Yield the index of each plane of an array and the rows and columns of each block of it."""
    height, width = shape[-2:]
    for lead in np.ndindex(*shape[:-2]):
        for y in range(0, height, block[0]):
            for x in range(0, width, block[1]):
                yield lead, slice(y, min(y + block[0], height)), slice(x, min(x + block[1], width))


def _halved(pixels: npt.NDArray[Any], mean: bool) -> npt.NDArray[Any]:
    """Halve both axes: means of two by two pixels (at an odd end of those there are), or the first."""
    if not mean:
        return pixels[::2, ::2]
    height, width = pixels.shape
    even = np.pad(pixels, ((0, height % 2), (0, width % 2)), mode="edge").astype(np.float32, copy=False)
    sums = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    halved: npt.NDArray[Any] = sums * np.float32(0.25)
    return halved
