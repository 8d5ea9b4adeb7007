"""Thresholds, stacks of slices, and the best threshold of a stack: what the EM measures share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unet2015.arguments import callback, items, number, pixels, probability_advice
from unet2015.errors import DataSetError, ImageValueError, LabelError, UsageError
from unet2015.metrics.contingency import check_pages

_MOST_STEPS = 10_000
Progress = Callable[[int, int], None]
"""Called with (slices done, slices in all) after each slice."""


class Scored(Protocol):
    """What a row has, whatever the measure."""

    @property
    def threshold(self) -> float:
        """The threshold of the row."""

    @property
    def value(self) -> float:
        """The measure at that threshold."""


Row = TypeVar("Row", bound=Scored)
T = TypeVar("T")


@dataclass(frozen=True)
class Measure(Generic[Row]):
    """One measure of one stack.

    Attributes
    ----------
    value : float
        At the best threshold. Errors: lower is better; scores: higher is better.
    threshold : float or None
        The first of the best thresholds. None when no threshold is better than nothing (F = 0).
    by_threshold : tuple of rows
        Everything at every threshold, in rising order.
    """

    value: float
    threshold: float | None
    by_threshold: tuple[Row, ...]

    @property
    def best(self) -> Row:
        """The row of the chosen threshold; the first row when none was chosen."""
        return next(
            (row for row in self.by_threshold if row.threshold == self.threshold), self.by_threshold[0]
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; not-a-number becomes None, slices are left out."""
        rows = [{k: _plain(v) for k, v in asdict(row).items() if k != "slices"} for row in self.by_threshold]  # type: ignore[call-overload]
        return {"value": self.value, "threshold": self.threshold, "by_threshold": rows}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value


def highest(rows: Sequence[Row], score: Callable[[Row], float]) -> tuple[float, float | None]:
    """The best score and its first threshold; (0, None) where no score is above 0."""
    best, threshold = 0.0, None
    for row in rows:
        if score(row) > best:
            best, threshold = score(row), row.threshold
    return best, threshold


def checked_thresholds(thresholds: Any) -> tuple[float, ...]:
    """Return thresholds as numbers; raise `UsageError` if there is none, or it is something else."""
    found = tuple(
        number(threshold, "thresholds") for threshold in items(thresholds, "thresholds", "a list of numbers")
    )
    if not found:
        raise UsageError("thresholds: expected at least one")
    return found


def threshold_steps(lowest: float, upper: float, step: float = 0.1) -> tuple[float, ...]:
    """Thresholds as the challenge makes them: ``step`` is added again and again in double precision.

    Parameters
    ----------
    lowest, upper : float
        The first threshold and the limit that none exceeds.
    step : float
        Above 0.

    Returns
    -------
    tuple of float
        0.30000000000000004 and 0.7999999999999999 are meant: float32(0.3) is above the one.

    Examples
    --------
    >>> len(threshold_steps(0.0, 1.0)), threshold_steps(0.0, 1.0)[-1]
    (11, 0.9999999999999999)
    """
    lowest, upper, step = number(lowest, "lowest"), number(upper, "upper"), number(step, "step")
    if not (step > 0 and lowest <= upper < float("inf")):
        raise UsageError(f"thresholds need lowest <= upper and step > 0, got {lowest}, {upper}, {step}")
    if (upper - lowest) / step > _MOST_STEPS:
        raise UsageError(f"at most {_MOST_STEPS} thresholds, but {lowest} to {upper} by {step} are more")
    steps = []
    threshold = lowest
    while threshold <= upper:
        steps.append(threshold)
        threshold += step
    return tuple(steps)


ELEVEN = threshold_steps(0.0, 1.0)
"""The thresholds of every EM measure but the warping error."""


@dataclass(frozen=True)
class Stack:
    """Labels and proposal of one shape.

    Attributes
    ----------
    interior : (slices, height, width) bool array
        Ground truth: True inside cells.
    proposal : (slices, height, width) float32 array
        0 is certainly membrane, 1 certainly interior.
    """

    interior: NDArray[np.bool_]
    proposal: NDArray[np.float32]


def read_stack(labels: ArrayLike, proposal: ArrayLike) -> Stack:
    """Check labels and proposal, and bring them to the types that the measures use.

    Parameters
    ----------
    labels : (slices, height, width) or (height, width) array of whole numbers or bool
        Above 0 is cell interior. (The challenge's code compares labels with each threshold too,
        which is the same for whole numbers.) Cells are the 4-connected components of the interior, so
        touching instances need a border of 0 between them.
    proposal : array of the same shape
        Float in [0, 1], or bool, or integers 0 and 1. Rounded to float32, as in the challenge.

    Raises
    ------
    DataSetError
        When shapes differ, or are not 2-D or 3-D, or hold no pixel, or the last axis may be channels (4 or
        fewer beside two longer ones).
    ImageValueError
        When the proposal has NaN or values outside [0, 1]; the message names the slice.
    LabelError
        When labels are not whole numbers from 0 on.
    """
    truth, values = pixels(labels, "labels"), pixels(proposal, "proposal")
    if truth.shape != values.shape:
        raise DataSetError(
            f"labels and proposal must have one shape; labels are {truth.shape}, proposal {values.shape}"
        )
    if truth.ndim not in (2, 3) or truth.size == 0:
        raise DataSetError(
            f"labels and proposal must be (slices, height, width) or (height, width), got {truth.shape}"
        )
    check_pages(truth, "labels")
    if truth.ndim == 2:
        truth, values = truth[None], values[None]
    for k, (page, page_values) in enumerate(zip(truth, values, strict=True)):
        _check_slice(page, page_values, f"slice {k} (of {len(truth)}, from 0)")
    return Stack(truth > 0, values.astype(np.float32))


def _check_slice(labels: NDArray[Any], proposal: NDArray[Any], where: str) -> None:
    if labels.dtype.kind not in "bui" and not np.array_equal(labels, np.floor(labels)):
        raise LabelError(
            f"{where}: labels must be whole numbers (0 = membrane, above 0 = interior), got fractions or NaN"
        )
    if labels.dtype.kind != "b" and labels.min() < 0:
        raise LabelError(f"{where}: labels must not be negative, got {labels.min()}")
    if proposal.dtype.kind == "f" and np.isnan(proposal).any():
        raise ImageValueError(f"{where}: the proposal has NaN in {np.isnan(proposal).sum()} pixels")
    low, high = proposal.min(), proposal.max()
    if low < 0 or high > 1:
        raise ImageValueError(
            f"{where}: the proposal must lie in [0, 1] (0 = membrane, 1 = interior), got {low} to {high}; "
            f"{probability_advice(proposal.dtype)}"
        )


def each_slice(
    function: Callable[[NDArray[np.bool_], NDArray[np.float32]], T],
    stack: Stack,
    progress: Progress | None = None,
) -> list[T]:
    """Apply ``function`` to the slices, on all cores; results are in order and do not depend on them."""
    progress, count = callback(progress, "progress"), len(stack.interior)
    with ThreadPoolExecutor(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    ) as pool:
        results = []
        for result in pool.map(function, stack.interior, stack.proposal):
            results.append(result)
            if progress is not None:
                progress(len(results), count)
    return results
