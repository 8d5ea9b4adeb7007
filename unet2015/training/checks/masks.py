"""What is wrong, or may be wrong, with the values of one file of masks."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unet2015.metrics.unannotated import unannotated_mark
from unet2015.settings import LabelSettings
from unet2015.training.checks.problem import Problem, problem_of
from unet2015.training.dataset import Labels
from unet2015.wording import listed

_NEAR, _FEW = 0.1, 8
"""Part of the range that is near its ends, and values between them that a blurred mask may have."""


def mask_problems(file: Path, labels: Labels, settings: LabelSettings) -> Iterator[Problem]:
    """Say if labels do not look like a mask of cells, or like membranes."""
    cells = "cells" if settings.kind == "mask" else "cell interior"
    inside = _beside_0(labels, settings.ignore)
    if _like_image(labels, settings.ignore):
        yield problem_of(
            "error",
            file,
            f"most of its pixels are between dark and bright, in {len(inside)} values; is it an image? Give "
            "the mask; of a blurred one, most pixels have the lowest or the highest value, or nearly so",
        )
        return
    if len(inside) > 1:
        yield problem_of("warning", file, _between(labels, inside, cells, settings))
    # As the training sees them: with a threshold what is below it is 0.
    zeros = np.count_nonzero(labels < (settings.threshold or 1)) / labels.size
    low, high = ("0", "not 0")
    if settings.threshold is not None:
        low, high = f"below {settings.threshold}", f"{settings.threshold} or more"
    if settings.kind == "membrane" and 0.5 < zeros < 1:
        yield problem_of(
            "warning",
            file,
            f"{zeros:.0%} of it is {low}, which means membrane; is the coding inverted? Cells on "
            "background need --label-kind mask",
        )
    if settings.kind == "mask" and 0 < zeros < 0.5:
        yield problem_of(
            "warning",
            file,
            f"{1 - zeros:.0%} of it is {high}, which means cells; is the coding inverted? Cells between "
            "membranes need --label-kind membrane",
        )


def numbered_cells(labels: Labels, ignore: int | None) -> str:
    """Say if a mask has several values beside 0, which may be the numbers of cells; else nothing."""
    inside = _beside_0(labels, ignore)
    if len(inside) <= 1:
        return ""
    return f"has {_values(inside)}, all read as cells; instance labels need --label-kind instances"


def _beside_0(labels: Labels, ignore: int | None) -> list[int]:
    return sorted(set(np.unique(labels).tolist()) - {0, ignore})


def _values(inside: Sequence[int]) -> str:
    return f"{len(inside)} different values beside 0 ({listed(inside)})"


def _like_image(labels: Labels, ignore: int | None) -> bool:
    """Whether most pixels are neither near the lowest nor near the highest value, as in no mask."""
    values = labels if ignore is None else labels[labels != ignore]
    if not values.size:
        return False
    low, high = int(values.min()), int(values.max())
    edge = _NEAR * (high - low)
    middle = (values > low + edge) & (values < high - edge)
    return bool(middle.mean() > 0.5) and len(np.unique(values[middle])) > _FEW


def _between(labels: Labels, inside: Sequence[int], cells: str, settings: LabelSettings) -> str:
    """Say that a mask has several values beside 0, and what becomes of them."""
    annotated = labels if settings.ignore is None else labels[labels != settings.ignore]
    if settings.threshold is None and len(inside) == 2 and inside[0] > 0 and not (annotated == 0).any():
        low, high = inside
        return (
            f"has the values {low} and {high} and no {'other' if settings.ignore == 0 else '0'}, both read "
            f"as {cells}; if {low} is the background, as where classes are counted from 1, "
            f"--label-threshold {high} takes {high} alone"
        )
    highest = inside[-1]
    between = (labels > 0) & (labels < highest)
    if settings.ignore is not None:
        between &= labels != settings.ignore
    count = int(np.count_nonzero(between))
    many = f"{count} pixels ({count / labels.size:.1%}) have values between 0 and {highest}"
    if len(inside) > _FEW + 1 or _on_edges(between, labels == highest):
        return _of_blurred(f"{many}, as JPEG leaves them", inside, cells, settings)
    return _of_few(many, inside, cells, settings)


def _on_edges(between: NDArray[np.bool_], high: NDArray[np.bool_]) -> bool:
    """Whether pixels of a value between lie in thin lines along those of the highest, as where it is blurred.

    Arrays of (height, width) or (pages, height, width).
    """
    count = np.count_nonzero(between)
    box = np.ones((1,) * (between.ndim - 2) + (3, 3), bool)
    thick = ndimage.binary_erosion(between, box, border_value=1)
    beside = between & ndimage.binary_dilation(high, box, iterations=2)
    return bool(10 * np.count_nonzero(thick) <= count and np.count_nonzero(beside) >= 0.9 * count)


def _of_blurred(many: str, inside: Sequence[int], cells: str, settings: LabelSettings) -> str:
    if settings.threshold is not None:
        return f"{many}; those from {settings.threshold} on are read as {cells}"
    return (
        f"has {_values(inside)}, all read as {cells}; instance labels need --label-kind instances. If the "
        f"mask is blurred, its {cells} grow by that: {many}; "
        f"--label-threshold {(inside[-1] + 1) // 2} takes those from half on"
    )


def _of_few(many: str, inside: Sequence[int], cells: str, settings: LabelSettings) -> str:
    """Say what values that no blur has made may mean."""
    mark = unannotated_mark(inside)
    ignore = f"if {mark or 'one of them'} marks what nobody annotated, give --ignore {mark or 'VALUE'}"
    if settings.threshold is not None:
        instead = f"{ignore}, without --label-threshold" if mark else ignore
        return f"{many}, and those from {settings.threshold} on are read as {cells}; {instead}"
    return (
        f"has {_values(inside)}, all read as {cells}; {ignore}; "
        "class maps need --label-kind classes, instance labels --label-kind instances"
    )
