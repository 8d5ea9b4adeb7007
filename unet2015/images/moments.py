"""Mean and standard deviation of images that need not fit in memory."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bands = Iterable[npt.NDArray[Any]]

_PIECE = 2**17
"""About how many pixels are processed together: their few arrays of float64 stay in the cache."""
_DIGIT = 16  # bits
_QUARTER = 0.25  # so that no difference of two float64 is infinite


def mean_and_deviation(pages: Iterable[Bands], dtype: npt.DTypeLike, channels: int) -> tuple[Floats, Floats]:
    """Return mean and standard deviation (of all pixels, not estimated) of each channel.

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

    Returns
    -------
    mean, deviation : ndarray of float64, shape (channels,)
        The deviation is 0 exactly if all pixels are equal.
    """
    dtype = np.dtype(dtype)
    kind = _FloatMoments if dtype.kind == "f" else _IntegerMoments
    found = [kind(dtype) for _ in range(channels)]
    for bands in pages:
        for band in bands:
            for moments, plane in zip(found, band, strict=True):
                moments.add(plane)
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

    def add(self, plane: npt.NDArray[Any]) -> None:
        pixels = plane.ravel().view(self._unsigned)
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
        self._rows: list[tuple[Floats, Floats]] = []
        self._pages: list[tuple[Floats, Floats]] = []

    def add(self, plane: npt.NDArray[Any]) -> None:
        height, width = plane.shape
        if self._first is None:
            self._first = np.float64(plane[0, 0]) * _QUARTER
        rows = max(1, _PIECE // width)
        for top in range(0, height, rows):
            piece = np.array(plane[top : top + rows], np.float64, order="C")  # so that rows are summed alike
            piece *= _QUARTER
            piece -= self._first
            self._rows.append(_mean_and_rms(piece))

    def end_page(self) -> None:
        self._pages.append(_joined(self._rows))
        self._rows = []

    def result(self) -> tuple[float, float]:
        mean, deviation = _joined(self._pages)
        assert self._first is not None
        return float((mean[0] + self._first) / _QUARTER), float(deviation[0] / _QUARTER)


def _joined(parts: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Return mean and deviation, shape (1,), of parts of one size, given those of each part."""
    means, deviations = (np.concatenate(side)[None] for side in zip(*parts, strict=True))
    # The variance of the whole is that of the means, and the mean of those of the parts.
    mean, between = _mean_and_rms(means)
    return mean, np.hypot(between, _rms(deviations))


def _mean_and_rms(values: Floats) -> tuple[Floats, Floats]:
    """Return the mean along the last axis and the root mean square about it; `values` is overwritten."""
    factor = _power_of_two(values)
    values *= factor
    mean = values.mean(axis=-1, keepdims=True)
    values -= mean
    np.square(values, out=values)
    return (mean / factor)[..., 0], np.sqrt(values.mean(axis=-1)) / factor[..., 0]


def _rms(values: Floats) -> Floats:
    factor = _power_of_two(values)
    root: Floats = np.sqrt(np.square(values * factor).mean(axis=-1)) / factor[..., 0]
    return root


def _power_of_two(values: Floats) -> Floats:
    """Return the factor that brings the largest magnitude along the last axis near 1, if possible."""
    # Powers of two change no digit. At most 2**1000, so that the factor does not overflow.
    largest = np.maximum(values.max(axis=-1, keepdims=True), -values.min(axis=-1, keepdims=True))
    factor: Floats = np.ldexp(1.0, -np.maximum(np.frexp(largest)[1], -1000))
    return factor
