"""Instance labels in which the background has a number, so that it counts as one large object."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unet2015.wording import counted

_LARGE = 10  # times the median area of the others is no cell any more
_MEANT = "is it the background, which must be 0? Here it counts as one object"
_NO_ZERO = (
    "no pixel is 0, which means background: is it one of the numbers, as where it is numbered 1? It would "
    "count as an object"
)


class LabelAreas(NamedTuple):
    """The objects of one page.

    Attributes
    ----------
    numbers, areas : ndarray of int, shape (objects,)
        As the file has them, and in pixels.
    size : int
        Pixels of the page, without those that nobody has annotated.
    """

    numbers: NDArray[Any]
    areas: NDArray[Any]
    size: int

    @classmethod
    def of(cls, labels: NDArray[Any]) -> "LabelAreas":
        """Return the areas of a page (H, W); without objects where they cover half of it or less.

        On such a page nothing can be said, and most pages are so: to count their pixels would be waste.
        """
        if 2 * np.count_nonzero(labels) <= labels.size:
            none = np.empty(0, np.int64)
            return cls(none, none, labels.size)
        return cls.of_all(labels)

    @classmethod
    def of_all(cls, labels: NDArray[Any]) -> "LabelAreas":
        """Return the areas of a page (H, W), of numbers from 0 on."""
        if int(labels.max()) < labels.size:  # counting is many times as fast as sorting
            counts = np.bincount(labels.ravel().astype(np.int64, copy=False))
            numbers = np.flatnonzero(counts)
            areas = counts[numbers]
        else:
            numbers, areas = np.unique(labels, return_counts=True)
        return cls(numbers[numbers != 0], areas[numbers != 0], labels.size)

    @property
    def full(self) -> bool:
        """Whether several objects leave no pixel of the page."""
        return len(self.areas) > 1 and int(self.areas.sum()) >= self.size

    def describe(self) -> str | None:
        """Say if an object covers most of the page, and is many times as large as the others."""
        if len(self.areas) < 2:
            return None
        place = int(np.argmax(self.areas))
        area, usual = int(self.areas[place]), float(np.median(np.delete(self.areas, place)))
        if 2 * area <= self.size or area < _LARGE * usual:
            return None
        return (
            f"{area / self.size:.0%} of the pixels have the number {int(self.numbers[place])}, as many as "
            f"{area / usual:.0f} of the other objects; {_MEANT}"
        )


def describe_background(pages: Sequence[LabelAreas], names: Sequence[str] = ()) -> str | None:
    """Return a note where the background of instance labels may have a number, else None.

    Parameters
    ----------
    pages : sequence of LabelAreas
        All pages that were labelled in one way, such as those of a file.
    names : sequence of str, optional
        What the pages are called. Default: ``page 0`` and so on, and nothing for a single page.
    """
    names = names or [f"page {number}" if len(pages) > 1 else "" for number in range(len(pages))]
    found = [(name, text) for name, page in zip(names, pages, strict=True) if (text := page.describe())]
    return first_of_pages(found) or (_NO_ZERO if pages and all(page.full for page in pages) else None)


def first_of_pages(found: Sequence[tuple[str, str]]) -> str | None:
    """Return what is said of the first of some pages, its name, and how many more there are; else None."""
    if not found:
        return None
    name, text = found[0]
    more = f" (and {counted(len(found) - 1, 'more page')})" * (len(found) > 1)
    return f"{name}{more}: {text}" if name else text
