"""Instance labels of which a part is not annotated: the part is left out, or asked about."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import LabelError
from unet2015.metrics.background import LabelAreas

IGNORE_NEGATIVE = (
    "; if the truth marks so what nobody annotated, give this value as --ignore (from Python ignore=)"
)

_FEW, _LARGE = 2, 10  # other cells of a page, and how many times their median area is no cell any more


class FarNumber(NamedTuple):
    """A number that is far from those of the cells, and has far more pixels than they: 255 or so.

    Attributes
    ----------
    value, pixels : int
        The number, and how many pixels have it.
    cells : float
        As many cells of median area have as many pixels.
    highest : int
        Up to which the cells are numbered.
    """

    value: int
    pixels: int
    cells: float
    highest: int

    @classmethod
    def of(cls, page: LabelAreas) -> FarNumber | None:
        """Return the highest number of a page, if it is such a one."""
        ids, areas, _ = page
        if ids.size < _FEW + 1:
            return None
        *_, before, last = np.argsort(ids, kind="stable").tolist()
        value, highest = int(ids[last]), int(ids[before])
        usual = float(np.median(np.delete(areas, last)))
        if value <= 2 * highest or areas[last] < _LARGE * usual:
            return None
        return cls(value, int(areas[last]), float(areas[last] / usual), highest)

    def describe(self, else_they: str) -> str:
        """Ask whether these pixels are not annotated; `else_they` is what becomes of them."""
        return (
            f"{self.pixels} pixels have the number {self.value}, as many as {self.cells:.0f} cells, and the "
            f"cells are numbered up to {self.highest}; if these pixels are not annotated, give --ignore "
            f"{self.value}, else they {else_they}; or is it the background, which must be 0?"
        )


def check_labels(labels: NDArray[Any], name: str, advice: str = "") -> None:
    """Raise `LabelError`, with advice, where labels are negative."""
    if labels.size and (lowest := labels.min()) < 0:
        raise LabelError(f"the {name}: expected labels from 0 on, but the lowest is {lowest}{advice}")


def describe_far_number(labels: NDArray[Any]) -> str | None:
    """Ask whether a part of a page (H, W) of a truth is not annotated; None where nothing looks so."""
    highest = int(labels.max())
    # Most pages are known at once: their numbers are near to each other.
    if highest <= 2 * int(np.max(labels, initial=0, where=labels != highest)):
        return None
    far = FarNumber.of(LabelAreas.of_all(labels))
    return None if far is None else far.describe("count as one cell")


def ignored_number(labels: NDArray[Any], ignore: int) -> str | None:
    """Say where the number that is ignored is among those of the cells of a page, or next to them."""
    cells = labels[(labels != 0) & (labels != ignore)]
    count = int(np.count_nonzero(labels == ignore))
    if (
        not count
        or not cells.size
        or not int(cells.min()) - 1 <= ignore <= int(cells.max()) + 1
        or not ignore
    ):
        return None
    return (
        f"the number {ignore} of --ignore is among those of the cells ({cells.min()} to {cells.max()}), and "
        f"its {count} pixels are left out; if they are a cell, mark what is not annotated with a number that "
        "no cell has"
    )
