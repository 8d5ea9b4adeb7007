"""Directories that say the same as an earlier one but for where the pixels lie, held in little memory.

A stack has a directory for each page: 100,000 of them are common, and a `tifffile.TiffPage` takes 150
microseconds and 4 KiB. Here only the first of equal ones is made; the others keep two lists of numbers.
"""

import struct
from collections.abc import Iterator
from typing import Any

import tifffile

from unet2015.errors import ImageReadError
from unet2015.images.entries import check_entries
from unet2015.images.unreferenced import ELSEWHERE, Referenced
from unet2015.wording import pages_listed

_OFFSETS, _COUNTS = (273, 324), (279, 325)  # of strips, of tiles
RESOLUTION = (282, 283, 296)
"""XResolution, YResolution, ResolutionUnit."""
_RELEVANT = frozenset(
    (
        *(254, 255, 256, 257, 258, 259, 262, 266, 274, 277, 278, 284, 317, 320, 322, 323, 332, 338, 339, 347),
        *(512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 532, 32996, 32997, 32998),
        *(42112, 42113, 50674),
        *(292, 293),  # of fax compressions
        *RESOLUTION,
    )
)
"""Tags that decide what the pixels are, how they are decoded, and how large they are, and GDAL's. What other
makers write is about the whole image, and counts in the first directory."""
_EER, _OF_EER = frozenset((65000, 65001, 65002)), frozenset((65007, 65008, 65009))
"""Compressions of EER, and the tags that their decoder needs."""

_FORMATS = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SIZES = {
    **dict.fromkeys((1, 2, 6, 7), 1),
    **dict.fromkeys((3, 8), 2),
    **dict.fromkeys((4, 9, 11, 13), 4),
    **dict.fromkeys((5, 10, 12, 16, 17, 18), 8),
}
_LONGEST = 4096
"""Bytes of a value that is compared; a directory with a longer one is always made."""
_MOST_KNOWN = 4096
MORE_LISTED = (
    "the file lists more strips or tiles than a page of this size has; those left over are not read: look "
    "whether width and length are right"
)
"""What is said of pages with more strips or tiles than they need."""


class RepeatedPage:
    """A directory like an earlier one: all but the following is that one's.

    Attributes
    ----------
    first : tifffile.TiffPage
        The earlier one.
    index : int
        Number of this directory.
    dataoffsets, databytecounts : tuple of int
        Of its strips or tiles.
    """

    __slots__ = ("databytecounts", "dataoffsets", "first", "index")

    def __init__(self, first: Any, index: int, offsets: tuple[int, ...], counts: tuple[int, ...]) -> None:
        self.first, self.index = first, index
        self.dataoffsets, self.databytecounts = offsets, counts

    def __getattr__(self, name: str) -> Any:
        return getattr(self.first, name)


def first_of(page: Any) -> Any:
    """Return the page that a `RepeatedPage` is like, or a `tifffile.TiffPage` itself."""
    return page.first if isinstance(page, RepeatedPage) else page


class Directories:
    """Reads the directories of an open TIFF.

    Parameters
    ----------
    tif : tifffile.TiffFile
        The file.
    name : str
        It, for messages.

    Attributes
    ----------
    referenced : Referenced
        What the directories that were read take of the file.
    """

    def __init__(self, tif: Any, name: str) -> None:
        self._tif, self._name = tif, name
        self._known: dict[Any, Any] = {}
        self._unordered: list[int] = []
        self._more: list[int] = []  # those with more strips or tiles than they need
        self.referenced = Referenced()
        self._listed = self._outside = 0  # bytes of lists of segments; of all values of what is made

    def page(self, index: int, offset: int) -> Any:
        """Return a directory: a `tifffile.TiffPage`, or a `RepeatedPage`.

        Raises
        ------
        ImageReadError
            A part of the directory is lost. Directories share lists or values that would take more memory
            than the file has bytes.
        """
        values = self._values(offset)
        if values is None:
            self.referenced.whole = False
            return self._made(index, offset)
        key = self._key(values)
        first = None if key is None else self._known.get(key)
        if first is None:  # else the same was looked at before
            check_entries(values, self._tif.byteorder, f"{self._name}: page {index}")
        self._look(index, offset, values)
        places = self._places(values)
        if places is not None:
            self.referenced.add_page(*places)
        if first is not None and places is not None:
            return RepeatedPage(first, index, *places)
        self._count_values(values)
        page = self._made(index, offset)
        if places is None:
            self.referenced.add_page(page.dataoffsets, page.databytecounts)
        if places is not None and len(places[0]) > len(page.dataoffsets) and not page.is_lsm:
            self._more.append(index)
        # tifffile corrects the lists of some programs; those are read by it alone.
        plain = places == (page.dataoffsets, page.databytecounts) and not (page.is_lsm or page.is_stk)
        if key is not None and plain and len(self._known) < _MOST_KNOWN:
            self._known[key] = page
        return page

    def notes(self) -> Iterator[str]:
        """Say which directories may be damaged, as their entries contradict each other."""
        if self._unordered:
            yield (
                f"{pages_listed(self._unordered)}: the entries of the directory are not in rising order, as "
                "TIFF demands; one of them may be damaged: look whether type, size and pixels are right"
            )
        if self._more:
            yield f"{pages_listed(self._more)}: {MORE_LISTED}"

    def _look(self, index: int, offset: int, values: list[tuple[int, int, int, bytes]]) -> None:
        """Look at all entries of a directory: their order, and what they take of the file.

        A directory of which a part is zeros, as where a disk has lost a block, is refused: what the lost
        entries said is not known, and the link to the next page stands behind them. So are values outside
        the file.
        """
        layout, size = self._tif.tiff, self._tif.filehandle.size
        self.referenced.add(offset, layout.tagnosize + len(values) * layout.tagsize + layout.offsetsize)
        if not values:
            raise self._lost(index, "no entries")
        last, rising = 0, True
        for code, kind, number, value in values:
            if code <= last:
                rising = False
                if code == kind == number == 0:
                    raise self._lost(index, "entries of nothing but zeros")
            last = code
            if code in ELSEWHERE:
                self.referenced.whole = False
            length = _SIZES.get(kind, 1) * number
            if length > len(value):
                (place,) = struct.unpack(layout.offsetformat, value)
                if kind in _SIZES and (place < 8 or place + length > size):
                    raise ImageReadError(
                        f"{self._name}: page {index}: expected the value of tag {code} in bytes {place} to "
                        f"{place + length}, but the file has {size}; it was cut short: copy it again"
                    )
                self.referenced.add(place, length)
        if not rising:
            self._unordered.append(index)

    def _lost(self, index: int, what: str) -> ImageReadError:
        return ImageReadError(
            f"{self._name}: page {index}: its directory has {what}: a part of it was lost, and with it all "
            "pages behind it may be; copy the file again, or save it again from where it comes"
        )

    def _made(self, index: int, offset: int) -> Any:
        self._tif.filehandle.seek(offset)
        page = tifffile.TiffPage(self._tif, index=index)
        if page.compression == 1:  # TIFF 6.0, section 14, and libtiff know no predictor without compression
            page.predictor = 1
        return page

    def _values(self, offset: int) -> list[tuple[int, int, int, bytes]] | None:
        """Return code, type, number and value of each entry; None if there are too many."""
        layout, handle = self._tif.tiff, self._tif.filehandle
        handle.seek(offset)
        (entries,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
        if entries > _LONGEST:
            return None
        form = self._tif.byteorder + ("HHQ8s" if layout.offsetsize == 8 else "HHI4s")
        return list(struct.iter_unpack(form, handle.read(entries * layout.tagsize)))

    def _key(self, values: list[tuple[int, int, int, bytes]]) -> Any:
        """Return all that decides how pixels are decoded; None if that is too long to be compared."""
        key: list[tuple[Any, ...]] = []
        compression = next((value for code, _, _, value in values if code == 259), b"")
        eer = int.from_bytes(compression[:2], "little" if self._tif.byteorder == "<" else "big") in _EER
        relevant = _RELEVANT | _OF_EER if eer else _RELEVANT
        for code, kind, number, value in values:
            if code in relevant:
                length = _SIZES.get(kind, 1) * number
                if length > _LONGEST:
                    return None
                key.append((code, kind, number, self._at(value, length)))
            elif code in _OFFSETS or code in _COUNTS:
                key.append((code, number))
        return tuple(key)

    def _places(
        self, values: list[tuple[int, int, int, bytes]]
    ) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """Return offsets and counts of the segments; None unless both are there once, as whole numbers."""
        found = []
        for codes in (_OFFSETS, _COUNTS):
            mine = [value for value in values if value[0] in codes]
            if len(mine) != 1 or mine[0][1] not in _FORMATS:
                return None
            _, kind, number, value = mine[0]
            length = _SIZES[kind] * number
            if length > len(value):
                self._listed += length
                self._refuse_above(self._listed, self._tif.filehandle.size)
            data = self._at(value, length)
            if len(data) < length:
                return None
            found.append(struct.unpack(f"{self._tif.byteorder}{number}{_FORMATS[kind]}", data))
        return found[0], found[1]

    def _count_values(self, values: list[tuple[int, int, int, bytes]]) -> None:
        """Count what a `tifffile.TiffPage` reads. Programs share a palette or such, but not much of it."""
        lengths = (_SIZES.get(kind, 1) * number for _, kind, number, _ in values)
        self._outside += sum(length for length in lengths if length > _LONGEST)
        self._refuse_above(self._outside, 4 * self._tif.filehandle.size + 2**26)

    def _refuse_above(self, size: int, most: int) -> None:
        if size > most:
            raise ImageReadError(
                f"{self._name}: the directories of the TIFF share lists or values of {size} bytes in a file "
                f"of {self._tif.filehandle.size}; it is damaged: copy it again"
            )

    def _at(self, value: bytes, length: int) -> bytes:
        """Return a value: the bytes in the entry, or those to which it points."""
        if length <= len(value):
            return value[:length]
        layout, handle = self._tif.tiff, self._tif.filehandle
        (offset,) = struct.unpack(layout.offsetformat, value)
        if offset + length > handle.size:
            return b""
        handle.seek(offset)
        data: bytes = handle.read(length)
        return data
