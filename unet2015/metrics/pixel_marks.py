"""What of masks and class maps may be no class: 255 where nobody annotated, or masks among class maps.

It is asked of all pages of a side together, each given by its values and their pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import DataSetError
from unet2015.metrics.background import LabelAreas, first_of_pages
from unet2015.metrics.far_numbers import far_numbers
from unet2015.metrics.masks import FULL_VALUES, TOP_VALUES
from unet2015.metrics.pixel_coding import said_values
from unet2015.metrics.unannotated import ClassMark, ignore_advice
from unet2015.wording import counted


def areas_of_values(values: NDArray[Any], pixels: NDArray[Any]) -> LabelAreas:
    """Return the areas of the values of a page; of a table, `values` may repeat, each with its `pixels`."""
    numbers, where = np.unique(values, return_inverse=True)
    areas = np.bincount(where.ravel(), pixels, minlength=numbers.size).astype(np.int64)
    return LabelAreas(numbers[numbers != 0], areas[numbers != 0], int(areas.sum()))


class Side(NamedTuple):
    """All pages of the truth or of the result.

    Attributes
    ----------
    place : object
        The name of the side.
    names : sequence of str
        Those of its pages.
    pages : sequence of LabelAreas
        The values of each page but 0, and their pixels.
    is_truth : bool
        Whether a part may not be annotated; a result has none such.
    """

    place: object
    names: Sequence[str]
    pages: Sequence[LabelAreas]
    is_truth: bool

    @property
    def values(self) -> list[set[int]]:
        """Of each page, with 0 where it is there."""
        return [
            {*page.numbers.tolist()} | ({0} if int(page.areas.sum()) < page.size else set())
            for page in self.pages
        ]


def class_notes(side: Side, other: set[int], *, numbered: bool) -> Iterator[str]:
    """Ask about 255 among classes, which the other side lacks; refuse masks with it, or among class maps.

    Parameters
    ----------
    side : Side
        Its values are compared one by one.
    other : set of int
        The values of the other side: what a network has found is a class.
    numbered : bool
        Whether it is asked anyway if these are the numbers of objects.
    """
    marks = {mark.value: mark for mark in ClassMark.of(side.values, beside_many=not numbered)}
    far = {number.value for number in far_numbers(side.pages) if number is not None}
    for value in sorted({*marks, *(far & {*TOP_VALUES})} - other):
        if value in marks:
            _check_masks(side, marks[value])
        if side.is_truth:
            yield f"{side.place}: {ignore_advice(value)}, else it is compared as a class"
        else:
            yield (
                f"{side.place}: holds {value}, which the truth does not: it is compared as a class; where it "
                "marks what has no result, set it to 0"
            )


def _check_masks(side: Side, mark: ClassMark) -> None:
    """Refuse masks with a mark, and masks among class maps; `checked_masks` refuses masks of two kinds."""
    value, values = mark.value, side.values
    if mark.classes == {1}:
        both = next((page for page in values if page >= {1, value}), None)
        if both is not None and side.is_truth:
            raise DataSetError(
                f"{side.place} holds {said_values(both)} on one page: {ignore_advice(value)}; if it is "
                "foreground, as 1 is, give --foreground (foreground=True) to compare what is not 0"
            )
    elif not mark.beside and value in FULL_VALUES:
        having = [number for number, page in enumerate(values) if value in page]
        name, alone, count = side.names[having[0]], values[having[0]], len(having)
        advice = f"{ignore_advice(value)}; if it is a mask" if side.is_truth else "if it is a mask"
        more = f" (and {counted(count - 1, 'more page')})" * (count > 1)
        raise DataSetError(
            f"{name}{more}: holds {said_values(alone)} alone, but other pages of {side.place} hold "
            f"{said_values(mark.classes)}: {advice}, give class maps on all pages, or --foreground "
            "(foreground=True) to compare what is not 0"
        )


def foreground_notes(side: Side) -> Iterator[str]:
    """Ask about pixels of masks, class maps or instance labels that may be no foreground."""
    pages = [page for page in side.pages if page.size]
    several = any(page.numbers.size > 1 for page in pages)
    if several and all(int(page.areas.sum()) == page.size for page in pages):
        yield (
            f"{side.place} has no 0 on any page, so that every pixel counts as foreground; where 1 is the "
            "background, as ilastik saves it, subtract 1"
        )
    marks = [mark.value for mark in ClassMark.of(side.values) if mark.counts_as_foreground()]
    for mark in marks if side.is_truth else ():
        yield f"{side.place}: {ignore_advice(mark)}, else it counts as foreground"
    far = zip(side.names, far_numbers(side.pages), strict=True)
    asked = [
        (name, number.describe("count as foreground", result=not side.is_truth))
        for name, number in far
        if number is not None and number.value not in marks and number.is_asked(result=not side.is_truth)
    ]
    if note := first_of_pages(asked):
        yield note
