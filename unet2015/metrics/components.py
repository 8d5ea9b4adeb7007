"""Objects of truth and proposal at each threshold, and their tables; all object measures share this."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from unet2015.metrics.contingency import Contingency, contingency_table
from unet2015.metrics.thresholds import Progress, each_slice, read_stack

Objects = Callable[[NDArray[np.bool_]], NDArray[np.int32]]
"""The interior of a slice to its objects, numbered from 1."""
T = TypeVar("T")


def components(interior: NDArray[np.bool_]) -> NDArray[np.int32]:
    """4-connected components of one slice, from 1; 0 is background. SciPy's labelling."""
    return ndimage.label(interior, output=np.int32)[0]  # type: ignore[no-any-return]


def each_table(
    labels: ArrayLike,
    proposal: ArrayLike,
    thresholds: Sequence[float],
    objects: Objects,
    measure: Callable[[Contingency], T],
    progress: Progress | None,
) -> list[list[T]]:
    """Return the result of `measure` for each slice (outer list) at each threshold (inner list).

    It gets the contingency table over the pixels of the truth's interior only. The objects of the truth are
    its components; `objects` says what those of the proposal are.
    """
    stack = read_stack(labels, proposal)

    def of_slice(interior: NDArray[np.bool_], values: NDArray[np.float32]) -> list[T]:
        truth = components(interior)[interior]
        wide = values.astype(np.float64)
        return [
            measure(contingency_table(truth, objects(wide > threshold)[interior])) for threshold in thresholds
        ]

    return each_slice(of_slice, stack, progress)
