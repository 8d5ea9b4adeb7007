"""Second opinions about pixels: what other readers make of the same file.

A difference is reported where the other reader neither fails nor warns.
"""

import gc
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
import zarr
from PIL import Image as Picture

from unet2015.images.image import Image

_MIN_IS_WHITE, _PALETTE, _JPEG = 0, 3, 7
_ALPHA = (1, 2)


class DoubtError(Exception):
    """The other reader fails, warns, or cannot read this kind."""


def difference(path: Path, image: Image) -> str:
    """Return how the pixels of an open image differ from what others read; empty where they do not."""
    pixels = np.stack([image.read(i, 0, image.height, 0, image.width) for i in range(image.pages)])
    axes = image.page_axes + ("C" if "C" in image.axes else "") + "YX"
    ours = pixels.reshape(tuple(image.size(letter) for letter in axes))
    readers = {"zarr": _zarr} if path.is_dir() else {"tifffile": _tifffile, "libtiff": _libtiff}
    if not path.is_dir() and path.read_bytes()[:4] == b"\x89PNG":
        readers = {"Pillow": _pillow}
    for name, reader in readers.items():
        try:
            with warnings.catch_warnings(), _quiet_tifffile():
                warnings.simplefilter("error")
                theirs, letters, least = reader(path, image)
        except Exception:
            _close_what_is_left()
            continue
        found = _compared(ours, axes, theirs, letters, least)
        if found:
            return f"{name}: {found}"
    return ""


def _close_what_is_left() -> None:
    """Free files that a reader left open when it failed: a later warning would not say whose they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _compared(ours: np.ndarray, axes: str, theirs: np.ndarray, letters: str, least: float) -> str:
    """Return how two readings differ by more than `least`; axes of length 1 do not count."""
    keep = [i for i, n in enumerate(ours.shape) if n > 1]
    ours, axes = ours.squeeze(), "".join(axes[i] for i in keep)
    keep = [i for i, n in enumerate(theirs.shape) if n > 1]
    theirs, letters = theirs.squeeze(), "".join(letters[i] for i in keep)
    if set(axes) == set(letters) and len(letters) == len(axes):
        theirs = theirs.transpose([letters.index(letter) for letter in axes])
    elif "C" in letters and letters[-1] == "C":  # samples come last, and are a part of other axes here
        theirs = np.moveaxis(theirs, -1, max(0, theirs.ndim - 3))
    if ours.size != theirs.size:
        return f"another shape: {axes} {ours.shape} here, {letters} {theirs.shape} there"
    a, b = (one.ravel().astype(np.float64) for one in (ours, theirs))
    if ours.dtype.kind == "b" or np.array_equal(a, b, equal_nan=True):
        return ""
    worst = float(np.nanmax(np.abs(a - b)))
    if worst <= least:
        return ""
    return f"{np.mean(a != b):.0%} of the pixels differ, by up to {worst:g} ({axes} here, {letters} there)"


def _tifffile(path: Path, image: Image) -> tuple[np.ndarray, str, float]:
    if any(one.is_fifo() for one in path.parent.iterdir()):  # it would wait for a writer
        raise DoubtError
    with tifffile.TiffFile(path) as tif:
        if len(tif.series) != 1 or len({page.aspage().photometric for page in tif.pages}) > 1:
            raise DoubtError
        series = tif.series[0]
        if 270 in tif.pages[0].tags and not tif.pages[0].description:  # tifffile takes no bytes for text
            raise DoubtError
        if tif.is_imagej and series.size != image.pages * image.channels * image.height * image.width:
            raise DoubtError  # tifffile does not count by "images"
        letters = series.get_axes(squeeze=False)
        array = series.asarray(squeeze=False)
        first = tif.pages[0]
        letters = letters.replace("C", "c") if "S" in letters and image.channels == 1 else letters
        array = _as_shown(array, first, letters.find("S"), image)
        if "S" not in letters:
            array, letters = _coloured(array, letters, first, image)
    if "S" in letters and "C" in letters:  # both are channels: one axis in the product
        s, c = letters.index("S"), letters.index("C")
        array = np.moveaxis(array, s, c + 1)
        letters = letters.replace("S", "")
        shape = [*array.shape[: letters.index("C")], -1, *array.shape[letters.index("C") + 2 :]]
        array = array.reshape(shape)
    return array, letters.replace("S", "C").replace("Q", "I"), 0.0


def _libtiff(path: Path, image: Image) -> tuple[np.ndarray, str, float]:
    with tifffile.TiffFile(path) as tif:
        pages = [tif.pages.get(i) for i in range(len(tif.pages))]
        first = pages[0]
        if {273, 324} <= set(first.tags.keys()):  # strips and tiles at once
            raise DoubtError
        if len({page.aspage().photometric for page in pages}) > 1:
            raise DoubtError
        if tif.is_ome or first.planarconfig != 1:
            raise DoubtError
        jpeg = _JPEG in {page.compression for page in pages}
        if jpeg and first.photometric == _MIN_IS_WHITE:  # of these, imagecodecs inverts some by itself
            raise DoubtError
        least = 3.0 if jpeg else 0.0
    data = path.read_bytes()
    array = np.stack([np.asarray(imagecodecs.tiff_decode(data, index=i)) for i in range(len(pages))])
    letters = "I" + ("YXC" if array.ndim == 4 else "YX")
    array = _as_shown(array, first, letters.find("C"), image)
    if array.ndim == 3:
        array, letters = _coloured(array, letters, first, image)
    if image.pages != len(pages):  # planes after the first directory
        raise DoubtError
    array = np.moveaxis(array, -1, 1) if array.ndim == 4 else array
    return array, letters.replace("YXC", "CYX"), least


def _as_shown(array: np.ndarray, first: Any, samples: int, image: Image) -> np.ndarray:
    """Return intensities: where 0 is white they are inverted, and opaque alpha is left out."""
    if samples >= 0 and array.shape[samples] > 1 and first.extrasamples and first.extrasamples[-1] in _ALPHA:
        alpha = np.take(array, -1, samples)
        opaque = (alpha == np.iinfo(array.dtype).max).all() if array.dtype.kind == "u" else False
        if image.channels < array.shape[samples] and opaque:
            array = np.take(array, range(array.shape[samples] - 1), samples)
    if first.photometric == _MIN_IS_WHITE and not first.is_imagej:
        if array.dtype.kind == "b":
            return ~array
        if array.dtype.kind == "u":
            return (2**first.bitspersample - 1) - array
    return array


def _coloured(array: np.ndarray, letters: str, first: Any, image: Image) -> tuple[np.ndarray, str]:
    """Return the colours of indices where the image says that it reads them, and not the indices."""
    if first.photometric != _PALETTE or not any("palette" in note for note in image.notes):
        return array, letters
    table = np.asarray(first.colormap)
    table = table >> 8 if table.max() > 255 else table
    colours = np.moveaxis(table[:, array], 0, -1)
    if (table == table[:1]).all():
        return colours[..., 0], letters
    return colours, f"{letters}C"


def _pillow(path: Path, image: Image) -> tuple[np.ndarray, str, float]:
    with Picture.open(path) as picture:
        if picture.mode == "P":
            raise DoubtError
        array = np.array(picture)
    if array.ndim == 3 and array.shape[-1] in (2, 4):
        array = array[..., :-1]
        array = array[..., 0] if array.shape[-1] == 1 else array
    if array.dtype == np.uint8 and image.dtype == np.uint16:  # Pillow keeps the upper half of colours
        raise DoubtError
    return array, "YXC" if array.ndim == 3 else "YX", 0.0


def _zarr(path: Path, image: Image) -> tuple[np.ndarray, str, float]:
    attributes = zarr.open_group(path, mode="r").attrs.asdict()
    metadata = attributes.get("ome", attributes)["multiscales"][0]
    array = zarr.open_array(path / metadata["datasets"][0]["path"], mode="r")[...]
    return np.asarray(array), "".join(axis["name"].upper() for axis in metadata["axes"]), 0.0


@contextmanager
def _quiet_tifffile() -> Iterator[None]:
    """Let what tifffile logs as a warning or an error be an exception."""
    logger = logging.getLogger("tifffile")

    class Raise(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise DoubtError(record.getMessage())

    handler = Raise(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
