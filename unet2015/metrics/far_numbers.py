"""Numbers of instance labels that no cell has: 255 or so, far too large, where perhaps nobody annotated.

A page may hold nothing else. So it is asked how large the cells of all pages of a set are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unet2015.metrics.background import LabelAreas, describe_background
from unet2015.metrics.masks import TOP_VALUES

_FEW, _LARGE = 2, 10
"""So many cells have a usual area; and how many times that is no cell any more."""
_LEVELS, _DENSE = 4, 4
"""More numbers than these, or one of so many up to the highest, are no levels of a blurred mask."""
_USED = 0.8
"""Part of the numbers up to the highest that are used where they ran over, which is asked elsewhere."""


class FarNumber(NamedTuple):
    """A number of instance labels with far more pixels than cells have: 255 or so, or far from other numbers.

    Attributes
    ----------
    value, pixels : int
        The number, and how many pixels of the page have it.
    cells : float
        As many cells of median area have as many pixels.
    highest : int
        Up to which the cells are numbered.
    """

    value: int
    pixels: int
    cells: float
    highest: int

    def is_asked(self, *, result: bool) -> bool:
        """Whether it is asked about: in a result, another number may be an object that is too large."""
        return not result or self.value in TOP_VALUES

    def describe(self, else_they: str, *, result: bool = False) -> str:
        """Ask what these pixels are; `else_they` is what becomes of them. Of a result, none are ignored."""
        if result:
            return f"{self._what()}; they {else_they}: is it the background, or no result, which must be 0?"
        return (
            f"{self._what()}; if these pixels are not annotated, give --ignore {self.value}, else they "
            f"{else_they}; or is it the background, which must be 0?"
        )

    def _what(self) -> str:
        return (
            f"{self.pixels} pixels have the number {self.value}, as many as {self.cells:.0f} cells, and the "
            f"cells are numbered up to {self.highest}"
        )


def far_numbers(pages: Sequence[LabelAreas]) -> list[FarNumber | None]:
    """Return of each page the number that is no cell's, if there is such a one.

    A page of several cells is judged by them, any other by the cells of all pages.

    Parameters
    ----------
    pages : sequence of LabelAreas
        All objects (`LabelAreas.of_all`) of all pages that were labelled in one way.
    """
    joined = LabelAreas(
        np.concatenate([page.numbers for page in pages] or [np.empty(0, np.int64)]),
        np.concatenate([page.areas for page in pages] or [np.empty(0, np.int64)]),
        sum(page.size for page in pages),
    )
    return [_far_number(page, joined) for page in pages]


def _far_number(page: LabelAreas, joined: LabelAreas) -> FarNumber | None:
    if not page.numbers.size:
        return None
    highest = int(page.numbers.max())
    for value in (highest, *(top for top in TOP_VALUES if top < highest and (page.numbers == top).any())):
        if found := _far_from_cells(value, page, joined):
            return found
    return None


def _far_from_cells(value: int, page: LabelAreas, joined: LabelAreas) -> FarNumber | None:
    pixels = int(page.areas[page.numbers == value].sum())
    alone = np.count_nonzero(page.numbers != value) < _FEW
    cells = joined if alone else page
    others = cells.numbers != value
    if np.count_nonzero(others) < _FEW:
        return None
    numbers, usual = np.unique(cells.numbers[others]), float(np.median(cells.areas[others]))
    highest = int(numbers[-1])
    if pixels < _LARGE * usual:
        return None
    ran_over = not alone and highest < value and numbers.size + 1 >= _USED * value
    every = np.unique(joined.numbers[joined.numbers != value])
    few = every.size <= _LEVELS
    levels = few and _DENSE * every.size < highest
    far = value > 2 * highest and not (alone and few)  # else perhaps a class
    if far or (value in TOP_VALUES and not ran_over and not levels):
        return FarNumber(value, pixels, pixels / usual, highest)
    return None


class FileObjects:
    """The objects of files that were labelled in one way: asks which of them is none.

    Attributes
    ----------
    numbered : list of (path, str)
        What may be a background with a number.
    """

    def __init__(self) -> None:
        self.numbered: list[tuple[Path, str]] = []
        self._pages: list[tuple[Path, LabelAreas]] = []

    def add(self, path: Path, pages: Sequence[LabelAreas]) -> None:
        """Take all objects of the pages of a file."""
        self._pages += [(path, page) for page in pages]
        if found := describe_background(pages):
            self.numbered.append((path, found))

    def any(self) -> bool:
        """Whether there are objects."""
        return any(areas.numbers.size for _, areas in self._pages)

    def far(self, *, result: bool) -> list[tuple[Path, str]]:
        """Return what is asked about numbers of too many pixels for a cell, once a file."""
        asked: dict[Path, str] = {}
        for (path, _), far in zip(self._pages, far_numbers([page for _, page in self._pages]), strict=True):
            if far is not None and far.is_asked(result=result):
                asked.setdefault(path, far.describe("count as one cell", result=result))
        return list(asked.items())
