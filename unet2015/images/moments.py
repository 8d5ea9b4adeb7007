"""Mean and standard deviation of images that need not fit in memory."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bands = Iterable[npt.NDArray[Any]]
Mask = npt.NDArray[np.bool_]
LeftOut = Callable[[int, int, npt.NDArray[Any]], Mask | None]
"""Which pixels of a band, given its page and first row, do not count; None: all do."""

_Part = tuple[Floats, Floats, Floats]
"""Mean, deviation and number of pixels of each of some rows or pages."""
_PIECE = 2**17
"""About how many pixels are processed together: their few arrays of float64 stay in the cache."""
_DIGIT = 16  # bits
_QUARTER = 0.25  # so that no difference of two float64 is infinite


def mean_and_deviation(
    pages: Iterable[Bands],
    dtype: npt.DTypeLike,
    channels: int,
    left_out: LeftOut = lambda page, row, band: None,
) -> tuple[Floats, Floats]:
    """Return mean and standard deviation (of all pixels that count, not estimated) of each channel.

    They do not depend on how pages are cut into bands. Integers are summed exactly. Floats are summed in
    float64 by NumPy's pairwise sums: each row, then the rows of a page, then the pages. Squares are taken
    about the mean of each, and scaled so that they neither overflow nor vanish.

    Parameters
    ----------
    pages : iterable of iterables of ndarray, shape (channels, rows, width)
        The bands of each page, from top to bottom, all pages of one size; no NaN.
    dtype : dtype
        Their type: integer or floating.
    channels : int
        Number of channels.
    left_out : callable
        Says of a band which of its pixels do not count. Default: all do.

    Returns
    -------
    mean, deviation : ndarray of float64, shape (channels,)
        The deviation is 0 exactly if all pixels are equal; both are 0 where no pixel counts.
    """
    dtype = np.dtype(dtype)
    kind = _FloatMoments if dtype.kind == "f" else _IntegerMoments
    found = [kind(dtype) for _ in range(channels)]
    for page, bands in enumerate(pages):
        row = 0
        for band in bands:
            out = left_out(page, row, band)
            row += band.shape[1]
            for number, moments in enumerate(found):
                moments.add(band[number], None if out is None else out[number])
        for moments in found:
            moments.end_page()
    both = np.array([moments.result() for moments in found], np.float64)
    return both[:, 0], both[:, 1]


class _IntegerMoments:
    """Exact sums of one channel's pixels and of their squares."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._unsigned = np.dtype(f"u{dtype.itemsize}")
        self._least = int(np.iinfo(dtype).min)
        bits = 8 * dtype.itemsize
        self._shifts = [self._unsigned.type(shift) for shift in range(0, bits, _DIGIT)]
        self._mask = self._unsigned.type(2 ** min(_DIGIT, bits) - 1)
        self._count = self._sum = self._squares = 0

    def add(self, plane: npt.NDArray[Any], left_out: Mask | None) -> None:
        pixels = (plane.ravel() if left_out is None else plane[~left_out]).view(self._unsigned)
        for start in range(0, pixels.size, _PIECE):
            # Flipping the sign bit of two's complement subtracts the least value; unsigned pixels stay.
            piece = pixels[start : start + _PIECE] ^ self._unsigned.type(-self._least)
            # Sums of 2^17 products of two 16-bit digits are below 2^49: exact in float64 (up to 2^53).
            digits = [((piece >> shift) & self._mask).astype(np.float64) for shift in self._shifts]
            self._count += piece.size
            for i, digit in enumerate(digits):
                self._sum += int(digit.sum()) << _DIGIT * i
                for j, other in enumerate(digits):
                    self._squares += int(np.dot(digit, other)) << _DIGIT * (i + j)

    def end_page(self) -> None:
        """Do nothing: sums are not kept by page."""

    def result(self) -> tuple[float, float]:
        if not self._count:
            return 0.0, 0.0
        # In Python's whole numbers until the division; the variance does not depend on the least.
        mean = (self._sum + self._count * self._least) / self._count
        variance = (self._count * self._squares - self._sum**2) / self._count**2
        return mean, math.sqrt(variance)


class _FloatMoments:
    """Means and deviations of one channel: of the rows of the present page, and of the pages before it.

    The first pixel is subtracted from all, so that equal pixels have deviation 0 and a large offset costs no
    digits.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._first: np.float64 | None = None
        self._rows: list[_Part] = []
        self._pages: list[_Part] = []

    def add(self, plane: npt.NDArray[Any], left_out: Mask | None) -> None:
        height, width = plane.shape
        kept = plane if left_out is None else plane[~left_out]
        if not kept.size:
            return
        if self._first is None:
            self._first = np.float64(kept.flat[0]) * _QUARTER
        rows = max(1, _PIECE // width)
        for top in range(0, height, rows):
            piece = np.array(plane[top : top + rows], np.float64, order="C")  # so that rows are summed alike
            piece *= _QUARTER
            piece -= self._first
            if left_out is None:
                self._add_rows(piece)
                continue
            for row, out in zip(piece, left_out[top : top + rows], strict=True):
                if not out.all():
                    self._add_rows(row[~out][None])

    def _add_rows(self, values: Floats) -> None:
        count = np.full(len(values), values.shape[1], np.float64)
        self._rows.append((*_mean_and_rms(values), count))

    def end_page(self) -> None:
        if self._rows:
            self._pages.append(_joined(self._rows))
        self._rows = []

    def result(self) -> tuple[float, float]:
        if self._first is None:
            return 0.0, 0.0
        mean, deviation, _ = _joined(self._pages)
        return float((mean[0] + self._first) / _QUARTER), float(deviation[0] / _QUARTER)


def _joined(parts: list[_Part]) -> _Part:
    """Return mean, deviation and number of pixels, shape (1,), of the whole, given those of its parts."""
    means, deviations, counts = (np.concatenate(side)[None] for side in zip(*parts, strict=True))
    whole = counts.sum(axis=1)
    # Parts of one size, as without left-out pixels, all have the factor 1.
    share = None if (counts == counts[0, 0]).all() else counts * (counts.size / whole)
    # The variance of the whole is that of the means, and the mean of those of the parts.
    mean, between = _mean_and_rms(means, share)
    return mean, np.hypot(between, _rms(deviations, share)), whole


def _mean_and_rms(values: Floats, share: Floats | None = None) -> tuple[Floats, Floats]:
    """Return the mean along the last axis and the root mean square about it; `values` is overwritten.

    With `share` each value counts as much as that says; its mean is 1.
    """
    factor = _power_of_two(values)
    values *= factor
    mean = (values if share is None else values * share).mean(axis=-1, keepdims=True)
    values -= mean
    np.square(values, out=values)
    if share is not None:
        values *= share
    return (mean / factor)[..., 0], np.sqrt(values.mean(axis=-1)) / factor[..., 0]


def _rms(values: Floats, share: Floats | None) -> Floats:
    factor = _power_of_two(values)
    squares = np.square(values * factor)
    if share is not None:
        squares *= share
    root: Floats = np.sqrt(squares.mean(axis=-1)) / factor[..., 0]
    return root


def _power_of_two(values: Floats) -> Floats:
    """Return the factor that brings the largest magnitude along the last axis near 1, if possible."""
    # Powers of two change no digit. At most 2**1000, so that the factor does not overflow.
    largest = np.maximum(values.max(axis=-1, keepdims=True), -values.min(axis=-1, keepdims=True))
    factor: Floats = np.ldexp(1.0, -np.maximum(np.frexp(largest)[1], -1000))
    return factor
