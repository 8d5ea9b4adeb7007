"""Held-out pages that are pages trained on in another brightness or contrast: a line over their values."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unet2015.images.image import Image

_SIDE = 32
"""Rows, and columns, of a page of which the sample is taken."""
_ALIKE = 0.3
"""Correlation, or its opposite, of samples to look at; what was cut off, or a scale bar, lessens it."""
_COMPARED = 8
"""Pages with which a held-out page is compared at most, those most alike."""
_VALUES = 16
"""Different values that a sample must have: of fewer, rounding leaves too little to tell."""
_ROUNDED = 0.7
"""How far from the line a pixel may be, in steps of the coarser page: half one, and what the fit leaves."""
_INSIDE = 0.5
"""Share of the pixels that must not be darkest or brightest of their page, which may have been cut off."""
_BESIDE, _BESIDE_SAMPLE = 0.001, 0.01
"""Share of the pixels that may be farther from the line, of a page and of a sample."""
_BLOCK = 2**22

Floats = npt.NDArray[np.float64]
Sites = Sequence[tuple[Image, int]]
"""For each page of a set, its image and its number in it."""


class PageSample(NamedTuple):
    """Some pixels of a page.

    Attributes
    ----------
    values : ndarray, shape (channels, pixels)
        At the same places of all pages of one size.
    low, high : ndarray of float64, shape (channels,)
        Least and greatest value of the whole page.
    size : tuple of int
        Height and width of the page.
    """

    values: npt.NDArray[np.generic]
    low: Floats
    high: Floats
    size: tuple[int, int]


class SampleTaker:
    """Takes the bands of a page (channels, rows, columns) from top to bottom.

    Parameters
    ----------
    height, width : int
        Of the page.
    """

    def __init__(self, height: int, width: int) -> None:
        self._size = height, width
        self._rows, self._columns = (
            np.unique(((np.arange(_SIDE) + 0.5) * (side / _SIDE)).astype(int)) for side in self._size
        )
        self._taken: list[npt.NDArray[np.generic]] = []
        self._row = 0

    def update(self, band: npt.NDArray[np.generic]) -> None:
        """Take the next rows."""
        rows = self._rows[(self._row <= self._rows) & (self._rows < self._row + band.shape[1])] - self._row
        self._taken.append(band[:, rows][:, :, self._columns])
        self._row += band.shape[1]

    def found(self, low: Floats, high: Floats) -> PageSample:
        """Return the sample; `low` and `high` are the least and greatest value of each channel."""
        values = np.concatenate(self._taken, axis=1)
        return PageSample(values.reshape(len(values), -1), low, high, self._size)


def rescaled(
    samples: Sequence[PageSample | None], sites: Sites, training: Sequence[int], held_out: Sequence[int]
) -> dict[int, int]:
    """Return, by held-out pages, pages to train on that are the same but for brightness or contrast.

    A page may be on both sides: it is not compared with itself.

    Where samples go together, all pixels of both pages are read again and compared.

    Parameters
    ----------
    samples : sequence of PageSample or None
        Of each page of the set; None for pages that are not looked at.
    sites : sequence of (Image, int)
        Where to read each page.
    training, held_out : sequence of int
        Numbers of pages, by the side that they are on.
    """
    known = {page: sample for page in {*training, *held_out} if (sample := samples[page]) is not None}
    plain = {page: _standard(sample) for page, sample in known.items()}
    of_kind: dict[tuple[int, ...], list[int]] = {}
    for page in training:
        if page in known:
            of_kind.setdefault(_kind(known[page]), []).append(page)
    tables = {kind: np.stack([plain[page] for page in pages]) for kind, pages in of_kind.items()}
    found = {}
    for page in held_out:
        if page not in known or (kind := _kind(known[page])) not in tables:
            continue
        alike = np.abs(np.einsum("pcn,cn->pc", tables[kind], plain[page], optimize=True)).min(axis=1)
        for near in np.argsort(-alike, kind="stable")[: _COMPARED + 1].tolist():
            other = of_kind[kind][near]
            if other == page:
                continue
            if alike[near] >= _ALIKE and _goes_with(known[page], known[other], sites[page], sites[other]):
                found[page] = other
                break
    return found


def likeness(one: PageSample, other: PageSample) -> float:
    """Return the correlation of two pages, or its opposite, by their samples; 0 for pages of other sizes."""
    if _kind(one) != _kind(other):
        return 0.0
    return float(np.abs(np.einsum("cn,cn->c", _standard(one), _standard(other))).min())


def _kind(sample: PageSample) -> tuple[int, ...]:
    """Return what pages have in common that may go together."""
    return (*sample.size, len(sample.values))


def _standard(sample: PageSample) -> npt.NDArray[np.float32]:
    """Return each channel with mean 0 and a sum of squares of 1; those of one value are all alike."""
    values = sample.values.astype(np.float64) / 4  # no mean of quarters is infinite
    values[sample.low == sample.high] = np.arange(values.shape[1])
    values -= values.mean(axis=1, keepdims=True)
    values /= np.abs(values).max(axis=1, keepdims=True).clip(min=np.finfo(np.float64).tiny)
    values /= np.sqrt((values**2).sum(axis=1, keepdims=True)).clip(min=np.finfo(np.float32).tiny)
    return values.astype(np.float32)


def _goes_with(one: PageSample, other: PageSample, site: tuple[Image, int], its: tuple[Image, int]) -> bool:
    """Return whether all pixels of a page lie on a line over those of another, as far as both are rounded."""
    plain = (one.low == one.high) & (other.low == other.high)
    lines = dict[int, _Line]()
    for channel in np.flatnonzero(~plain).tolist():
        if (line := _Line.of(one, other, channel)) is None:
            return False
        lines[channel] = line
    height, width = one.size
    rows = max(1, _BLOCK // width)
    total, counts = height * width, np.zeros((len(one.values), 2), np.int64)
    for top in range(0, height, rows):
        bands = [image.read(page, top, min(top + rows, height), 0, width) for image, page in (site, its)]
        for channel, line in lines.items():
            counts[channel] += line.beside(*(band[channel] for band in bands))
    inside, beside = counts[~plain].T
    fits = (inside >= _INSIDE * total) & (beside <= _BESIDE * inside)
    return bool(fits.size and fits.all())


class _Line(NamedTuple):
    """A line over one channel of two pages: the coarser over the finer."""

    swapped: bool
    middle: float
    slope: float
    height: float
    most: float
    ends: tuple[float, float, float, float]

    @classmethod
    def of(cls, one: PageSample, other: PageSample, channel: int) -> "_Line | None":
        """Return the line of two samples; None if they do not lie on any."""
        (coarse, fine) = ((page.values[channel].astype(np.float64)) for page in (one, other))
        ends = [(float(page.low[channel]), float(page.high[channel])) for page in (one, other)]
        steps = [_step(page.values.dtype, *each) for page, each in zip((one, other), ends, strict=True)]
        spread = float(fine.std()), float(coarse.std())
        if swapped := spread[1] * steps[1] > spread[0] * steps[0]:
            coarse, fine, ends, steps = fine, coarse, ends[::-1], steps[::-1]
        limits = (*ends[0], *ends[1])
        inside = _inside(coarse, fine, limits)
        coarse, fine = coarse[inside], fine[inside]
        if min(len(np.unique(coarse)), len(np.unique(fine))) < _VALUES or inside.mean() < _INSIDE:
            return None
        middle = float(fine.mean())
        squares = float(((fine - middle) ** 2).sum())
        slope = float(((fine - middle) * coarse).sum()) / squares
        line = cls(swapped, middle, slope, float(coarse.mean()), _ROUNDED * steps[0], limits)
        beside = np.abs(coarse - line.at(fine)) > line.most
        return line if np.count_nonzero(beside) <= _BESIDE_SAMPLE * len(fine) else None

    def at(self, fine: Floats) -> Floats:
        """Return the values of the coarser page that go with those of the finer."""
        values: Floats = (fine - self.middle) * self.slope + self.height
        return values

    def beside(self, one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> tuple[int, int]:
        """Return how many pixels are neither darkest nor brightest, and how many of them are not on it."""
        coarse, fine = (band.astype(np.float64) for band in ((other, one) if self.swapped else (one, other)))
        inside = _inside(coarse, fine, self.ends)
        far = inside & (np.abs(coarse - self.at(fine)) > self.most)
        return int(np.count_nonzero(inside)), int(np.count_nonzero(far))


def _inside(coarse: Floats, fine: Floats, ends: tuple[float, float, float, float]) -> npt.NDArray[np.bool_]:
    low, high, its_low, its_high = ends
    inside: npt.NDArray[np.bool_] = (low < coarse) & (coarse < high) & (its_low < fine) & (fine < its_high)
    return inside


def _step(dtype: np.dtype[Any], low: float, high: float) -> float:
    """Return by how much two values of a page differ at least."""
    return 1.0 if dtype.kind in "iub" else 16 * float(np.finfo(dtype).eps) * max(abs(low), abs(high))
