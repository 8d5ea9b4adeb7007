"""How much of a page is worked on at a time, and what finding and measuring its objects takes.

Results do not depend on it, so strips are smaller, and fewer runs are kept, where a memory cap asks for it.
"""

from dataclasses import dataclass, replace

from unet2015.errors import MemoryLimitError
from unet2015.objects.hulls import ROW_BYTES
from unet2015.objects.measures import HULL_BYTES

STRIP_PIXELS = 2**20
"""Pixels of a strip."""
KEPT = 2**22
"""Runs that are kept for the second pass over an image: at most 32 MiB. Strips beyond are labelled again."""
PIXEL_BYTES, CHANNEL_BYTES = 160, 8
"""For each pixel of a strip: its runs, labels and sums, and an intensity. A checkerboard takes as much, noise
and cells a third."""
PART_BYTES = 400
"""For each connected part of objects or background of a page, while they are joined: noise takes as much."""
HELD_BYTES = 16
"""For each part of the pages before."""
_LEAST = 2**16
"""Pixels of a strip under a tight cap; one row at least."""
_MIB = 2**20
_VARIES = 64 * _MIB
"""What a process has varies by less from run to run, and with the tiles of another cap."""


def strip_rows(height: int, width: int, most: int | None = None) -> int:
    """Return the rows of a strip, which has at most so many pixels, if it has more than a row."""
    return max(1, min(height, (STRIP_PIXELS if most is None else most) // width))


def object_bytes(channels: int) -> int:
    """Return the memory of an object: its numbers, and its row of the table. Measured with five million."""
    return 400 + 56 * channels


@dataclass(frozen=True)
class Strips:
    """How much of a page is worked on at a time.

    Attributes
    ----------
    rows : int
        Of a strip.
    kept : int
        How many runs of pixels are kept, so that their strips need not be labelled again.
    size : int
        Bytes that this takes at most, with the convex hulls; parts and objects come on top. Dividing a large
        object has a limit of its own.
    """

    rows: int
    kept: int
    size: int

    @classmethod
    def within(cls, shape: tuple[int, int, int], channels: int = 2, room: int | None = None) -> "Strips":
        """Return the usual strips of an image or, where so many bytes do not hold them, smaller ones.

        The smallest may need more than there is. `shape` are pages, height and width; each of the intensities
        is one of the channels.
        """
        pages, height, width = shape
        pixels = height * width
        hulls = min(HULL_BYTES, ROW_BYTES * pixels // 2)
        rows, kept = strip_rows(height, width), min(KEPT, pages * pixels)
        while True:
            strip = (PIXEL_BYTES + CHANNEL_BYTES * channels) * rows * width
            size = strip + 8 * kept + hulls
            lowest = strip_rows(height, width, _LEAST)
            least = rows <= lowest
            if room is None or size <= room or (least and not kept):
                return cls(rows, kept, size)
            rows = rows if least else max(rows // 2, lowest)
            kept = kept // 2 if kept > _LEAST else 0


@dataclass(frozen=True)
class Room:
    """What a memory cap leaves for the parts and objects of an image.

    Attributes
    ----------
    name : str
        Of the image.
    cap : int
        The cap in bytes.
    free : int
        Bytes of it that neither the process has nor strips take.
    channels : int
        How many intensities of each object are measured.
    pages : int
        Of the image.
    growth : int
        Bytes that strips take more where a larger cap allows it.
    page, parts, objects : int
        How many pages came before, with so many parts and objects.
    """

    name: str
    cap: int
    free: int
    channels: int
    pages: int = 1
    growth: int = 0
    page: int = 0
    parts: int = 0
    objects: int = 0

    def left(self, parts: int) -> int:
        """Return what is left beside the parts of a page while they are joined; below 0: they do not fit."""
        return self.free - HELD_BYTES * self.parts - PART_BYTES * parts

    def check_parts(self, parts: int, objects: int) -> None:
        """Raise `MemoryLimitError` unless parts of a page can be joined; `objects` of them may be objects."""
        if self.left(parts) < 0:
            what = f"page {self.page} has {parts} connected parts of objects and background"
            raise self._error(f"{what}, which take {_mib(PART_BYTES * parts)} MiB", parts, objects)

    def check_division(self, place: str, size: int, parts: int) -> None:
        """Raise `MemoryLimitError` unless an object can be divided beside the parts of its page."""
        if size > (left := self.left(parts)):
            enough = _mib(self.cap - left + size + self.growth + _VARIES)
            raise MemoryLimitError(
                f"{self.name}: the object in {place} of page {self.page} has several markers; dividing it "
                f"takes {_mib(size)} MiB, but a memory cap of {_mib(self.cap)} MiB leaves "
                f"{_mib(max(left, 0))} MiB; give --max-memory {enough}M or more, or leave out the markers "
                "(--split none)"
            )

    def after(self, parts: int, objects: int) -> "Room":
        """Return what is left for the next page after one with so many parts and objects.

        Raises
        ------
        MemoryLimitError
            The objects of the pages so far cannot be measured.
        """
        after = replace(self, page=self.page + 1, parts=self.parts + parts, objects=self.objects + objects)
        needed = self._measuring(after.parts, after.objects)
        if needed > self.free:
            raise self._error(
                f"there are {after.objects} objects, which take {_mib(needed)} MiB", parts, objects
            )
        return after

    def _measuring(self, parts: int, objects: int) -> int:
        return object_bytes(self.channels) * objects + HELD_BYTES * parts

    def _error(self, what: str, parts: int, objects: int) -> MemoryLimitError:
        """Return the error that names a cap for all pages, if those to come have no more than this one."""
        more = self.pages - self.page
        joined = PART_BYTES * parts + HELD_BYTES * (self.parts + (more - 1) * parts)
        needed = max(joined, self._measuring(self.parts + more * parts, self.objects + more * objects))
        enough = _mib(self.cap - self.free + needed + self.growth + _VARIES)
        return MemoryLimitError(
            f"{self.name}: a memory cap of {_mib(self.cap)} MiB is too small: {what}; where these are noise, "
            f"see whether threshold and model are right, else give --max-memory {enough}M or more"
            + ", if the pages to come have no more"
            * (more > 1)
        )


def _mib(size: int) -> int:
    return -(-size // _MIB)
