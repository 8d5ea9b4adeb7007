"""Objects of two folders of instance labels, matched by their IoU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unet2015.arguments import integer
from unet2015.images.result_names import LABELS
from unet2015.metrics.background import LabelAreas, describe_background, first_of_pages
from unet2015.metrics.doubtful_labels import PageDoubts
from unet2015.metrics.far_numbers import far_numbers
from unet2015.metrics.folders import Comparison, Progress, compare_folders
from unet2015.metrics.masks import MEANT, check_no_image
from unet2015.metrics.object_counts import THRESHOLDS, ObjectScores
from unet2015.metrics.objects import iou_threshold, score_pages
from unet2015.metrics.partial_truth import (
    IGNORE_NEGATIVE,
    check_labels,
    files_with,
    ignored_number,
    no_object_left,
    notes_on_ignored,
)
from unet2015.metrics.several_pieces import describe_pieces, several_pieces
from unet2015.wording import listed

_NAMED = 5


class _Page(NamedTuple):
    scores: ObjectScores
    sides: tuple[PageDoubts, PageDoubts]
    """Of truth and result, what is asked about them."""
    areas: tuple[LabelAreas, LabelAreas]
    """Of truth and result, all objects."""
    doubt: str | None
    """What may be annotated on the page of the truth, and is ignored."""
    ignored: int
    """Pixels with the value of `ignore`."""
    pieces: tuple[list[int], list[int]]
    """Of truth and result, the objects in several pieces."""


@dataclass(frozen=True)
class ObjectEvaluation:
    """Objects of two folders, compared.

    Attributes
    ----------
    comparison : Comparison
        Which files were compared, page by page.
    threshold : float
        The IoU at which F1, PQ and the others are meant first.
    ignore : int, optional
        Value of the truth where nobody has annotated.
    """

    comparison: Comparison[_Page]
    threshold: float
    ignore: int | None = None

    @property
    def scores(self) -> ObjectScores:
        """Of all pages together: counts are summed."""
        return ObjectScores.joined(page.measured.scores for page in self.comparison.pages)

    @property
    def notes(self) -> list[str]:
        """What the labels may not be meant for."""
        pages = self.comparison.pages
        found = list(self._on_ignored)
        for side, name in enumerate(("truth", "result")):
            places = [f"{(page.truth, page.result)[side]} page {page.page}" for page in pages]
            numbered = describe_background([page.measured.sides[side].areas for page in pages], places)
            if far := self._far_number(side, places):
                found.append(f"the {name}: {far}")
            elif numbered and not (found and side == 0):  # which the note before asks about, too
                found.append(f"the {name}: {numbered}")
            over = [
                (place, page.measured.sides[side].over) for place, page in zip(places, pages, strict=True)
            ]
            found += [f"the {name}: {place}: {said}" for place, said in over if said][:1]
            masks = [page for page in pages if page.measured.sides[side].in_pieces]
            if not masks:
                found += self._in_pieces(side, name, places)
                continue
            if all(page.measured.sides[side].like_mask for page in pages):
                what = f"the {name} looks like masks"
            else:
                places = [f"{(page.truth, page.result)[side]} page {page.page}" for page in masks]
                what = f"the {name} is labels, but some pages look like masks ({listed(places, _NAMED)})"
            found.append(
                f"{what}: {MEANT}; objects need labels in which every cell has its own number, masks go to "
                "evaluate pixels"
            )
        if not self.scores.true_objects:
            found.append(self._without_objects())
        return found

    def _without_objects(self) -> str:
        having = [page.truth for page in self.comparison.pages if page.measured.ignored]
        if self.ignore is None or not having:
            return "the truth holds no object, so every measure is 0"
        return (
            f"the truth holds no object beside the pixels of {self.ignore}, the value of --ignore, in "
            f"{files_with(having)}, so every measure is 0; {no_object_left(self.ignore)}"
        )

    def _in_pieces(self, side: int, name: str, places: Sequence[str]) -> Iterator[str]:
        pieces = [page.measured.pieces[side] for page in self.comparison.pages]
        objects = (self.scores.true_objects, self.scores.found_objects)[side]
        if said := describe_pieces(zip(places, pieces, strict=True), objects):
            yield f"the {name}: {said}"

    def _far_number(self, side: int, places: Sequence[str]) -> str | None:
        """Ask about a number that has too many pixels for a cell; of the truth, they may not be annotated."""
        if side == 0 and self.ignore is not None:
            return None
        far = far_numbers([page.measured.areas[side] for page in self.comparison.pages])
        return first_of_pages(
            [
                (
                    place,
                    one.describe("count as one cell", result=side == 1),
                )
                for place, one in zip(places, far, strict=True)
                if one is not None and one.is_asked(result=side == 1)
            ]
        )

    @property
    def _on_ignored(self) -> Iterator[str]:
        """What may be annotated and is ignored, or that nothing is."""
        pages = self.comparison.pages
        doubts = [(f"{page.truth} page {page.page}", page.measured.doubt) for page in pages]
        if doubt := first_of_pages([(place, text) for place, text in doubts if text]):
            yield f"the truth: {doubt}"
        ignored = any(page.measured.ignored for page in pages)
        yield from (f"the truth: {said}" for said in notes_on_ignored(self.ignore, ignored, objects=True))

    def as_dict(self) -> dict[str, Any]:
        """Return the measures, if a page could be compared, and what was compared."""
        if not self.comparison.pages:
            return {"notes": list(self.comparison.notes), **self.comparison.as_dict()}
        scores = self.scores
        return {
            "true_objects": scores.true_objects,
            "found_objects": scores.found_objects,
            **scores.at(self.threshold).as_dict(),
            "mean_average_precision": scores.mean_average_precision,
            "seg": scores.seg,
            "by_threshold": [counts.as_dict() for counts in scores.by_threshold],
            "notes": [*self.comparison.notes, *self.notes],
            **self.comparison.as_dict(),
        }

    def per_image(self) -> list[dict[str, Any]]:
        """Return a row for each page: the files, counts and measures at the threshold, mean AP and SEG."""
        return [
            {
                **page.place(),
                "true_objects": page.measured.scores.true_objects,
                "found_objects": page.measured.scores.found_objects,
                **page.measured.scores.at(self.threshold).as_dict(),
                "mean_average_precision": page.measured.scores.mean_average_precision,
                "seg": page.measured.scores.seg,
            }
            for page in self.comparison.pages
        ]


def evaluate_objects(
    truth: str | Path,
    result: str | Path,
    threshold: float = 0.5,
    *,
    ignore: int | None = None,
    axes: str | None = None,
    progress: Progress | None = None,
) -> ObjectEvaluation:
    """Match the objects of two folders of instance labels.

    Parameters
    ----------
    truth, result : path
        A file, a folder or a pattern each. Files belong together by what their names have in common, pages by
        their order. In a folder of all results of a segmentation, the instance labels are meant.
    threshold : float
        Objects with this IoU or more match.
    ignore : int, optional
        Value of the truth where nobody has annotated. These pixels belong to no object, and an object of the
        result without a partner that has more than half of its pixels there does not count.
    axes : str, optional
        Axes of the files, where these do not say.
    progress : callable, optional
        Called with (files done, files).

    Returns
    -------
    ObjectEvaluation
        Files that could not be compared are in it, with the reason.

    Raises
    ------
    DataSetError
        No file has a partner, or one could have several.
    UsageError
        The threshold is not above 0 and at most 1, or there are no images.
    ImageReadError
        A folder cannot be read.
    """
    threshold = iou_threshold(threshold, "threshold")
    thresholds = sorted({*THRESHOLDS, threshold})
    ignore = None if ignore is None else integer(ignore, "ignore")

    def measure(true: NDArray[np.integer], found: NDArray[np.integer]) -> _Page:
        annotated, doubt = None, None
        if ignore is not None:
            annotated, doubt = true != ignore, ignored_number(true, ignore)
            true = np.where(annotated, true, 0)
        check_labels(true, "truth", IGNORE_NEGATIVE)
        check_labels(found, "result")
        check_no_image(true, "truth")
        check_no_image(found, "result")
        scores = score_pages(true, found, thresholds, annotated)
        ignored = 0 if annotated is None else annotated.size - int(np.count_nonzero(annotated))
        known = found if annotated is None else np.where(annotated, found, 0)
        areas = LabelAreas.of_all(true), LabelAreas.of_all(known)
        sides = PageDoubts.of(true, areas[0]), PageDoubts.of(found, areas[1] if known is found else None)
        pieces = several_pieces(true, annotated), several_pieces(found)
        return _Page(scores, sides, areas, doubt, ignored, pieces)

    comparison = compare_folders(truth, result, measure, wanted=LABELS, axes=axes, progress=progress)
    return ObjectEvaluation(comparison, threshold, ignore)
