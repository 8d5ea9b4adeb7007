"""Objects in several pieces on a page of labels that comes strip by strip."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.objects.runs import Numbers, least_joined


@dataclass(frozen=True, eq=False)
class _Row:
    """The runs of objects in one row: where they begin and end (half-open), their labels and parts."""

    starts: Numbers
    stops: Numbers
    labels: NDArray[Any]
    parts: Numbers


class Pieces:
    """Takes the strips of a page of labels from top to bottom.

    Each strip is looked at by itself, as runs of equal pixels; what is kept of it are the runs of its last
    row, and the label of each of its parts. Pieces of an object that touch at corners are one.

    Parameters
    ----------
    width : int
        Of the page.
    """

    def __init__(self, width: int) -> None:
        # Between two rows is a gap, so that the end of one touches nothing of the next.
        self._width, self._pitch, self._total = width, width + 1, 0
        self._labels: list[NDArray[Any]] = []
        self._joined: list[tuple[Numbers, Numbers]] = []
        none = np.zeros(0, np.int64)
        self._last = _Row(none, none, none, none)

    def add(self, strip: NDArray[np.integer]) -> None:
        """Take the next strip, shape (rows, width); 0 is background."""
        above, rows = self._last, len(strip)
        starts, stops, labels = self._runs(strip)
        starts, stops = np.append(above.starts, starts), np.append(above.stops, stops)
        labels = np.append(above.labels.astype(labels.dtype), labels)
        least = least_joined(len(starts), *_touching(starts, stops, labels, self._pitch))
        roots = least == np.arange(len(least))
        parts = (np.cumsum(roots) - 1)[least] + self._total
        self._joined.append((above.parts, parts[: len(above.parts)]))
        self._labels.append(labels[roots])
        self._total += int(np.count_nonzero(roots))
        last = np.flatnonzero(starts >= rows * self._pitch)
        back = rows * self._pitch  # the last row comes before the first of the next strip
        self._last = _Row(starts[last] - back, stops[last] - back, labels[last], parts[last])

    def _runs(self, strip: NDArray[np.integer]) -> tuple[Numbers, Numbers, NDArray[Any]]:
        """Return where runs of one object begin and end, and their labels; the first row is number 1."""
        flat = strip.ravel()
        begins = np.ones(flat.size + 1, bool)
        np.not_equal(flat[1:], flat[:-1], out=begins[1:-1])
        begins[:: self._width] = True
        places = np.flatnonzero(begins)
        labels = flat[places[:-1]]
        some = np.flatnonzero(labels)
        starts, lengths = places[some], places[some + 1] - places[some]
        starts = starts + (starts // self._width + self._pitch)
        return starts, starts + lengths, labels[some]

    def several(self) -> list[int]:
        """Return the labels of the objects in several pieces, rising; all strips came."""
        if not self._labels:
            return []
        one, other = (np.concatenate(side) for side in zip(*self._joined, strict=True))
        least = least_joined(self._total, one, other)
        labels = np.concatenate(self._labels)[least == np.arange(self._total)]
        numbers, pieces = np.unique(labels, return_counts=True)
        found: list[int] = numbers[pieces > 1].tolist()
        return found


def _touching(starts: Numbers, stops: Numbers, labels: NDArray[Any], pitch: int) -> tuple[Numbers, Numbers]:
    """Return pairs of runs of one object of which the second touches the first from below, or at a corner."""
    first = np.searchsorted(stops, starts - pitch)
    count = np.maximum(np.searchsorted(starts, stops - pitch, "right") - first, 0)
    below = np.repeat(np.arange(len(starts)), count)
    above = np.arange(len(below)) + np.repeat(first - (np.cumsum(count) - count), count)
    same = labels[above] == labels[below]
    return above[same], below[same]
