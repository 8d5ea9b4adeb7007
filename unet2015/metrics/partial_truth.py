"""Truth of which a part is not annotated: how it is marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import LabelError
from unet2015.wording import counted

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


def notes_on_ignored(ignore: int | None, found: bool, *, objects: bool) -> Iterator[str]:
    """Say that the truth does not have the value that is ignored, or what it means that this is 0.

    Parameters
    ----------
    ignore : int or None
        The value; where none is ignored, nothing is said.
    found : bool
        Whether a pixel of the truth has it.
    objects : bool
        Whether 0 is the background of objects, else a class as others.
    """
    if ignore is None:
        return
    if not found:
        yield f"no pixel has the value {ignore}, that of --ignore"
    elif ignore == 0 and objects:
        yield (
            "0, the value of --ignore, is the background: what was found there, such as false objects, does "
            "not count; leave out --ignore 0, or give what nobody annotated a number of its own"
        )
    elif ignore == 0:
        yield (
            "the pixels of 0, the value of --ignore, are left out, so that whatever was found there does not "
            "count as false; if 0 is the background, leave out --ignore 0"
        )


def files_with(paths: Iterable[Path]) -> str:
    """Name the files that have the value that is ignored, one for each page."""
    first, *others = dict.fromkeys(paths)
    return f"{first} (and {counted(len(others), 'more file')})" if others else str(first)


def one_class_left(ignore: int, having: Sequence[Path], truth: object, left: int) -> str:
    """Say that one class is left of masks or class maps, as the value of all else is ignored.

    Parameters
    ----------
    ignore : int
        The value.
    having : sequence of Path
        The files of its pages.
    truth : object
        The name of all.
    left : int
        The only value that is left.
    """
    lost = "no foreground (class 1) is left to compare, and whatever was found is false"
    meant = "the foreground"
    if left:
        lost = f"no other class is left to compare, and no pixel found as {left} is false"
        meant = "a class, as the background is"
    return (
        f"{files_with(having)}: its pixels of {ignore}, the value of --ignore, are left out, and all others "
        f"of {truth} are {left}: {lost}; if {ignore} is {meant}, leave out --ignore {ignore}"
    )


def no_object_left(ignore: int) -> str:
    """Say what to do where no object is left, as all that is not 0 is ignored."""
    return f"if these are objects, leave out --ignore {ignore}"
