"""What may not be annotated in a label file: pages, and pixels of a number of their own."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from unet2015.metrics.background import LabelAreas
from unet2015.metrics.far_numbers import FarNumber
from unet2015.settings import LabelKind, LabelSettings
from unet2015.training.labels import Labels
from unet2015.training.page_names import shortened_pages

HOW_TO_IGNORE = (
    "leave these pages out, or give what is not annotated a value that nothing else has, and name it "
    "(--ignore)"
)
"""What to do with pages or pixels that nobody annotated; the background's own value must not be ignored."""

Counts = npt.NDArray[np.int64]


def hold_only_zero(kind: LabelKind) -> str:
    """Say in words that pages hold nothing but class 0."""
    if kind == "classes":
        return "hold nothing but class 0"
    return "hold nothing but membrane" if kind == "membrane" else "hold no cell"


def zero_ignored(kind: LabelKind) -> str:
    """Say what becomes of labels whose class 0 is the value to ignore."""
    meant = "membrane" if kind == "membrane" else "background"
    return (
        f"the ignore value is 0, which means {meant}, so none is left and every annotated pixel is cells; if "
        f"0 is {meant}, leave out --ignore 0; if not, give what is not annotated another value, and the "
        f"{meant} 0"
    )


def rest_ignored(settings: LabelSettings, left: int) -> str:
    """Say what to do where the ignore value is that of all pixels which are not of class `left`."""
    meant = "is a class"
    if settings.kind != "classes":
        zero = "membrane" if settings.kind == "membrane" else "background"
        meant = f"means {zero if left else 'cells'}"
    ignore = settings.ignore
    return (
        f"all other pixels have the ignore value {ignore}, and are left out: if {ignore} {meant}, leave out "
        f"--ignore {ignore}{', and save it as a number from 0 on' * (ignore is not None and ignore < 0)}"
    )


def file_notes(labels: Labels, frequencies: Counts, settings: LabelSettings, name: str) -> Iterator[str]:
    """Say what a file lacks: annotated pixels, pixels of the ignore value, of a second class, or on pages."""
    present = np.flatnonzero(frequencies.sum(axis=0))
    if present.size == 0:
        yield f"{name}: no pixel is annotated (ignore = {settings.ignore}), so it teaches nothing"
        return
    if settings.ignore is not None and not (labels == settings.ignore).any():
        yield f"{name}: no pixel has the ignore value {settings.ignore}"
    if present.size == 1:
        what = "background or membrane" if present[0] == 0 else "cells"
        if settings.kind == "classes":
            what = f"class {present[0]}"
        elif settings.ignore == 0:
            yield f"{name}: {zero_ignored(settings.kind)}"
            return
        rest = f"; {rest_ignored(settings, int(present[0]))}" if frequencies.sum() < labels.size else ""
        yield f"{name}: every annotated pixel is {what}; a training set needs two classes or more{rest}"
    yield from _blank_pages(frequencies, settings.kind, name)


def _blank_pages(frequencies: Counts, kind: LabelKind, name: str) -> Iterator[str]:
    """Say which pages of a stack hold nothing but class 0: perhaps nobody annotated them.

    If all do, `file_notes` says it.
    """
    annotated = np.sum(frequencies, axis=1) > 0
    blank = annotated & (np.sum(frequencies[:, 1:], axis=1) == 0)
    if blank.any() and np.count_nonzero(blank) < np.count_nonzero(annotated):
        pages = shortened_pages([f"{name} page {page}" for page in np.flatnonzero(blank)])
        yield (
            f"{name}: {np.count_nonzero(blank)} of {len(frequencies)} pages {hold_only_zero(kind)} "
            f"({pages.replace(f'{name} ', '')}): annotated so, or not annotated? If nobody annotated them, "
            f"they teach and measure wrongly: {HOW_TO_IGNORE}"
        )


def not_annotated(far: Sequence[FarNumber | None], places: Sequence[str]) -> list[str]:
    """Say which pages of instance labels have a number that no cell has, as 255 may be."""
    pages = zip(places, far, strict=True)
    learned = "are learned as one cell"
    return [f"{place}: {number.describe(learned)}" for place, number in pages if number is not None]


def ignored_cell(
    labels: Labels, pages: Sequence[LabelAreas], settings: LabelSettings, name: str
) -> Iterator[str]:
    """Say if the ignore value occurs within the numbers of the cells, or next to them."""
    ignore = settings.ignore
    ids = [page.numbers for page in pages if page.numbers.size]
    ends = [int(end) for numbers in ids for end in (numbers.min(), numbers.max())]
    if not ignore or not ends or not min(ends) - 1 <= ignore <= max(ends) + 1:
        return
    if count := int(np.count_nonzero(labels == ignore)):
        yield (
            f"{name}: the ignore value {ignore} is also a number among those of the cells ({min(ends)} to "
            f"{max(ends)}), and its {count} pixels are taken as not annotated; if they are a cell, mark "
            "what is not annotated with a number that no cell has"
        )
