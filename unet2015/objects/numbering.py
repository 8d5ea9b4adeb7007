"""Instance labels of a page of any size, strip by strip: the same as those of the whole page at once.

Two passes over the page. The first counts and joins (`number_page`); the second gives each pixel its number
(`PageNumbers.labels`). Memory holds a strip, a few numbers for each part of it, the runs of strips that then
need not be labelled again, and, where objects are divided, the windows of the objects that the strip meets.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import MemoryLimitError
from unet2015.memory import process_free
from unet2015.objects.components import Components, Wholes
from unet2015.objects.division import PIXEL_BYTES, MarkerCount, Page, Pieces, divide
from unet2015.objects.progress import Progress, Share, nobody
from unet2015.objects.runs import Numbers, Runs, label_strip
from unet2015.objects.strips import KEPT, Room
from unet2015.objects.too_small import TooSmall
from unet2015.settings.objects import ObjectSettings


@dataclass(frozen=True, eq=False)
class _Divided:
    """An object that is divided: its box, its first pixel, and the final numbers of its pieces."""

    box: tuple[int, int, int, int]
    first: int
    numbers: NDArray[np.int32]


@dataclass(eq=False)
class PageNumbers:
    """The final numbers of a page's objects.

    Attributes
    ----------
    areas : ndarray of int64, shape (objects,)
        Pixels of each object; object 1 first.
    too_small : TooSmall
        What was left out as too small; not what lies outside the frame.
    """

    areas: Numbers
    too_small: TooSmall
    _page: Page
    _settings: ObjectSettings
    _rows: int
    _of_part: NDArray[np.int32]
    _bases: dict[int, int]
    _runs: dict[int, Runs]
    _divided: list[_Divided] = field(default_factory=list)
    _open: dict[int, Pieces] = field(default_factory=dict)

    @property
    def objects(self) -> int:
        """How many objects the page has."""
        return len(self.areas)

    @property
    def parts(self) -> int:
        """How many connected parts of strips the page has, of objects and of background."""
        return len(self._of_part)

    def labels(self, row: int, into: NDArray[np.integer] | None = None) -> NDArray[np.integer]:
        """Return the instance labels of the strip that begins at `row`; strips have the height of before.

        Parameters
        ----------
        row : int
            The first row.
        into : ndarray of int, shape (rows, width), optional
            Where they are written, of a type that holds them. Default: a new array of int32.

        Returns
        -------
        ndarray of int, shape (rows, width)
            0 is background; objects are 1, 2, ... in the order of their first pixels.
        """
        page, stop = self._page, min(row + self._rows, self._page.height)
        start, runs = self._bases[row], self._runs.get(row)
        if runs is None:
            runs, _ = label_strip(page.inside(row, stop, 0, page.width), self._settings)
        values = np.append(np.int32(0), self._of_part[start : start + runs.count])
        if into is None:
            found: NDArray[np.integer] = runs.filled(values)
        else:
            runs.fill(values, into)
            found = into
        for index, one in enumerate(self._divided):
            top, bottom, left, right = one.box
            if bottom <= row or top >= stop:
                self._open.pop(index, None)
                continue
            if index not in self._open:
                self._open[index] = divide(page, self._settings, one.box, one.first)
            pieces = self._open[index].labels[max(row - top, 0) : stop - top]
            region = found[max(top - row, 0) : bottom - row, left:right]
            region[pieces > 0] = np.concatenate([[0], one.numbers])[pieces[pieces > 0]]
        return found


def number_page(
    page: Page,
    settings: ObjectSettings,
    rows: int,
    memory: int | None = None,
    kept: int = KEPT,
    progress: Progress = nobody,
    room: Room | None = None,
) -> PageNumbers:
    """Find the objects of a page.

    Parameters
    ----------
    page : Page
        The page; it is read from top to bottom, and where objects are divided in windows, too.
    settings : ObjectSettings
        What counts as an object.
    rows : int
        Rows of a strip. The result does not depend on it.
    memory : int, optional
        Bytes that dividing one object may take, where there is no `room`. Default: half of what is free.
    kept : int
        How many runs of pixels may be kept, so that these strips are not read and labelled again.
    progress : callable
        Is told of the rows that are done: once all of them and, where objects are divided, once more.
    room : Room, optional
        What its parts and dividing one may take. Default: parts are not limited.

    Raises
    ------
    MemoryLimitError
        An object that must be divided is too large, or there is no room for all parts.
    """
    places = settings.markers is not None
    components = Components(page.height, page.width, settings, places=places, kept=kept)
    counted = MarkerCount(page, settings) if settings.markers is not None else None
    parts = objects = 0
    for row in range(0, page.height, rows):
        inside = page.inside(row, min(row + rows, page.height), 0, page.width)
        if room is None or room.left(parts) >= 0:
            runs = components.add(inside)
            if counted is not None:
                counted.add(row, inside, runs, components.bases[row])
        else:  # to say how much would do
            runs, _ = label_strip(inside, settings)
        parts, objects = parts + runs.count, objects + runs.objects
        progress(len(inside))
    if room is not None:
        room.check_parts(parts, objects)
    wholes = components.join()
    several = np.flatnonzero(counted.of(wholes) > 1) if counted is not None else np.zeros(0, np.int64)
    divided, limit = [], _Limit.of(memory)
    with Share(progress, page.height if places else 0, len(several)) as share:
        for index in several:
            box = tuple(wholes.boxes[index].tolist())
            if room is None:
                limit.check(box)
            else:
                room.check_division(_place(box), _bytes(box), parts)
            first = int(wholes.first[index])
            pieces = divide(page, settings, box, first)
            # The labels are made again in the second pass; an empty view of them would keep them all alive.
            divided.append((box, first, replace(pieces, labels=pieces.labels[:0].copy())))
            share.step()
    return _numbered(page, settings, rows, components, wholes, several, divided)


def _numbered(
    page: Page,
    settings: ObjectSettings,
    rows: int,
    components: Components,
    wholes: Wholes,
    several: Numbers,
    divided: list[tuple[tuple[int, int, int, int], int, Pieces]],
) -> PageNumbers:
    """Leave out what is too small or outside the frame, and number the others by their first pixels."""
    single = wholes.is_object.copy()
    single[several] = False
    singles = np.flatnonzero(single)
    pieces = [piece for _, _, piece in divided]
    areas = np.concatenate([wholes.areas[singles], *(piece.areas for piece in pieces)])
    inner = np.concatenate([wholes.inner[singles], *(piece.inner for piece in pieces)])
    large, within = areas >= settings.smallest, inner if settings.frame else np.ones(len(areas), bool)
    order, small = np.flatnonzero(large & within), areas[~large & within]
    if pieces:
        first = np.concatenate([wholes.first[singles], *(piece.first for piece in pieces)])
        order = order[np.argsort(first[order])]  # else they are in this order already
    numbers = np.zeros(len(areas), np.int32)
    numbers[order] = np.arange(1, len(order) + 1)
    of_whole = np.zeros(len(wholes.areas) + 1, np.int32)  # the last is for -1: background of no object
    of_whole[singles] = numbers[: len(singles)]
    ends = np.cumsum([len(singles), *(len(piece.areas) for piece in pieces)])
    parted = [
        _Divided(box, first, numbers[start:stop])
        for (box, first, _), start, stop in zip(divided, ends, ends[1:], strict=False)
    ]
    of_part = of_whole[wholes.owner][wholes.of_part]
    bases, runs = components.bases, components.runs
    kept = areas[order]
    too_small = TooSmall.of(small, int(kept.sum()), settings.smallest)
    return PageNumbers(kept, too_small, page, settings, rows, of_part, bases, runs, parted)


@dataclass(frozen=True)
class _Limit:
    """How many bytes dividing one object may take, and in words where this comes from."""

    size: int
    source: str

    @classmethod
    def of(cls, memory: int | None) -> "_Limit":
        """Return the limit that is given, else half of what is free."""
        return cls(process_free() // 2, "half of what is free") if memory is None else cls(memory, "as given")

    def check(self, box: tuple[int, int, int, int]) -> None:
        """Raise `MemoryLimitError` if an object of a box takes more."""
        needed = _bytes(box)
        if needed > self.size:
            raise MemoryLimitError(
                f"the object in {_place(box)} has several markers; dividing it takes {needed / 1e9:.2g} GB, "
                f"but {self.size / 1e9:.2g} GB may be used "
                f"({self.source}); allow more memory (--max-memory), or leave out the markers (--split none)"
            )


def _bytes(box: tuple[int, int, int, int]) -> int:
    """Return the memory that dividing an object in a box takes."""
    top, bottom, left, right = box
    return (bottom - top) * (right - left) * PIXEL_BYTES


def _place(box: tuple[int, int, int, int]) -> str:
    top, bottom, left, right = box
    return f"rows {top} to {bottom}, columns {left} to {right}"


def label_type(objects: int) -> np.dtype[np.uint16] | np.dtype[np.uint32]:
    """Return the type of instance labels for so many objects."""
    return np.dtype(np.uint16) if objects <= np.iinfo(np.uint16).max else np.dtype(np.uint32)
