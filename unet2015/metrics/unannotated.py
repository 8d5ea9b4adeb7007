"""Values of labels that may mark what nobody annotated, such as 255 beside 0 and 1."""

from collections.abc import Iterable

from unet2015.metrics.masks import FULL_VALUES

_MOST = 8
"""Highest class beside which these are a mark rather than one end of a range."""


def unannotated_mark(values: Iterable[int]) -> int | None:
    """Return 255 or 65535, where it stands beside classes (one of 1 to 8, and nothing above), else None.

    Many programs mark so what nobody annotated ("void"). Masks of 0 and 255 have no other value.
    """
    others = set(values) - {0}
    highest = max(others, default=0)
    others.discard(highest)
    return highest if highest in FULL_VALUES and others and max(others) <= _MOST and min(others) > 0 else None


def ignore_advice(mark: int) -> str:
    """Return what to do with a value that may mark what nobody annotated, for commands that ignore one."""
    return f"if {mark} marks what nobody annotated, give --ignore {mark} (from Python ignore={mark})"
