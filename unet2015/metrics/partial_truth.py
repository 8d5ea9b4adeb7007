"""Instance labels of which a part is not annotated: how it is marked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import LabelError

IGNORE_NEGATIVE = (
    "; if the truth marks so what nobody annotated, give this value as --ignore (from Python ignore=)"
)


def check_labels(labels: NDArray[Any], name: str, advice: str = "") -> None:
    """Raise `LabelError`, with advice, where labels are negative."""
    if labels.size and (lowest := labels.min()) < 0:
        raise LabelError(f"the {name}: expected labels from 0 on, but the lowest is {lowest}{advice}")


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
