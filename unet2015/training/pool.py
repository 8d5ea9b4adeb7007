"""Many images of which few are open at a time; a change of a file during the training is noticed."""

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.arguments import number_or_name, text
from unet2015.errors import DataSetError, ImageReadError, OutOfMemoryError
from unet2015.images.channel import ChannelImage
from unet2015.images.image import Image
from unet2015.images.reader import open_image
from unet2015.images.view import header_of
from unet2015.memory import process_free
from unet2015.safe_files import Unchanged

OPEN = 64
"""Files open at a time: a process may have 1,024 on most Linux systems, 256 on macOS."""
_MOST_PAGES = 2**24
"""Pages are listed by name."""
KEPT_BYTES = 2**25
"""Bytes of decoded pixels that all open images keep together; those of the image read last always stay."""


@dataclass(frozen=True)
class Reading:
    """How images are read: parameters of `unet2015.images.reader.open_image`."""

    axes: str | None = None
    channel: str | None = None
    scene: str | None = None

    def open(self, path: Path) -> Image:
        """Open an image."""
        return open_image(path, self.axes, channel=self.channel, scene=self.scene)

    @property
    def part(self) -> dict[str, str]:
        """Channel and scene, those that are given, for records."""
        named = {"channel": self.channel, "scene": self.scene}
        return {name: value for name, value in named.items() if value is not None}


def checked_reading(axes: Any, channel: Any, scene: Any) -> Reading:
    """Return how images are read from what a caller gave; raise `ArgumentError` for wrong types."""
    return Reading(
        None if axes is None else text(axes, "axes", "letters of TZCYXI"),
        None if channel is None else number_or_name(channel, "channel"),
        None if scene is None else number_or_name(scene, "scene"),
    )


class PooledImage(Image):
    """An image that its pool opens when it is read; may be read from several threads.

    Once `sha256` was read, each read checks at its end that the file is still the same.

    Attributes
    ----------
    file_axes : str
        The axes with which the file is read; also where one of its channels is used alone.
    channel : int or None
        The number of the channel that is used alone.

    Raises
    ------
    DataSetError
        While reading: the file was changed, replaced or removed since `sha256` was computed.
    """

    def __init__(self, pool: "ImagePool", path: Path, reading: Reading) -> None:
        self._watch = Unchanged(path)
        self._hashed, self._look_again = False, 0.0
        self._pool, self._reading = pool, reading
        with reading.open(path) as image:
            super().__init__(replace(header_of(image), path=path, notes=image.notes))
            alone = image if isinstance(image, ChannelImage) else None
            self.file_axes = image.axes if alone is None else alone.file_axes
            self.channel = None if alone is None else alone.channel
            self._band_rows, self._decoding_bytes = image.band_rows, image.decoding_bytes
            self.origin = image.origin
        self._check_memory()

    def _check_memory(self) -> None:
        """Raise `OutOfMemoryError` if pages cannot be listed, or the parts of the file not be decoded."""
        free = process_free() if self._decoding_bytes else math.inf
        if self.pages > _MOST_PAGES:
            raise OutOfMemoryError(
                f"{self.name}: declares {self.pages} pages, more than the {_MOST_PAGES} that a training set "
                "can have; give only those that are labelled"
            )
        if self._decoding_bytes > free:
            raise OutOfMemoryError(
                f"{self.name}: needs {self._decoding_bytes / 2**30:.1f} GiB for strips, tiles or chunks that "
                f"must be decoded whole, but only {free / 2**30:.1f} GiB are free; save it in smaller ones"
            )

    @property
    def band_rows(self) -> int:
        """How many rows to read at a time."""
        return self._band_rows

    @property
    def decoding_bytes(self) -> int:
        """Extra memory for reading a region."""
        return self._decoding_bytes

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file; a change since the image was made is an `ImageReadError`."""
        digest = self._watch.sha256
        self._hashed = True
        return digest

    def check_unchanged(self) -> None:
        """Raise `ImageReadError` if the file was changed since the image was made."""
        self._watch.check()

    def check_same(self) -> None:
        """Raise `DataSetError`, as reading does, if the file was changed since `sha256` was computed."""
        self._check(now=True)

    def open(self) -> Image:
        """Open the file; type and shape must be the same as before."""
        assert self.path is not None
        image = self._reading.open(self.path)
        if (image.axes, image.shape, image.dtype) != (self.axes, self.shape, self.dtype):
            image.close()
            raise DataSetError(
                f"{self.name}: expected {self.dtype} of shape {self.shape} ({self.axes}) as before, but it "
                f"is {image.dtype} of shape {image.shape} ({image.axes}) now; run again when it is complete"
            )
        return image

    def _read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[Any]:
        try:
            with self._pool.lent(self) as image:
                pixels = image.read(page, y0, y1, x0, x1)
        except Exception:  # a file half written fails in any way
            self._check(now=True)
            raise
        self._check()
        return pixels

    def uncovered(self, page: int, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[np.bool_] | None:
        """Return which pixels of a region hold no image, as the file says it."""
        with self._pool.lent(self) as image:
            return image.uncovered(page, y0, y1, x0, x1)

    def _check(self, *, now: bool = False) -> None:
        if not self._hashed or (monotonic() < self._look_again and not now):
            return
        assert self.path is not None
        started = monotonic()
        try:
            self._watch.check()
        except ImageReadError as error:
            raise DataSetError(
                f"{self.name}: the file was changed or replaced since the training began, so training cannot "
                "go on; restore the file and resume, or begin a new training"
            ) from error
        if self.path.is_dir():  # with very many files: spend a tenth of the time on this at most
            self._look_again = monotonic() + 10 * (monotonic() - started)


@dataclass
class _Opened:
    image: Image
    readers: int = 0


class ImagePool:
    """Opens images when they are read, and closes those not read for longest.

    Parameters
    ----------
    most : int
        Files open at a time, not counting those that are being read.
    kept_bytes : int
        Bytes of decoded pixels that they keep together; those of the image read last always stay.
    """

    def __init__(self, most: int = OPEN, kept_bytes: int = KEPT_BYTES) -> None:
        self._most, self._kept_bytes = most, kept_bytes
        self._opened: OrderedDict[PooledImage, _Opened] = OrderedDict()  # the one read last at the end
        self._lock = threading.Lock()

    def add(self, path: str | Path, reading: Reading | None = None) -> PooledImage:
        """Return an image that can be read at any time; raises the errors of `open_image`."""
        return PooledImage(self, Path(path), reading or Reading())

    @contextmanager
    def lent(self, image: PooledImage) -> Iterator[Image]:
        """Yield the opened image, which stays open while the body runs."""
        with self._lock:
            opened = self._opened.get(image)
            if opened is None:
                self._shrink(self._most - 1)
                opened = self._opened[image] = _Opened(image.open())
            self._opened.move_to_end(image)
            opened.readers += 1
        try:
            yield opened.image
        finally:
            with self._lock:
                opened.readers -= 1
                self._shrink(self._most)

    def close(self) -> None:
        """Close all files; reading opens them again."""
        with self._lock:
            self._shrink(0)

    def _shrink(self, most: int) -> None:
        """Close files above the limit that nobody reads, and free pixels, the oldest first."""
        idle = [image for image, opened in self._opened.items() if not opened.readers]
        for image in idle[: max(0, len(self._opened) - most)]:
            self._opened.pop(image).image.close()
        kept = {image: opened.image.kept_bytes for image, opened in self._opened.items()}
        total = sum(kept.values())
        for image in list(kept)[:-1]:
            if total <= self._kept_bytes:
                break
            if not self._opened[image].readers:
                self._opened[image].image.forget()
                total -= kept[image]
