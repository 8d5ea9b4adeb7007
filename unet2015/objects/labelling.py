"""Instance labels of whole images: from class maps or probability maps, page by page, strip by strip."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import ImageValueError, UsageError
from unet2015.images.image import Image
from unet2015.objects.numbering import PageNumbers, label_type, number_page
from unet2015.objects.progress import Progress, nobody
from unet2015.objects.strips import Room, Strips
from unet2015.objects.too_small import TooSmall
from unet2015.settings.choices import LabelType
from unet2015.settings.objects import ObjectSettings


class Labels(Protocol):
    """The instance labels of an image, whose strips are made or read when they are wanted."""

    @property
    def pages(self) -> int:
        """Number of pages."""

    @property
    def height(self) -> int:
        """Rows of a page."""

    @property
    def width(self) -> int:
        """Columns of a page."""

    def names(self, page: int) -> NDArray[np.int64]:
        """Return the labels of a page, as they stand in its file; object 1 first."""

    def strips(self, page: int) -> Iterator[tuple[int, NDArray[np.integer]]]:
        """Yield the first row and the objects (1, 2, ..., 0 for none) of each strip."""


class Counted:
    """Instance labels that tell of the rows that are taken from them.

    Parameters
    ----------
    labels : Labels
        The instance labels.
    progress : callable
        Is told of the rows of a strip when the next one is wanted.
    """

    def __init__(self, labels: Labels, progress: Progress) -> None:
        self._labels, self._progress = labels, progress
        self.pages, self.height, self.width = labels.pages, labels.height, labels.width

    def names(self, page: int) -> NDArray[np.int64]:
        """Return the labels of a page, as they stand in its file; object 1 first."""
        return self._labels.names(page)

    def strips(self, page: int) -> Iterator[tuple[int, NDArray[np.integer]]]:
        """Yield the first row and the objects of each strip."""
        for row, strip in self._labels.strips(page):
            yield row, strip
            self._progress(len(strip))


@dataclass(frozen=True, eq=False)
class Maps:
    """Where objects are: pixels above a threshold of a probability map, or of one class of a class map.

    Attributes
    ----------
    probability : Image or None
        The probability map; needed for a threshold and to divide objects that touch.
    channel : int
        The channel of its that counts; 0 where it has only one.
    threshold : float or None
        A pixel belongs to an object if its probability is above this. None: the class map decides.
    classes : Image or None
        The class map; needed where there is no threshold.
    wanted : int
        The class of objects.
    """

    probability: Image | None = None
    channel: int = 0
    threshold: float | None = None
    classes: Image | None = None
    wanted: int = 1

    @property
    def image(self) -> Image:
        """The map that decides."""
        found = self.classes if self.threshold is None else self.probability
        assert found is not None
        return found

    def page(self, number: int) -> "MapPage":
        """Return a page."""
        return MapPage(self, number)


@dataclass(frozen=True, eq=False)
class MapPage:
    """A page of maps, for :func:`unet2015.objects.numbering.number_page`."""

    maps: Maps
    number: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.maps.image.height

    @property
    def width(self) -> int:
        """Columns."""
        return self.maps.image.width

    def probability(self, top: int, bottom: int, left: int, right: int) -> NDArray[Any]:
        """Return the probabilities of a region."""
        assert self.maps.probability is not None
        region = self.maps.probability.read(self.number, top, bottom, left, right)
        values: NDArray[Any] = region[self.maps.channel]
        return values

    def inside(self, top: int, bottom: int, left: int, right: int) -> NDArray[np.bool_]:
        """Return which pixels of a region belong to objects."""
        maps = self.maps
        if maps.threshold is None:
            assert maps.classes is not None
            of_class: NDArray[np.bool_] = (
                maps.classes.read(self.number, top, bottom, left, right)[0] == maps.wanted
            )
            return of_class
        values = self.probability(top, bottom, left, right)
        # Rounded to the type of the map, so that the pixels are those of the class map; but not to half
        # precision, in which no class map was cut.
        wide = np.promote_types(values.dtype, np.float32)
        above: NDArray[np.bool_] = values > np.asarray(maps.threshold, wide)
        return above


class MadeLabels:
    """Labels made from a map; `number_image` makes them.

    Parameters
    ----------
    numbers : sequence of PageNumbers
        Of each page.
    height, width, rows : int
        Of a page, and the rows of a strip.
    wanted : {"uint16", "uint32"} or None
        The type of the labels; it holds them. None: the smaller one that does.
    """

    def __init__(
        self,
        numbers: Sequence[PageNumbers],
        height: int,
        width: int,
        rows: int,
        wanted: LabelType | None,
    ) -> None:
        self._numbers, self.height, self.width, self._rows = numbers, height, width, rows
        self._wanted = wanted

    @property
    def pages(self) -> int:
        """Number of pages."""
        return len(self._numbers)

    @property
    def too_small(self) -> list[TooSmall]:
        """What was left out of each page as too small."""
        return [page.too_small for page in self._numbers]

    @property
    def largest(self) -> int:
        """The largest label of all pages; 0 where there is none."""
        return max((page.objects for page in self._numbers), default=0)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that holds the labels of all pages."""
        return label_type(self.largest) if self._wanted is None else np.dtype(self._wanted)

    def names(self, page: int) -> NDArray[np.int64]:
        """Return the labels of a page: 1, 2, ..."""
        return np.arange(1, self._numbers[page].objects + 1)

    def strips(self, page: int) -> Iterator[tuple[int, NDArray[np.integer]]]:
        """Yield the first row and the labels of each strip."""
        for row in range(0, self.height, self._rows):
            yield row, self._numbers[page].labels(row)


def rows_to_number(image: Image, settings: ObjectSettings) -> int:
    """Return of how many rows `number_image` tells: each counts again where objects are divided."""
    return image.pages * image.height * (1 if settings.markers is None else 2)


def number_image(
    maps: Maps,
    settings: ObjectSettings,
    memory: int | None = None,
    progress: Progress = nobody,
    wanted: LabelType | None = None,
    strips: Strips | None = None,
    room: Room | None = None,
) -> MadeLabels:
    """Find the objects of all pages.

    Parameters
    ----------
    maps : Maps
        Where objects are.
    settings : ObjectSettings
        What counts as an object; the threshold is that of `maps`.
    memory : int, optional
        Bytes that dividing one object may take, where there is no `room`. Default: half of what is free.
    progress : callable
        Is told of the rows that are done: in all `rows_to_number`.
    wanted : {"uint16", "uint32"}, optional
        The type of the labels. Default: the smaller one that holds them.
    strips : Strips, optional
        How much of a page is worked on at a time. Default: the usual strips.
    room : Room, optional
        What parts, objects and dividing one may take. Default: parts and objects are not limited.

    Raises
    ------
    ImageValueError
        A page has more objects than this type can number.
    MemoryLimitError
        An object that must be divided is too large, or there is no room for all objects.
    UsageError
        Objects shall be divided, but there is only a class map.
    """
    image = maps.image
    if settings.markers is not None and maps.probability is None:
        raise UsageError(
            f"{image.name}: objects that touch are divided by their probability, but this is a class map; "
            "give the probability map, or leave out the markers"
        )
    strips = strips or Strips.within((image.pages, image.height, image.width))
    rows, numbers = strips.rows, []
    for page in range(image.pages):
        kept = strips.kept // image.pages
        numbers.append(number_page(maps.page(page), settings, rows, memory, kept, progress, room))
        count = numbers[-1].objects
        if room is not None:
            room = room.after(numbers[-1].parts, count)
        if wanted is not None and count > np.iinfo(wanted).max:
            raise ImageValueError(
                f"{image.name}: page {page} has {count} objects, but labels of {wanted} go to "
                f"{np.iinfo(wanted).max}; take uint32, or let the type follow from the objects"
            )
    return MadeLabels(numbers, image.height, image.width, rows, wanted)
