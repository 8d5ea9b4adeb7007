"""Curves of losses, short enough to be kept in a result."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def means(values: NDArray[np.floating] | Sequence[float], points: int = 50, digits: int = 4) -> list[float]:
    """Return a curve as at most so many means of equal parts, rounded."""
    parts = np.array_split(np.asarray(values), points)
    return [round(float(part.mean()), digits) for part in parts if part.size]
