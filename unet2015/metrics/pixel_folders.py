"""Pixels of two folders of masks or class maps, class by class."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.arguments import flag, integer
from unet2015.errors import DataSetError
from unet2015.images.result_names import CLASSES
from unet2015.metrics.contingency import Contingency, contingency_table
from unet2015.metrics.folders import Comparison, Progress, compare_folders
from unet2015.metrics.masks import FULL_VALUES, check_no_image
from unet2015.metrics.numbered_objects import describe_numbered_objects
from unet2015.metrics.overlap import Overlap
from unet2015.metrics.palettes import check_palettes
from unet2015.metrics.unannotated import ignore_advice, unannotated_mark
from unet2015.wording import listed

_MOST_CLASSES = 256
_FEW = 2
_log = logging.getLogger("unet2015")


@dataclass(frozen=True)
class PixelEvaluation:
    """Pixels of two folders, compared.

    Attributes
    ----------
    comparison : Comparison
        Which files were compared, page by page: how often each pair of classes meets.
    """

    comparison: Comparison[Contingency]

    @property
    def classes(self) -> dict[int, Overlap]:
        """Of each class the pixels in which truth and result agree, over all pages."""
        return _overlaps([page.measured for page in self.comparison.pages])

    def as_dict(self) -> dict[str, Any]:
        """Return the measures of each class, and what was compared."""
        rows = [_row(number, overlap) for number, overlap in self.classes.items()]
        return {"classes": rows, **self.comparison.as_dict()}

    def per_image(self) -> list[dict[str, Any]]:
        """Return a row for each class of each page, without the classes that it lacks."""
        return [
            {**page.place(), **_row(number, overlap)}
            for page in self.comparison.pages
            for number, overlap in _overlaps([page.measured]).items()
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
        There are no images, or a folder cannot be read.
    """
    foreground = flag(foreground, "foreground")
    ignore = None if ignore is None else integer(ignore, "ignore")

    several = [False, False]  # whether a side has pages of several values beside 0
    marks: set[int] = set()

    def measure(true: NDArray[np.integer], found: NDArray[np.integer]) -> Contingency:
        if foreground:
            check_no_image(true, "truth")
            check_no_image(found, "result")
        if ignore is not None:
            annotated = true != ignore
            true, found = true[annotated], found[annotated]
        _check_not_negative(true, found)
        if foreground:
            several[0] |= _several(true)
            several[1] |= _several(found)
            if mark := unannotated_mark(np.unique(true).tolist()):
                marks.add(mark)
            true, found = (true != 0).astype(np.uint8), (found != 0).astype(np.uint8)
        return _table(true, found)

    compared = compare_folders(truth, result, measure, wanted=CLASSES, axes=axes, progress=progress)
    tables = [page.measured for page in compared.pages]
    if tables and not any(table.pixels.size for table in tables):
        raise DataSetError(
            f"{truth}: every pixel has the value {ignore}, that of --ignore: none is left to compare"
        )
    true, found = _values(table.truth for table in tables), _values(table.prediction for table in tables)
    if foreground:
        _say_no_background(truth, true, several[0])
        _say_no_background(result, found, several[1])
        for mark in sorted(marks):
            _log.warning("%s: %s, else it counts as foreground", truth, ignore_advice(mark))
    _check_marks(truth, [set(table.truth.tolist()) for table in tables], found)
    masks = _checked_masks((truth, true), (result, found))
    if note := describe_numbered_objects(tables):
        _log.warning("%s: %s", result, note)
    check_palettes(compared.pages, (ignore, None), masks, 1 if foreground else None)
    pages = tuple(replace(page, measured=_recoded(page.measured, *masks)) for page in compared.pages)
    return PixelEvaluation(replace(compared, pages=pages))


def _check_not_negative(true: NDArray[np.integer], found: NDArray[np.integer]) -> None:
    if true.size and min(true.min(), found.min()) < 0:
        raise DataSetError(
            "expected classes from 0 on, but there are negative values; if the truth marks so what nobody "
            "annotated, give this value as --ignore"
        )


def _values(columns: Iterable[NDArray[np.int64]]) -> set[int]:
    return {value for column in columns for value in np.unique(column).tolist()}


def _mask_value(place: object, values: set[int]) -> int | None:
    """Return the value of a mask's foreground, where it is not 1; refuse masks of two kinds."""
    if any(values - {0} == {1, value} for value in FULL_VALUES):
        raise DataSetError(
            f"{place} holds {_said(values)}: masks of 0 and 1 beside masks of 0 and {max(values)}, or "
            "classes? If no page of the truth has a value that marks what nobody annotated (--ignore), give "
            "--foreground (foreground=True) to compare what is not 0, or masks of one kind"
        )
    return next((value for value in FULL_VALUES if values - {0} == {value}), None)


def _check_marks(truth: object, pages: Iterable[set[int]], found: set[int]) -> None:
    """Refuse masks with 255 beside 1, and say where it is beside several classes: perhaps not annotated.

    `found` are the values of the result: what a network has found is a class.
    """
    for values in pages:
        if (mark := unannotated_mark(values)) is None or mark in found:
            continue
        if values - {0} == {1, mark}:
            raise DataSetError(
                f"{truth} holds {_said(values)} on one page: {ignore_advice(mark)}; if it is foreground, as "
                "1 is, give --foreground (foreground=True) to compare what is not 0"
            )
        _log.warning("%s: %s, else it is compared as a class", truth, ignore_advice(mark))
        return


def _check_coding(masks: object, mask: int | None, other: object, values: set[int]) -> None:
    """Refuse a folder of masks against one of several classes."""
    if mask is not None and values - {0, 1}:
        raise DataSetError(
            f"{masks} holds masks of 0 and {mask}, but {other} holds {_said(values)}; give masks on both "
            "sides, class maps on both, or --foreground (foreground=True) to compare what is not 0"
        )


def _say_instances(several: object, values: set[int], other: object, others: set[int]) -> None:
    """Say where one side has many values and the other one class: perhaps the first has instance labels."""
    if others - {0} == {1} and len(values - {0}) > _FEW:
        _log.warning(
            "%s holds %s, but %s only 0 and 1: each value is compared as a class; if these are instance "
            "labels, give --foreground (foreground=True) to compare what is not 0, or use evaluate objects",
            several,
            _said(values),
            other,
        )


def _table(true: NDArray[np.integer], found: NDArray[np.integer]) -> Contingency:
    table = contingency_table(true, found)
    values = max(len(np.unique(table.truth)), len(np.unique(table.prediction)))
    if values > _MOST_CLASSES:
        raise DataSetError(
            f"{values} different values are no classes; for instance labels give --foreground "
            "(foreground=True), or use evaluate objects"
        )
    return table


def _checked_masks(*sides: tuple[object, set[int]]) -> list[int | None]:
    """Return the value of each side's masks, if it has such; refuse sides that are coded otherwise.

    Each side is its name and its values.
    """
    masks = [_mask_value(*side) for side in sides]
    for side, mask, other, its_mask in zip(sides, masks, sides[::-1], masks[::-1], strict=True):
        _check_coding(side[0], mask, other[0], other[1] if its_mask is None else set())
        _check_counted_from_one(*side, *other)
        _say_instances(*side, *other)
    return masks


def _several(classes: NDArray[np.integer]) -> bool:
    return bool(classes.size) and classes.min() != classes.max()


def _check_counted_from_one(place: object, values: set[int], other: object, others: set[int]) -> None:
    """Refuse classes that are counted from 1 on one side, and from 0 on the other."""
    if 0 not in values and 0 in others and len(values) > 1 and max(values) > max(others):
        raise DataSetError(
            f"{place} holds {_said(values)} and no 0, but {other} {_said(others)}: one counts classes from "
            "1, the other from 0? Give both in one way: subtract 1 where background is 1"
        )


def _say_no_background(place: object, values: set[int], several: bool) -> None:
    """Say where every pixel of files of several values counts as foreground."""
    if values == {1} and several:
        _log.warning(
            "%s has no 0 on any page, so that every pixel counts as foreground; where 1 is the background, "
            "as ilastik saves it, subtract 1",
            place,
        )


def _said(values: set[int]) -> str:
    return listed(sorted(values)) + (" values" if len(values) > 8 else "")


def _recoded(table: Contingency, true_mask: int | None, found_mask: int | None) -> Contingency:
    """Return a table in which 1 is the class of a mask."""
    true = np.where(table.truth == true_mask, 1, table.truth) if true_mask else table.truth
    found = np.where(table.prediction == found_mask, 1, table.prediction) if found_mask else table.prediction
    return Contingency(true, found, table.pixels)


def _overlaps(tables: Sequence[Contingency]) -> dict[int, Overlap]:
    """Return the overlap of each class that occurs, in rising order."""
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
