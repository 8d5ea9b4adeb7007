"""Values of masks and class maps that may mark what nobody annotated, such as 255 beside 0 and 1.

On one page alone such a value looks like a mask. So it is asked which values the pages of a set have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from unet2015.metrics.masks import TOP_VALUES

_MOST = 8
"""Highest class beside which these are a mark, however many classes there are."""
_STEPS = 10
"""Beside more classes, that are near each other, a mark is so many times as far from them."""
_CLASSES = 4
"""More values than these may be numbers of cells, of which one may be 255."""


def unannotated_mark(values: Iterable[int], *, beside_many: bool = False) -> int | None:
    """Return the highest value, where it is that of a type and stands beside classes of 1 to 8, else None.

    Masks of 0 and 255 have no other value. With `beside_many` there may be more classes, such as 1 to 19.
    """
    others = set(values) - {0}
    mark = max(others, default=0)
    others.discard(mark)
    if mark not in TOP_VALUES or not others or min(others) < 0:
        return None
    highest = max(others)
    near = 2 * len(others) >= highest and (mark - highest) * len(others) >= _STEPS * highest
    return mark if highest <= _MOST or (beside_many and near) else None


class ClassMark(NamedTuple):
    """A value of class maps or masks that may mark what nobody annotated.

    Attributes
    ----------
    value : int
        255, or the highest of another type.
    classes : set of int
        The values of all pages beside it, without 0.
    beside : bool
        Whether it stands beside one of these on a page; else its pages may be masks.
    """

    value: int
    classes: set[int]
    beside: bool

    @classmethod
    def of(cls, pages: Sequence[set[int]], *, beside_many: bool = False) -> list[ClassMark]:
        """Return the marks of pages, each the set of its values: those of a page, and of all together."""
        every = set().union(*pages)
        marks = (unannotated_mark(page, beside_many=beside_many) for page in [*pages, every])
        return [
            cls(mark, every - {0, mark}, any(mark in page and page - {0, mark} for page in pages))
            for mark in sorted({mark for mark in marks if mark is not None})
        ]

    def counts_as_foreground(self) -> bool:
        """Whether it is asked about where all but 0 is one class: one of many cells may be numbered so."""
        return self.beside or len(self.classes) <= _CLASSES


def ignore_advice(mark: int) -> str:
    """Return what to do with a value that may mark what nobody annotated, for commands that ignore one."""
    return f"if {mark} marks what nobody annotated, give --ignore {mark} (from Python ignore={mark})"
