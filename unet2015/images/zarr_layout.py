"""Shape and chunks of a segmentation in OME-Zarr: maps of the same pages, each in several resolutions.

Two rows of tiles never share a chunk: chunks and shards begin where rows of tiles begin and end within
them, so that each file is written by one process alone, the one that computed its row of tiles.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from unet2015.errors import UsageError
from unet2015.images.image import Image
from unet2015.images.ngff_description import ordered_axes

SMALLEST_LEVEL = 1024
"""Levels are halved until Y and X are no longer than this."""
_CHUNK, _SHARD = 1024, 4096


@dataclass(frozen=True)
class ZarrMap:
    """One map of a segmentation: the image itself, or a label image that belongs to it.

    Attributes
    ----------
    name : str
        A label image lies in ``labels/NAME``.
    title : str
        What the metadata call it.
    dtype : str
        Of the pixels.
    channels : int or None
        Length of its axis C; None without such an axis.
    label : bool
        Whether it is a label image. Lower resolutions of a label image take every second pixel, those of
        an image means.
    names : tuple of str
        Of a label image what its values 0, 1, ... mean, of an image its channels.
    largest : int
        Of a label image without names: its largest value, up to which viewers show it.
    """

    name: str
    title: str
    dtype: str
    channels: int | None
    label: bool
    names: tuple[str, ...]
    largest: int = 1

    @property
    def folder(self) -> str:
        """Where its arrays lie in the image: empty, or a path that ends in a slash."""
        return f"labels/{self.name}/" if self.label else ""


@dataclass(frozen=True)
class ZarrLayout:
    """Shape and chunks of the arrays of a segmentation: all that a writer of rows needs to know.

    Attributes
    ----------
    page_axes : str
    page_shape : tuple of int
        As the pages are counted.
    height, width : int
        Of a page.
    band : int
        Rows that are written together: those that a row of tiles keeps.
    maps : tuple of ZarrMap
        What is written; one of them at most is no label image.
    """

    page_axes: str
    page_shape: tuple[int, ...]
    height: int
    width: int
    band: int
    maps: tuple[ZarrMap, ...]

    @cached_property
    def by_name(self) -> dict[str, ZarrMap]:
        """The maps by their names."""
        return {item.name: item for item in self.maps}

    def axes(self, name: str) -> str:
        """Return the axes of a map in the order of OME-Zarr."""
        channel = "C" if self.by_name[name].channels else ""
        return ordered_axes(self.page_axes + channel + "YX", "the result")

    def shape(self, name: str, level: int = 0) -> tuple[int, ...]:
        """Return the shape of an array."""
        sizes = dict(zip(self.page_axes, self.page_shape, strict=True))
        sizes |= {"C": self.by_name[name].channels or 1}
        sizes |= {"Y": -(-self.height // 2**level), "X": -(-self.width // 2**level)}
        return tuple(sizes[letter] for letter in self.axes(name))

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

    def place(self, name: str, page: int) -> tuple[Any, ...]:
        """Return the index of a page in a map, all its channels."""
        where: dict[str, Any] = dict(
            zip(self.page_axes, map(int, np.unravel_index(page, self.page_shape)), strict=True)
        )
        return tuple(where.get(letter, slice(None)) for letter in self.axes(name)[:-2])

    def files(self, page: int, top: int, stop: int) -> Iterator[str]:
        """Yield the path, in the image, of each file with rows `top` to `stop` of a page at full resolution.

        `top` is a multiple of `band`. Rows of tiles share no files, so for whole rows of tiles the files have
        nothing else.
        """
        down, across = self.shard
        for item in self.maps:
            lead = zip(self.place(item.name, page), self.shape(item.name), strict=False)
            counts = [range(size) if isinstance(at, slice) else (at,) for at, size in lead]
            rows = range(top // down, -(-stop // down))
            for index in product(*counts, rows, range(-(-self.width // across))):
                yield "/".join([self.paths(item.name)[0], "c", *map(str, index)])

    def paths(self, name: str) -> list[str]:
        """Return the paths of the arrays of a map, full resolution first."""
        return [f"{self.by_name[name].folder}{level}" for level in range(self.levels)]


def plan_layout(image: Image, band: int, maps: Sequence[ZarrMap]) -> ZarrLayout:
    """Return the layout of the segmentation of an image.

    Raises
    ------
    AxesError
        OME-Zarr cannot have these axes.
    UsageError
        Two maps would be the image itself, whose arrays lie at one place.
    """
    images = [item.title for item in maps if not item.label]
    if len(images) > 1:
        raise UsageError(
            f"{image.name}: an OME-Zarr image holds one of {' and '.join(images)}, not both; write TIFF, or "
            "one of them"
        )
    channel = "C" if any(item.channels for item in maps) else ""
    ordered_axes(image.page_axes + channel + "YX", image.name)
    return ZarrLayout(image.page_axes, image.page_shape, image.height, image.width, band, tuple(maps))
