"""Counts of held-out pixels, pooled over pages, and the figures that follow from them."""

import numpy as np
from numpy.typing import NDArray

from unet2015.tiling.classes import class_map
from unet2015.training.labels import IGNORED

THRESHOLDS = np.arange(1, 100) / 100
"""Thresholds tried on the probability of class 1; a pixel is of class 1 strictly above."""
CONSTANT = 1e-3
"""Probabilities count as equal if all pixels lie within a range smaller than this."""

_MANTISSA, _SMALLEST = 12, 32
# One bin holds the float32 that share exponent and the first 12 of the 23 bits of the fraction. The exponent
# of 1 is stored as 127; probabilities below 2**-32 share the lowest bin.
_SHIFT = 23 - _MANTISSA
_LOWEST = (127 - _SMALLEST) << _MANTISSA
_HALF = (_SMALLEST - 1) << _MANTISSA
_FEWEST_CELLS = 9


class PooledPixels:
    """Counts over the pixels of many pages; the pages themselves are not kept.

    Parameters
    ----------
    classes : int
        Of the network, from 2 on.
    factor : int
        Pooling factor of the network, in pixels.
    """

    def __init__(self, classes: int, factor: int) -> None:
        self.classes, self.factor = classes, factor
        # By true class and by predicted class or, for two classes, by the number of thresholds below.
        self.counts = np.zeros((classes, len(THRESHOLDS) + 1 if classes == 2 else classes), np.int64)
        self._ranks = np.zeros((2, 2 * _HALF + 1 if classes == 2 else 0), np.int64)
        # By true class and position in the pooling grid: pixels, sum and sum of squares of 1 - p_0.
        self._phases = np.zeros((3, classes, factor * factor), np.float64)
        self._loss = 0.0
        self._low, self._high = np.full(classes, np.inf), np.full(classes, -np.inf)

    def add(self, probabilities: NDArray[np.float32], classes: NDArray[np.uint8]) -> None:
        """Count the annotated pixels of a page: probabilities (C, H, W), classes (H, W)."""
        known = classes != IGNORED
        truth = classes[known].astype(np.int64)
        if not truth.size:
            return
        values = probabilities[:, known]
        # 1e-30: the log of a probability that was rounded to 0 stays finite.
        right = np.maximum(values[truth, np.arange(truth.size)], 1e-30)
        self._loss -= float(np.log(right).sum(dtype=np.float64))
        self._low = np.minimum(self._low, values.min(axis=1))
        self._high = np.maximum(self._high, values.max(axis=1))
        if self.classes == 2:
            # searchsorted counts the thresholds strictly below a probability.
            _count(self.counts, truth, np.searchsorted(THRESHOLDS.astype(np.float32), values[1]))
            _count(self._ranks, truth, _rank(values[0], values[1]))
        else:
            _count(self.counts, truth, class_map(values))
        height, width = classes.shape
        rows, columns = np.arange(height) % self.factor, np.arange(width) % self.factor
        phase = (rows[:, None] * self.factor + columns)[known]
        # One number for class and phase, so that a single bincount sums over both.
        number, shape = truth * self.factor**2 + phase, self._phases.shape[1:]
        shown = 1 - values[0].astype(np.float64)
        for total, weights in zip(self._phases, (None, shown, shown * shown), strict=True):
            total += np.bincount(number, weights, total.size).reshape(shape)

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Share of each class in the annotated pixels; zeros where there is none."""
        found = self.counts.sum(axis=1)
        shares: NDArray[np.float64] = found / max(1, int(found.sum()))
        return shares

    @property
    def cross_entropy(self) -> float:
        """Mean of -log of the probability of the true class, in nats."""
        return self._loss / max(1, int(self.counts.sum()))

    @property
    def constant(self) -> bool:
        """Whether all pixels got nearly the same probabilities."""
        return bool((self._high - self._low < CONSTANT).all())

    def f1(self) -> tuple[float | None, float | None]:
        """Return F1 and, with two classes, its threshold, the lowest of equals; 0.5 where F1 is undefined.

        F1 is undefined if no annotated pixel has a class of 1 or more: it could not tell a network that
        finds something from one that finds nothing.
        """
        if not self.counts[1:].any():
            return None, 0.5 if self.classes == 2 else None
        if self.classes > 2:
            return mean_f1(self.counts), None
        # Above the k-th threshold lie the pixels that exceed at least k + 1 of them.
        above = self.counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
        f1 = 2 * above[1] / np.maximum(1, above.sum(axis=0) + self.counts[1].sum())
        best = int(f1.argmax())
        return float(f1[best]), float(THRESHOLDS[best])

    def baseline(self) -> float | None:
        """Return the F1 of the best constant answer (all pixels get one class); None if F1 is undefined.

        If the class has the share p, precision is p and recall is 1, so F1 is 2 p / (1 + p). With more than
        two classes, the F1 of the other classes is 0, and the mean over all classes that occur is taken.
        """
        shares = self.frequencies[1:]
        if not shares.any():
            return None
        return float(2 * shares.max() / (1 + shares.max()) / np.count_nonzero(shares))

    def of_classes(self) -> tuple[tuple[float | None, float], ...] | None:
        """Return for each class its F1, and that of calling every pixel so; None with two classes."""
        if self.classes == 2:
            return None
        chance = 2 * self.frequencies / (1 + self.frequencies)
        return tuple(zip(class_f1(self.counts), chance.tolist(), strict=True))

    def auc(self) -> float | None:
        """Return the area under the ROC curve of class 1; None with more classes, or without both.

        It is the chance that a random pixel of class 1 has a higher probability than a random pixel of
        class 0. Equal probabilities (to 12 bits of p or of 1 - p) count as half.
        """
        negative, positive = self._ranks
        if not negative.any() or not positive.any():
            return None
        # The Mann-Whitney statistic (doi:10.1148/radiology.143.1.7063747): pairs in order, ties half.
        below = negative.cumsum() - negative / 2
        return float((positive * below).sum() / positive.sum() / negative.sum())

    def repetition(self) -> float | None:
        """Return the share of the map's variance that repeats in the pooling grid and is not in the truth.

        The map is the probability of all classes but 0. If the deep levels of a network give the same output
        everywhere, the map depends only on the position modulo the pooling factor. To find this, the mean of
        the map over each true class is subtracted first: cells that really stand in such a grid must not
        count. Then the product of two pixels at the same position in different cells of the grid is averaged,
        and divided by the variance of the whole map. A pattern that repeats in all cells gives 1; what
        differs from cell to cell gives 0 on average. The plain share of variance between positions does not:
        with few cells, the mean at each position varies by chance.

        None if there is no variance, or if there are fewer than 9 cells for a position on average.
        """
        if self.factor == 1:
            return None
        number, total, squares = self._phases
        pixels = number.sum()
        at = number.sum(axis=0)
        pairs = (at * (at - 1)).sum()  # ordered pairs of two pixels at the same position
        if not pixels or pairs < (_FEWEST_CELLS - 1) * pixels:
            return None
        variance = squares.sum() / pixels - (total.sum() / pixels) ** 2
        if variance < CONSTANT**2 / 4:
            return None
        mean = (total.sum(axis=1) / np.maximum(1, number.sum(axis=1)))[:, None]
        # Sum of x y over pairs of different pixels: (sum of x)^2 - sum of x^2.
        rest = (total - mean * number).sum(axis=0)
        rest_squares = (squares - 2 * mean * total + mean**2 * number).sum(axis=0)
        return float(np.clip((rest**2 - rest_squares).sum() / pairs / variance, 0, 1))


def class_f1(counts: NDArray[np.integer]) -> tuple[float | None, ...]:
    """Return the F1 of each class from counts of pixels (true classes, found classes).

    None for a class that neither occurs nor is found.
    """
    both = (counts.sum(axis=0) + counts.sum(axis=1)).tolist()
    hits = counts.diagonal().tolist()
    return tuple(2 * hit / of if of else None for hit, of in zip(hits, both, strict=True))


def mean_f1(counts: NDArray[np.integer]) -> float:
    """Return the mean F1 of the classes from 1 on that occur, from counts of pixels; 0 if none occurs.

    A class that is called but does not occur has the F1 0. It counts as much as the others if it is called as
    often as the rarest of them occurs, and less if it is called less often: where a class is missing from
    the held-out pages, a single pixel that is called so must not halve the figure.
    """
    true, called = counts.sum(axis=1)[1:], counts.sum(axis=0)[1:]
    occurs = true > 0
    if not occurs.any():
        return 0.0
    found = [value for value in class_f1(counts)[1:] if value is not None]  # those not called add 0
    invented = np.minimum(1, called[~occurs] / true[occurs].min()).sum()
    return float(sum(found) / (np.count_nonzero(occurs) + invented))


def _count(counts: NDArray[np.int64], truth: NDArray[np.int64], found: NDArray[np.integer]) -> None:
    """Count pixels by true class and by the bin in which they were found."""
    wide = counts.shape[1]
    counts += np.bincount(truth * wide + found, minlength=counts.size).reshape(counts.shape)


def _rank(p0: NDArray[np.float32], p1: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return bins that rise with p1. They are fine near 0, and also near 1, because p0 is known there."""
    # The bits of a positive float, read as an integer, rise with its value: the high bits are the bin.
    less = np.clip(np.minimum(p0, p1), 2.0**-_SMALLEST, 0.5).astype(np.float32)
    bins = (less.view(np.int32) >> _SHIFT).astype(np.int64) - _LOWEST
    return np.where(p1 <= p0, bins, 2 * _HALF - bins)
