"""Segmentations as OME-Zarr 0.5 in a folder: class map as labels, probabilities as the image.

The layout::

    OUT.zarr/                  the image: the probability map where there is one, else the class map
      0, 1, ...                probabilities at full resolution, and halved again and again (means)
      labels/classes/          the class map as a label image
        0, 1, ...              classes at full resolution, and every second pixel, again and again

A label image must belong to an image. If there is no probability map, the metadata of the image name the
arrays of the class map, so that viewers show something and nothing is stored twice.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import ImageWriteError
from unet2015.images.image import Image
from unet2015.images.ngff_description import WRITTEN, describe_multiscale
from unet2015.images.zarr_group import zarr_library
from unet2015.images.zarr_layout import ZarrLayout, ZarrMap
from unet2015.images.zarr_levels import Block, Each, Shard, blocks, shards_below
from unet2015.images.zarr_store import plain_store
from unet2015.safe_files import flush_all

_COLOURS = ((0, 0, 0), (255, 196, 0), (0, 158, 255), (230, 0, 92), (0, 200, 120), (160, 90, 255))


class ZarrSegmentation:
    """The arrays of a segmentation, in a folder that is moved to its path when they are complete.

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

    def create(self, like: Image) -> None:
        """Make groups, arrays and metadata; pixels that are there stay.

        Metadata that are there may be damaged, so they are made anew.

        Parameters
        ----------
        like : Image
            The image that was segmented: its calibration and, from OME-Zarr, where it lies.

        Raises
        ------
        ImageWriteError
            They cannot be written.
        """
        try:
            paths = (path for item in self.layout.maps for path in self.layout.paths(item.name))
            for place in ("", "labels", *(item.folder for item in self.layout.maps), *paths):
                (self.folder / place / "zarr.json").unlink(missing_ok=True)
            root = zarr_library().open_group(plain_store()(self.folder), mode="a", zarr_format=3)
            labels = root.require_group("labels")
            found = [item for item in self.layout.maps if item.label]
            for item in found:
                self._create_label(root, labels.require_group(item.name), item, like)
            labels.attrs["ome"] = {"version": WRITTEN, "labels": [item.name for item in found]}
            # Without an image of its own the group describes its first label image.
            described = self._describe(found[0], like)
            names: tuple[str, ...] = ("class",) if found[0].names else (found[0].title,)
            top = max(1, len(found[0].names) - 1 if found[0].names else found[0].largest)
            for item in self.layout.maps:
                if not item.label:
                    self._create_arrays(root, item)
                    described, names, top = self._describe(item, like), item.names, 1
            shown = _display(names, top)
            root.attrs["ome"] = {"version": WRITTEN, "multiscales": [described], "omero": shown}
        except OSError as error:
            raise self._failure(error) from error

    def add_label(self, like: Image) -> None:
        """Make the label image of this layout beside those that are there; `like` as for `create`."""
        (item,) = self.layout.maps
        root = zarr_library().open_group(plain_store()(self.folder), mode="r+", zarr_format=3)
        labels = root["labels"]
        self._create_label(root, labels.require_group(item.name), item, like)
        names = [name for name in labels.attrs["ome"]["labels"] if name != item.name]
        labels.attrs["ome"] = {"version": WRITTEN, "labels": [*names, item.name]}

    def write(self, page: int, top: int, rows: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write a band: rows of a page over the whole width, from row `top` on.

        Parameters
        ----------
        page, top : int
            `top` is a multiple of the layout's band.
        rows : mapping
            For each map, by name, its pixels: shape (rows, width), or (channels, rows, width).

        Raises
        ------
        ImageWriteError
            It cannot be written.
        """
        assert top % self.layout.band == 0
        try:
            for item in self.layout.maps:
                pixels = rows[item.name]
                where = slice(top, top + pixels.shape[-2])
                array = self._array(self.layout.paths(item.name)[0])
                array[(*self.layout.place(item.name, page), where, slice(None))] = pixels
            height = next(iter(rows.values())).shape[-2]
            for path in self.layout.files(page, top, top + height):
                if not (self.folder / path).exists():
                    raise ImageWriteError(f"{self.folder / path}: has gone while it was written; run again")
        except OSError as error:
            raise self._failure(error) from error

    def make_levels(self, each: Each | None = None) -> None:
        """Make the lower resolutions of the full one, a shard in memory at a time.

        What a killed run has made of them goes: zarr reads a file that it writes a part of, and this one may
        be damaged.

        Parameters
        ----------
        each : callable, optional
            Makes what can be made apart, in processes that see the folder. Default: all is made here.

        Raises
        ------
        ImageWriteError
            They cannot be written.
        """
        try:
            for path in (path for item in self.layout.maps for path in self.layout.paths(item.name)[1:]):
                with suppress(FileNotFoundError):
                    shutil.rmtree(self.folder / path / "c")
        except OSError as error:
            raise self._failure(error) from error
        apart = [] if each is None else blocks(self.layout)
        if each is not None and apart:
            each(partial(_make_block, self.folder, self.layout), apart)
        self.halve(shards_below(self.layout, apart[0].depth if apart else 0))

    def halve(self, shards: Iterable[Shard]) -> None:
        """Make shards, each of what there is of the next finer level.

        Raises
        ------
        ImageWriteError
            They cannot be written.
        """
        try:
            for shard in shards:
                fine, coarse = self.layout.paths(shard.name)[shard.level - 1 : shard.level + 1]
                plane, rows, columns = shard.region(self.layout)
                twice = (slice(2 * s.start, 2 * s.stop) for s in (rows, columns))
                pixels = self._array(fine)[(*plane, *twice)]
                mean = not self.layout.by_name[shard.name].label
                self._array(coarse)[(*plane, rows, columns)] = _halved(pixels, mean)
        except OSError as error:
            raise self._failure(error) from error

    def _array(self, path: str) -> Any:
        if path not in self._open:
            opened = zarr_library().open_array(plain_store()(self.folder / path), mode="r+")
            # Zeros are written, too: a file that is not there has been lost. (`open_array` does not obey it.)
            self._open[path] = opened.with_config({"write_empty_chunks": True})
        return self._open[path]

    def _create_label(self, root: Any, group: Any, item: ZarrMap, like: Image) -> None:
        self._create_arrays(root, item)
        # Where properties are there, OME-Zarr wants one at least; instance labels have none.
        named = [{"label-value": i, "name": name} for i, name in enumerate(item.names)]
        label = {
            "colors": _colours(len(item.names)),
            **({"properties": named} if named else {}),
            "source": {"image": "../../"},
        }
        group.attrs["ome"] = {
            "version": WRITTEN,
            "multiscales": [_below(self._describe(item, like), item.folder)],
            "image-label": label,
        }

    def _create_arrays(self, root: Any, item: ZarrMap) -> None:
        from zarr.codecs import ZstdCodec

        layout, dtype = self.layout, np.dtype(item.dtype)
        axes = layout.axes(item.name)
        lead = (1,) * (len(axes) - 2)
        chunks, shards = (*lead, *layout.chunk), (*lead, *layout.shard)
        for level, path in enumerate(layout.paths(item.name)):
            root.create_array(
                path,
                shape=layout.shape(item.name, level),
                dtype=dtype,
                chunks=chunks,
                shards=None if shards == chunks else shards,
                fill_value=0,
                # Deeper levels gain nothing on the noise of floats; a checksum tells damaged chunks.
                compressors=ZstdCodec(level=1 if dtype.kind == "f" else 3, checksum=True),
                dimension_names=[letter.lower() for letter in axes],
            )

    def _describe(self, item: ZarrMap, like: Image) -> dict[str, Any]:
        return describe_multiscale(
            item.title,
            self.layout.axes(item.name),
            like.calibration,
            self.layout.paths(item.name),
            mean=not item.label,
            origin=like.origin,
        )

    def _failure(self, error: OSError) -> ImageWriteError:
        return ImageWriteError(f"{self.folder}: cannot write the image: {error.strerror or error}")


def _below(multiscale: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return the metadata with paths relative to `folder`."""
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


def _make_block(folder: Path, layout: ZarrLayout, block: Block) -> None:
    """Make the lower resolutions of a block, and flush them to the disk of the machine that writes them."""
    shards = list(block.shards(layout))
    ZarrSegmentation(folder, layout).halve(shards)
    try:
        flush_all(folder / shard.path(layout) for shard in shards)
    except OSError as error:
        raise ImageWriteError(f"{folder}: cannot write the image: {error.strerror or error}") from error


def _halved(pixels: npt.NDArray[Any], mean: bool) -> npt.NDArray[Any]:
    """Halve both axes: means of 2 x 2 pixels (at an odd end of fewer), or the first of them."""
    if not mean:
        return pixels[::2, ::2]
    height, width = pixels.shape
    even = np.pad(pixels, ((0, height % 2), (0, width % 2)), mode="edge").astype(np.float32, copy=False)
    sums = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    halved: npt.NDArray[Any] = sums * np.float32(0.25)
    return halved
