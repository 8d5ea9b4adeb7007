"""Objects of two folders of instance labels, matched by their IoU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unet2015.images.result_names import LABELS
from unet2015.metrics.background import LabelAreas, describe_background
from unet2015.metrics.folders import Comparison, Progress, compare_folders
from unet2015.metrics.masks import MEANT, check_no_image, in_pieces, like_mask
from unet2015.metrics.object_counts import THRESHOLDS, ObjectScores
from unet2015.metrics.objects import iou_threshold, score_pages
from unet2015.metrics.run_over import run_over
from unet2015.wording import listed

_NAMED = 5


class _Page(NamedTuple):
    scores: ObjectScores
    like_masks: tuple[bool, bool]
    """Of truth and result, whether all pixels are 0 or one value that is usual in masks."""
    in_pieces: tuple[bool, bool]
    """Whether such a page is in several pieces."""
    areas: tuple[LabelAreas, LabelAreas]
    over: tuple[str | None, str | None]
    """What is said of numbers that ran over."""


@dataclass(frozen=True)
class ObjectEvaluation:
    """Objects of two folders, compared.

    Attributes
    ----------
    comparison : Comparison
        Which files were compared, page by page.
    threshold : float
        The IoU at which F1, PQ and the others are meant first.
    """

    comparison: Comparison[_Page]
    threshold: float

    @property
    def scores(self) -> ObjectScores:
        """Of all pages together: counts are summed."""
        return ObjectScores.joined(page.measured.scores for page in self.comparison.pages)

    @property
    def notes(self) -> list[str]:
        """What the labels may not be meant for."""
        found = []
        pages = self.comparison.pages
        for side, name in enumerate(("truth", "result")):
            places = [f"{(page.truth, page.result)[side]} page {page.page}" for page in pages]
            if numbered := describe_background([page.measured.areas[side] for page in pages], places):
                found.append(f"the {name}: {numbered}")
            over = [(place, page.measured.over[side]) for place, page in zip(places, pages, strict=True)]
            found += [f"the {name}: {place}: {said}" for place, said in over if said][:1]
            masks = [page for page in pages if page.measured.in_pieces[side]]
            if not masks:
                continue
            if all(page.measured.like_masks[side] for page in pages):
                what = f"the {name} looks like masks"
            else:
                places = [f"{(page.truth, page.result)[side]} page {page.page}" for page in masks]
                what = f"the {name} is labels, but some pages look like masks ({listed(places, _NAMED)})"
            found.append(
                f"{what}: {MEANT}; objects need labels in which every cell has its own number, masks go to "
                "evaluate pixels"
            )
        if not self.scores.true_objects:
            found.append("the truth holds no object, so every measure is 0")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the measures, if a page could be compared, and what was compared."""
        if not self.comparison.pages:
            return self.comparison.as_dict()
        scores = self.scores
        return {
            "true_objects": scores.true_objects,
            "found_objects": scores.found_objects,
            **scores.at(self.threshold).as_dict(),
            "mean_average_precision": scores.mean_average_precision,
            "seg": scores.seg,
            "by_threshold": [counts.as_dict() for counts in scores.by_threshold],
            "notes": self.notes,
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

    def measure(true: NDArray[np.integer], found: NDArray[np.integer]) -> _Page:
        check_no_image(true, "truth")
        check_no_image(found, "result")
        masks = like_mask(true), like_mask(found)
        pieces = masks[0] and in_pieces(true), masks[1] and in_pieces(found)
        areas = LabelAreas.of(true), LabelAreas.of(found)
        over = run_over(true), run_over(found)
        return _Page(score_pages(true, found, thresholds), masks, pieces, areas, over)

    comparison = compare_folders(truth, result, measure, wanted=LABELS, axes=axes, progress=progress)
    return ObjectEvaluation(comparison, threshold)
