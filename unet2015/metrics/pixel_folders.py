"""Pixels of two folders of masks or class maps, class by class."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unet2015.arguments import flag, integer
from unet2015.errors import DataSetError, UsageError
from unet2015.images.result_names import CLASSES
from unet2015.metrics.background import LabelAreas
from unet2015.metrics.contingency import Contingency, contingency_table
from unet2015.metrics.folders import Comparison, Progress, compare_folders
from unet2015.metrics.masks import check_no_image
from unet2015.metrics.numbered_objects import describe_numbered_objects
from unet2015.metrics.overlap import Overlap
from unet2015.metrics.palettes import check_palettes
from unet2015.metrics.partial_truth import notes_on_ignored, one_class_left
from unet2015.metrics.pixel_coding import (
    checked_masks,
    describe_instances,
    describe_nothing_common,
    recoded,
)
from unet2015.metrics.pixel_marks import Side, areas_of_values, class_notes, foreground_notes

_MOST_CLASSES = 256
_log = logging.getLogger("unet2015")


@dataclass(frozen=True)
class PixelEvaluation:
    """Pixels of two folders, compared.

    Attributes
    ----------
    comparison : Comparison
        Which files were compared, page by page: how often each pair of classes meets.
    notes : tuple of str
        What the values may not be meant for.
    ignore : int, optional
        Value of the truth that was left out, and so has no measures.
    """

    comparison: Comparison[Contingency]
    notes: tuple[str, ...] = ()
    ignore: int | None = None

    @property
    def classes(self) -> dict[int, Overlap]:
        """Of each class the pixels in which truth and result agree, over all pages."""
        return _overlaps([page.measured for page in self.comparison.pages], self.ignore)

    def as_dict(self) -> dict[str, Any]:
        """Return the measures of each class, and what was compared."""
        rows = [_row(number, overlap) for number, overlap in self.classes.items()]
        return {"classes": rows, "notes": [*self.comparison.notes, *self.notes], **self.comparison.as_dict()}

    def per_image(self) -> list[dict[str, Any]]:
        """Return a row for each class of each page, without the classes that it lacks."""
        return [
            {**page.place(), **_row(number, overlap)}
            for page in self.comparison.pages
            for number, overlap in _overlaps([page.measured], self.ignore).items()
        ]


def evaluate_pixels(
    truth: str | Path,
    result: str | Path,
    *,
    foreground: bool = False,
    ignore: int | None = None,
    axes: str | None = None,
    progress: Progress | None = None,
) -> PixelEvaluation:
    """Compare two folders of masks or class maps pixel by pixel.

    Parameters
    ----------
    truth, result : path
        A file, a folder or a pattern each. Files belong together by what their names have in common, pages by
        their order. In a folder of all results of a segmentation, the class maps are meant: its instance
        labels lack what is no object, such as small parts.
    foreground : bool
        Compare what is not 0, as one class: for instance labels. Default: each value is a class, and a
        folder whose files hold nothing but 0 and 255 (or 65535) is one of masks of class 1.
    ignore : int, optional
        Value of the truth where nobody has annotated: left out.
    axes : str, optional
        Axes of the files, where these do not say.
    progress : callable, optional
        Called with (files done, files).

    Returns
    -------
    PixelEvaluation
        Files that could not be compared are in it, with the reason.

    Raises
    ------
    DataSetError
        No file has a partner, one could have several, a folder of masks is compared with classes, or the
        palettes of files give a colour to two classes.
    UsageError, ImageReadError
        There are no images, or a folder cannot be read; or the background of the foreground is ignored.
    """
    pages = _Pages(flag(foreground, "foreground"), None if ignore is None else integer(ignore, "ignore"))
    if pages.foreground and pages.ignore == 0:
        raise UsageError(
            "with --foreground 0 is the background, and --ignore 0 leaves it out, so that nothing is left to "
            "tell apart; leave out one of the two"
        )
    compared = compare_folders(truth, result, pages.measure, wanted=CLASSES, axes=axes, progress=progress)
    tables = [page.measured.table for page in compared.pages]
    if tables and not any(table.pixels.size for table in tables):
        raise DataSetError(
            f"{truth}: every pixel has the value {pages.ignore}, that of --ignore: none is left to compare"
        )
    true, found = _values(table.truth for table in tables), _values(table.prediction for table in tables)
    numbered = describe_numbered_objects(tables)
    sides = [
        Side(
            place,
            [f"{(page.truth, page.result)[side]} page {page.page}" for page in compared.pages],
            [page.measured.areas[side] for page in compared.pages],
            side == 0,
        )
        for side, place in enumerate((truth, result))
    ]
    notes = [] if pages.ignore is None else [*_on_ignored(compared, truth, pages.ignore, sides[0])]
    for side, other in zip(sides, (found, true), strict=True):
        if pages.foreground:
            notes += foreground_notes(side)
        else:
            notes += class_notes(side, other, numbered=numbered is not None)
    masks = checked_masks((truth, true), (result, found))
    notes += describe_instances((truth, true), (result, found))
    if note := numbered or describe_nothing_common(found, truth, true, masks):
        notes.append(f"{result}: {note}")
    notes += check_palettes(compared.pages, (pages.ignore, None), masks, 1 if pages.foreground else None)
    for note in notes:
        _log.warning("%s", note)
    measured = [recoded(table, *masks) for table in tables]
    return PixelEvaluation(compared.with_measures(measured), tuple(notes), pages.ignore)


class _Measured(NamedTuple):
    table: Contingency
    areas: tuple[LabelAreas, LabelAreas]
    """Of truth and result the pixels of each value, also where all but 0 is compared as one class."""
    ignored: int
    """Pixels of the truth with the value of `ignore`."""


class _Pages(NamedTuple):
    """Counts how often values meet, page by page; attributes as of `evaluate_pixels`."""

    foreground: bool
    ignore: int | None

    def measure(self, true: NDArray[np.integer], found: NDArray[np.integer]) -> _Measured:
        """Return how often values of one page meet, and how many pixels have them."""
        if self.foreground:
            check_no_image(true, "truth")
            check_no_image(found, "result")
        size = true.size
        if self.ignore is not None:
            annotated = true != self.ignore
            true, found = true[annotated], found[annotated]
        _check_not_negative(true, found)
        if not self.foreground:
            table = _table(true, found)
            columns = table.truth, table.prediction
            areas = areas_of_values(columns[0], table.pixels), areas_of_values(columns[1], table.pixels)
            return _Measured(table, areas, size - true.size)
        areas = _areas(true), _areas(found)
        table = _table((true != 0).astype(np.uint8), (found != 0).astype(np.uint8))
        return _Measured(table, areas, size - true.size)


def _on_ignored(compared: Comparison[_Measured], truth: str | Path, ignore: int, side: Side) -> Iterator[str]:
    """Say that one class alone is left beside the value to ignore, or else what `notes_on_ignored` says."""
    having = [page.truth for page in compared.pages if page.measured.ignored]
    left = set().union(*side.values)
    if having and len(left) == 1:
        yield one_class_left(ignore, having, truth, *left)
    elif compared.pages:
        yield from (f"{truth}: {said}" for said in notes_on_ignored(ignore, bool(having), objects=False))


def _check_not_negative(true: NDArray[np.integer], found: NDArray[np.integer]) -> None:
    if true.size and min(true.min(), found.min()) < 0:
        raise DataSetError(
            "expected classes from 0 on, but there are negative values; if the truth marks so what nobody "
            "annotated, give this value as --ignore"
        )


def _values(columns: Iterable[NDArray[np.int64]]) -> set[int]:
    return {value for column in columns for value in np.unique(column).tolist()}


def _table(true: NDArray[np.integer], found: NDArray[np.integer]) -> Contingency:
    table = contingency_table(true, found)
    values = max(len(np.unique(table.truth)), len(np.unique(table.prediction)))
    if values > _MOST_CLASSES:
        raise DataSetError(
            f"{values} different values are no classes; for instance labels give --foreground "
            "(foreground=True), or use evaluate objects"
        )
    return table


def _areas(labels: NDArray[np.integer]) -> LabelAreas:
    return LabelAreas.of_all(labels) if labels.size else areas_of_values(labels, labels)


def _overlaps(tables: Sequence[Contingency], ignore: int | None) -> dict[int, Overlap]:
    """Return the overlap of each class that occurs, in rising order.

    One that was left out of the truth has none: where it was found the truth has another class.
    """
    if not tables:
        return {}
    true, found = (
        np.concatenate([getattr(table, side) for table in tables]) for side in ("truth", "prediction")
    )
    pixels = np.concatenate([table.pixels for table in tables])
    overlaps = {}
    for number in np.union1d(true, found).tolist():
        here, there = true == number, found == number
        tp, fp, fn = (int(pixels[mask].sum()) for mask in (here & there, there & ~here, here & ~there))
        if number != ignore or tp or fn:
            overlaps[number] = Overlap(tp, fp, fn, int(pixels.sum()) - tp - fp - fn)
    return overlaps


def _row(number: int, overlap: Overlap) -> dict[str, float | int]:
    return {
        "class": number,
        "true_pixels": overlap.tp + overlap.fn,
        "found_pixels": overlap.tp + overlap.fp,
        "dice": overlap.dice,
        "iou": overlap.iou,
        "precision": overlap.precision,
        "recall": overlap.recall,
    }
