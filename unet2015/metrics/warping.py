"""Warping error: the pixels that still differ after the truth is bent, without tearing, to the proposal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unet2015.arguments import integer, number
from unet2015.metrics.compiled import compiled
from unet2015.metrics.components import components
from unet2015.metrics.homotopy import warp_slice
from unet2015.metrics.thresholds import (
    Measure,
    Progress,
    checked_thresholds,
    each_slice,
    read_stack,
    threshold_steps,
)

_WIDEST = 1 << 20
TEN = threshold_steps(0.0, 0.9)
"""The thresholds of the warping error on the leaderboard's page."""


class Mismatch(IntEnum):
    """The kind of error that a pixel shows if it could not be warped."""

    NONE = 0
    MERGER = 1
    SPLIT = 2
    HOLE_ADDITION = 4
    OBJECT_DELETION = 8
    OBJECT_ADDITION = 16
    HOLE_DELETION = 32


@dataclass(frozen=True)
class Mismatches:
    """Numbers of pixels by kind of error, in one slice or a stack."""

    splits: int
    mergers: int
    hole_additions: int
    hole_deletions: int
    object_additions: int
    object_deletions: int
    pixels: int
    """All of them, matching or not."""

    @property
    def error(self) -> float:
        """(splits + mergers) / pixels."""
        return (self.splits + self.mergers) / self.pixels


@dataclass(frozen=True)
class WarpingScore:
    """The warping error at one threshold; counts are pixels, summed over the slices."""

    threshold: float
    value: float
    """(splits + mergers) / pixels."""
    splits: int
    mergers: int
    hole_additions: int
    hole_deletions: int
    object_additions: int
    object_deletions: int
    pixels: int
    all_mismatches: float
    """All six kinds / pixels: the plain warping error of Jain et al."""
    slices: tuple[Mismatches, ...]


def warping_error(
    labels: ArrayLike,
    proposal: ArrayLike,
    *,
    thresholds: Sequence[float] = TEN,
    radius: int = 20,
    progress: Progress | None = None,
) -> Measure[WarpingScore]:
    """Warping error of the ISBI 2012 challenge: splits and mergers per pixel.

    The defaults are those of the leaderboard's page; the organisers' script of 2016 uses
    ``thresholds=threshold_steps(0.1, 0.9), radius=10`` (and looks at every third slice).

    Parameters
    ----------
    labels, proposal, progress
        As for `unet2015.metrics.pixel_error`.
    thresholds : sequence of float
        Rising.
    radius : int
        Half the side, in pixels, of the window in which a flip is tried (0 or more).

    Returns
    -------
    Measure
        ``value`` is the smallest over the thresholds. Lost and added objects and holes do not count, so a
        proposal that is membrane everywhere has the error 0: always look at the other measures, too.

    Raises
    ------
    DataSetError, ImageValueError, LabelError
        See `unet2015.metrics.thresholds.read_stack`.
    UsageError
        When the radius is negative.

    Notes
    -----
    The order in which pixels are visited is part of the measure: mismatches are listed column by
    column and sorted stably by falling abs(proposal - threshold), in float32. So one binary proposal
    can have different values at different thresholds, and flips and transpositions of a stack may
    change the value a little.

    References
    ----------
    Jain et al., Boundary learning by optimization with topological constraints, CVPR 2010,
    doi:10.1109/CVPR.2010.5539950.
    Arganda-Carreras et al., Front. Neuroanat. 9:142 (2015), doi:10.3389/fnana.2015.00142.
    """
    thresholds, radius = checked_thresholds(thresholds), integer(radius, "radius", 0, _WIDEST)

    def count(interior: NDArray[np.bool_], values: NDArray[np.float32]) -> list[Mismatches]:
        return [_counts(_mismatches(interior, values, threshold, radius)) for threshold in thresholds]

    pages = each_slice(count, read_stack(labels, proposal), progress)
    rows = tuple(
        _score(threshold, tuple(page[k] for page in pages)) for k, threshold in enumerate(thresholds)
    )
    best = min(rows, key=lambda row: row.value)  # the first of equals
    return Measure(best.value, best.threshold, rows)


def warping_mismatches(
    labels: ArrayLike, proposal: ArrayLike, threshold: float, *, radius: int = 20
) -> NDArray[np.uint8]:
    """Where the proposal fails at a threshold: the `Mismatch` of each pixel.

    Parameters
    ----------
    labels, proposal, radius
        As for `warping_error`.
    threshold : float
        The proposal's interior is what is strictly above it.

    Returns
    -------
    (slices, height, width) uint8 array
        Values of `Mismatch`; 0 where warping met the proposal.
    """
    stack = read_stack(labels, proposal)
    threshold, radius = number(threshold, "threshold"), integer(radius, "radius", 0, _WIDEST)
    return np.stack(
        each_slice(lambda interior, values: _mismatches(interior, values, threshold, radius), stack)
    )


def _mismatches(
    interior: NDArray[np.bool_], values: NDArray[np.float32], threshold: float, radius: int
) -> NDArray[np.uint8]:
    warped = warp_slice(interior, values, threshold)
    # float64: NumPy would round a Python threshold to float32 first.
    left = warped != (values.astype(np.float64) > threshold)
    # If labels are interior everywhere, the challenge's code finds no component at all.
    objects = np.zeros(warped.shape, np.int32) if interior.all() else components(warped)
    classes = np.zeros(warped.shape, np.uint8)
    ys, xs = np.nonzero(left)
    _classify(objects, ys, xs, radius, classes)
    return classes


@compiled
def _classify(
    objects: NDArray[np.int32],
    ys: NDArray[np.int64],
    xs: NDArray[np.int64],
    radius: int,
    classes: NDArray[np.uint8],
) -> None:
    """Class of each listed pixel by the object numbers of its up to eight neighbours (0 included)."""
    height, width = objects.shape
    if radius > height or radius > width:
        radius = max(height, width)  # the challenge takes the whole image then
    seen = np.full(objects.shape, -1, np.int32)
    queue = np.empty((objects.size, 2), np.int32)
    for k in range(len(ys)):
        y, x = ys[k], xs[k]
        # Object numbers among the neighbours: one, another, and how many there are (3: three or more).
        low, high, numbers = -1, -1, 0
        for i in range(max(y - 1, 0), min(y + 2, height)):
            for j in range(max(x - 1, 0), min(x + 2, width)):
                number = objects[i, j]
                if (i == y and j == x) or number in (low, high):
                    continue
                if numbers == 0:
                    low = number
                elif numbers == 1:
                    high = number
                numbers = min(numbers + 1, 3)
        # The rules of the challenge's code; the values are those of Mismatch.
        inside = objects[y, x] > 0
        if numbers == 2 and inside:
            parts = _parts(objects, y, x, radius, seen, queue, k)
            classes[y, x] = 2 if parts > 2 else 32
        elif numbers == 2:
            classes[y, x] = 4
        elif numbers == 3:
            classes[y, x] = 2 if inside else 1
        elif low == 0 or numbers == 0:
            classes[y, x] = 8 if inside else 16
        else:
            classes[y, x] = 4 if inside else 32


@compiled
def _parts(
    objects: NDArray[np.int32],
    y: int,
    x: int,
    radius: int,
    seen: NDArray[np.int32],
    queue: NDArray[np.int32],
    mark: int,
) -> int:
    """Count the objects around (y, x), background included, after it is cleared and its window relabelled."""
    height, width = objects.shape
    top, bottom = max(y - radius, 0), min(y + radius + 1, height)
    left, right = max(x - radius, 0), min(x + radius + 1, width)
    seen[y, x] = mark
    # `mark` is new in each call, so `seen` need not be cleared. Each neighbour not seen floods its part.
    parts, background = 0, 0
    for i in range(max(y - 1, top), min(y + 2, bottom)):
        for j in range(max(x - 1, left), min(x + 2, right)):
            if i == y and j == x:
                continue
            if objects[i, j] == 0:
                background = 1
                continue
            if seen[i, j] == mark:
                continue
            parts += 1
            seen[i, j] = mark
            queue[0, 0], queue[0, 1] = i, j
            start, end = 0, 1
            while start < end:
                a, b = queue[start, 0], queue[start, 1]
                start += 1
                for da, db in ((-1, 0), (0, -1), (1, 0), (0, 1)):
                    c, d = a + da, b + db
                    if c < top or d < left or c >= bottom or d >= right:
                        continue
                    if objects[c, d] > 0 and seen[c, d] != mark:
                        seen[c, d] = mark
                        queue[end, 0], queue[end, 1] = c, d
                        end += 1
    return parts + background


_KINDS = {
    "splits": Mismatch.SPLIT,
    "mergers": Mismatch.MERGER,
    "hole_additions": Mismatch.HOLE_ADDITION,
    "hole_deletions": Mismatch.HOLE_DELETION,
    "object_additions": Mismatch.OBJECT_ADDITION,
    "object_deletions": Mismatch.OBJECT_DELETION,
}


def _counts(classes: NDArray[np.uint8]) -> Mismatches:
    counts = np.bincount(classes.ravel(), minlength=max(Mismatch) + 1).tolist()
    return Mismatches(pixels=classes.size, **{name: counts[kind] for name, kind in _KINDS.items()})


def _score(threshold: float, slices: tuple[Mismatches, ...]) -> WarpingScore:
    kinds = {name: sum(getattr(page, name) for page in slices) for name in _KINDS}
    total = Mismatches(pixels=sum(page.pixels for page in slices), **kinds)
    share = sum(kinds.values()) / total.pixels
    return WarpingScore(
        threshold, total.error, pixels=total.pixels, all_mismatches=share, slices=slices, **kinds
    )
