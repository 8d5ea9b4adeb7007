"""The image file directories of a TIFF: found, checked against the file's size, made into planes."""

import logging
import math
import struct
from array import array
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from unet2015.errors import ImageReadError
from unet2015.images.descriptions import read_descriptions
from unet2015.images.ome_metadata import is_ome
from unet2015.images.predictors import predictor_notes
from unet2015.images.repeated import Directories
from unet2015.images.sparse import absent
from unet2015.images.unreferenced import Referenced
from unet2015.images.unused_pages import describe_inside, without_unused
from unet2015.safe_files import open_regular
from unet2015.wording import reason

# tifffile reports through logging what is an error here; without a handler it would go to stderr.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_MOST = 2**20
"""Directories that are read: they take some 800 MiB."""

_EXPANSION = {1: 4, 5: 4096, 8: 1032, 32946: 1032, 32773: 64}
"""How many bytes one can become at most, by compression: none (subsampled colour), LZW, deflate (two codes),
PackBits. Deflate: https://zlib.net/zlib_tech.html."""

_ANY_EXPANSION, _SMALL = 2**16, 2**28
"""The same for other compressions; and how many bytes a blank image may have, however few it is made from."""

_QUICK = 2**21
"""Bytes of a tile that are read again rather than kept."""


@dataclass(frozen=True, eq=False, slots=True)
class Plane:
    """Where the pixels of one directory lie, and how to decode them.

    A plane consists of segments: strips, or tiles, one set for each separate sample.

    Attributes
    ----------
    page : tifffile.TiffPage
        The directory that knows how to decode a segment.
    offsets, counts : numpy.ndarray of int64
        First byte and number of bytes of each segment.
    rows, columns : int
        Size of a segment.
    raw : bool
        Segments are strips of pixels without compression, in the file's byte order.
    """

    page: Any
    offsets: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    rows: int
    columns: int
    raw: bool

    @property
    def down(self) -> int:
        """Segments from top to bottom."""
        return -(-int(self.page.imagelength) // self.rows)

    @property
    def across(self) -> int:
        """Segments from left to right."""
        return -(-int(self.page.imagewidth) // self.columns)

    @property
    def separate(self) -> bool:
        """Whether each sample has segments of its own."""
        return bool(self.page.planarconfig == 2 and self.page.samplesperpixel > 1)

    @property
    def segments(self) -> int:
        """How many strips or tiles its pixels take."""
        return self.down * self.across * (int(self.page.samplesperpixel) if self.separate else 1)

    @property
    def row_bytes(self) -> int:
        """Bytes of a full row, if `raw`."""
        samples = 1 if self.separate else self.page.samplesperpixel
        return int(self.page.imagewidth * samples * self.page.dtype.itemsize)

    @property
    def copied(self) -> bool:
        """Whether to decode a segment is only to copy it: a tile without compression, not a large one."""
        page, size = self.page, self.page.dtype.itemsize
        return bool(
            page.is_tiled
            and page.compression == page.predictor == 1
            and page.bitspersample == 8 * size
            and self.rows * self.columns * (1 if self.separate else page.samplesperpixel) * size <= _QUICK
        )


def page_key(page: Any) -> tuple[Any, ...]:
    """Return what all planes of an image must share."""
    return (
        *(page.imagelength, page.imagewidth, page.samplesperpixel, page.planarconfig, page.dtype),
        page.bitspersample,
    )


def read_directories(tif: Any, name: str) -> tuple[list[Any], Referenced, tuple[str, ...]]:
    """Return a `TiffPage` or `RepeatedPage` for each directory, without thumbnails and masks.

    With them come what all directories take of the file, and notes.

    Raises
    ------
    ImageReadError
        The chain of directories leaves the file, ends in the middle, comes back to an earlier one, or is
        too long; or a part of a directory is lost.
    """
    found = Directories(tif, name)
    places = array("Q", _chain(tif, name))  # all are counted before the first is read
    pages = [found.page(index, offset) for index, offset in enumerate(places)]
    notes = (*found.notes(), *predictor_notes(pages))
    if any(map(is_ome, read_descriptions(pages[0])[:1])):  # which counts all of them
        return pages, found.referenced, notes + describe_inside(pages[0], name)
    kept, more = without_unused(pages)
    return kept, found.referenced, notes + more + describe_inside(kept[0], name)


def _chain(tif: Any, name: str) -> Iterator[int]:
    """Yield the position of each directory."""
    handle, layout, size = tif.filehandle, tif.tiff, tif.filehandle.size
    pointer = 8 if layout.offsetsize == 8 else 4
    seen: set[int] = set()
    used = 0
    while True:
        handle.seek(pointer)
        (offset,) = struct.unpack(layout.offsetformat, handle.read(layout.offsetsize))
        if offset == 0:
            break
        if offset in seen:
            raise ImageReadError(f"{name}: directory {len(seen)} of the TIFF is one of those before it")
        seen.add(offset)
        if len(seen) > _MOST:
            raise ImageReadError(
                f"{name}: the TIFF has more than {_MOST} directories, too many to be held in memory; save it "
                "as OME-Zarr, or in several files"
            )
        entries = None
        if offset + layout.tagnosize <= size:
            handle.seek(offset)
            (entries,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
            pointer = offset + layout.tagnosize + entries * layout.tagsize
            used += pointer - offset
        if used > size:
            raise ImageReadError(f"{name}: directory {len(seen) - 1} of the TIFF overlaps others before it")
        if entries is None or pointer + layout.offsetsize > size:
            raise ImageReadError(
                f"{name}: expected directory {len(seen) - 1} of the TIFF at byte {offset}, but the file ends "
                f"at byte {size}; it was cut short: copy it again"
            )
        yield offset
    if not seen:
        raise ImageReadError(f"{name}: the TIFF has no image")


def make_plane(page: Any, size: int, name: str) -> Plane:
    """Return the plane of one directory; its bytes are known to lie within the file of `size` bytes.

    Raises
    ------
    ImageReadError
        Segments are missing, too short, or lie outside.
    """
    rows = page.tilelength if page.is_tiled else min(page.rowsperstrip or page.imagelength, page.imagelength)
    columns = page.tilewidth if page.is_tiled else page.imagewidth
    offsets, counts = np.array(page.dataoffsets, np.int64), np.array(page.databytecounts, np.int64)
    raw = (
        not page.is_tiled
        and page.compression == page.predictor == page.fillorder == 1
        and page.bitspersample == page.dtype.itemsize * 8
        and bool((offsets | counts).all())
    )
    if page.compression != 1 and page.parent.is_lsm:  # Zeiss writes the counts of decoded bytes
        counts = np.minimum(counts, np.maximum(size - offsets, 0))
    plane = Plane(page, offsets, counts, int(rows), int(columns), raw)
    where = f"{name}: page {page.index}"
    expected = plane.segments
    if min(len(offsets), len(counts)) < expected:
        raise ImageReadError(
            f"{where}: expected {expected} strips or tiles, but the file lists {len(offsets)}"
        )
    _check_counts(plane, counts[:expected], where)
    # First each by itself: their sum may exceed 64 bits.
    check_end(int(max(offsets[:expected].max(), counts[:expected].max())), size, where)
    first = offsets[:expected][counts[:expected] > 0].min(initial=8)
    check_end(int((offsets + counts)[:expected].max()), size, where, int(first))
    return plane


def _check_counts(plane: Plane, counts: npt.NDArray[np.int64], where: str) -> None:
    """Raise `ImageReadError` if a strip or tile has too few bytes for its pixels.

    So a file that declares more pixels than it can hold is refused before memory is taken for them.
    """
    least = least_counts(plane, len(counts))
    short = np.flatnonzero((counts < least) & ~absent(plane)[: len(counts)])
    if short.size:
        i = int(short[0])
        raise ImageReadError(
            f"{where}: expected {'' if plane.raw else 'at least '}{least[i]} bytes in strip or tile {i}, but "
            f"it has {counts[i]}"
        )


def least_counts(plane: Plane, length: int) -> npt.NDArray[np.int64]:
    """Return the smallest number of bytes that each of so many strips or tiles can have; at most 2**62."""
    page = plane.page
    samples = 1 if plane.separate else page.samplesperpixel
    row = -(-plane.columns * samples * page.bitspersample // 8)
    full = last = _fewest_bytes(plane.rows * row, page.compression, plane.raw)
    if not page.is_tiled:
        rows = page.imagelength - (plane.down - 1) * plane.rows
        last = _fewest_bytes(rows * row, page.compression, plane.raw)
    in_last = np.arange(length) % plane.down == plane.down - 1
    return np.where(in_last, min(last, 2**62), min(full, 2**62)).astype(np.int64)


def _fewest_bytes(pixels: int, compression: int, raw: bool) -> int:
    """Return the smallest number of bytes in a file that can become `pixels` bytes of pixels."""
    if raw:
        return pixels
    if compression in _EXPANSION:
        return max(1, -(-pixels // _EXPANSION[compression]))
    return 1 if pixels <= _SMALL else -(-pixels // _ANY_EXPANSION)


def contiguous_planes(page: Any, planes: int, size: int, name: str) -> list[Plane] | None:
    """Return `planes` planes that lie one after the other from the first directory's pixels on.

    ImageJ writes stacks of more than 4 GB like this, and tifffile "truncated" ones. None if the pixels of
    the first directory cannot go on like this: they are compressed or scattered.

    Raises
    ------
    ImageReadError
        The file ends before the last plane.
    """
    if not page.is_final or page.is_tiled:
        return None
    step = math.prod(page.shape) * page.dtype.itemsize
    start = int(page.dataoffsets[0])
    check_end(start + planes * step, size, f"{name}: {planes} planes are declared", start)
    parts = page.samplesperpixel if page.planarconfig == 2 else 1
    counts = np.full(parts, step // parts, np.int64)
    inner = np.arange(parts, dtype=np.int64) * (step // parts)
    height, width = int(page.imagelength), int(page.imagewidth)
    return [Plane(page, start + i * step + inner, counts, height, width, True) for i in range(planes)]


def check_end(end: int, size: int, what: str, start: int = 8) -> None:
    """Raise `ImageReadError` if pixels end at byte `end` of `size` bytes, or start in the file's header."""
    if start < 8:
        raise ImageReadError(f"{what}: pixels at byte {start} would be the header; the file is damaged")
    if end > size:
        raise ImageReadError(
            f"{what}: expected pixels up to byte {end}, but the file ends at byte {size}; it was cut short: "
            "copy it again"
        )


@contextmanager
def open_tiff(path: Path) -> Iterator[Any]:
    """Yield a `tifffile.TiffFile` of a regular file, or raise `ImageReadError`."""
    stack = ExitStack()
    try:
        tif = stack.enter_context(tifffile.TiffFile(stack.enter_context(open_regular(path))))
    except OSError as error:  # of the file system
        stack.close()
        raise ImageReadError(f"{path}: cannot read the file: {error.strerror or error}") from error
    except Exception as error:  # a damaged header makes tifffile fail in any way
        stack.close()
        raise ImageReadError(
            f"{path}: cannot read the TIFF: {reason(error)}; it is damaged: copy it again"
        ) from error
    with stack:
        yield tif
