"""What a file looks like, in a few numbers that its brightness and its contrast do not change.

A mapping that is measured over a file brings every file to the same mean and deviation, also one of noise
alone. So what a model was trained on, and what it is given, can be compared only by numbers that such a
mapping leaves as they are.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.images.border_areas import Mask
from unet2015.images.image import Image
from unet2015.settings.choices import MapEach

Floats = npt.NDArray[np.float64]

_SAMPLE, _LEAST_ROWS = 2**16, 64
"""About how many pixels of a page are looked at, in how many rows at least."""
_PIECE, _PIECES = 2**10, 4
"""Of rows that are wider than as many pieces of this width, as many pieces are looked at."""
_LEAST = 2**12
"""Of fewer pixels nothing is said: single cells would decide."""
_ENDS = (0.001, 0.999)
"""Shares of the pixels of a page: what lies beyond is taken as if it were there, as hot pixels and debris."""
_REACH = 6
"""How far away, in pixels, are those that a pixel is compared with for `Page.relief`."""


@dataclass(frozen=True)
class Page:
    """One page; all but `mean` and `deviation` are free of units.

    Attributes
    ----------
    mean, deviation : float
        Of a quarter of the intensities, so that no difference is infinite; without what is extreme.
    noise : float
        Deviation of what changes from pixel to pixel, in the unit of `deviation`.
    reach : float
        The range of nearly all intensities, in the unit of `deviation`.
    skewness : float
        Of the intensities: positive where few pixels are brighter than most.
    relief : float
        Skewness of the difference between pixels and those some pixels beside: positive where what is small
        is brighter than what is around.
    """

    mean: float
    deviation: float
    noise: float
    reach: float
    skewness: float
    relief: float


Gain = float | npt.NDArray[np.float64] | None
"""Of a mapping by the deviation of all pixels; of one of each page (pages, 1). None of other mappings."""


@dataclass(frozen=True)
class Part:
    """What one offset and gain map: a file, by the median of its pages, or one of its pages.

    Attributes
    ----------
    page : int or None
        Its number; None for a file.
    noise, reach, skewness, relief : float
        As those of `Page`, but the noise as a share of the deviation that is mapped, and the reach in the
        deviation of the noise.
    spread : float or None
        What is left of the contrast to all but extreme pixels, if the mapping is by the deviation.
    """

    page: int | None
    noise: float
    reach: float
    skewness: float
    relief: float
    spread: float | None


@dataclass(frozen=True)
class Appearance:
    """A file, as one mapping takes it.

    Attributes
    ----------
    pages : tuple of Page
        Those that have enough pixels, not all of one value.
    deviation : float
        Of all of them together, without what is extreme, in the unit of the file.
    numbers : tuple of int
        Of these pages, where each of several is mapped by itself; else empty.
    """

    pages: tuple[Page, ...]
    deviation: float
    numbers: tuple[int, ...] = ()

    def parts(self, gain: Gain) -> list[Part]:
        """Return what is mapped by itself: the file, or each of its pages."""
        if not self.numbers:
            both = [(page.skewness, page.relief) for page in self.pages]
            noise, reach = (float(np.median(each)) for each in (self.noises(), self.reaches()))
            skewed, relief = np.median(both, axis=0).tolist()
            spread = None if gain is None else self.deviation * float(np.ravel(gain)[0])
            return [Part(None, noise, reach, skewed, relief, spread)]
        gains = None if gain is None else np.ravel(gain)
        spreads = [
            None if gains is None else 4 * page.deviation * float(gains[number])
            for number, page in zip(self.numbers, self.pages, strict=True)
        ]
        return [
            Part(number, noise, reach, page.skewness, page.relief, spread)
            for number, page, noise, reach, spread in zip(
                self.numbers, self.pages, self.noises(), self.reaches(), spreads, strict=True
            )
        ]

    def noises(self) -> list[float]:
        """Return which share of the deviation that is mapped is noise of single pixels, on each page."""
        if self.numbers:
            return [page.noise / page.deviation for page in self.pages]
        return [4 * page.noise / self.deviation for page in self.pages]

    def reaches(self) -> list[float]:
        """Return the range of nearly all intensities of each page, in deviations of its noise."""
        return [page.reach / page.noise if page.noise else float("inf") for page in self.pages]


Judge = Callable[[Appearance, Gain], Iterable[str]]
"""Says what is odd about an image, given what it looks like, and the gain if that is by the deviation."""


class AppearanceMeter:
    """Measures what a file of one channel looks like, while it is read.

    The bands in which it is read do not matter.

    Parameters
    ----------
    image : Image
        Whose bands will come.
    each : {"file", "page"}
        Over what the mapping is measured.
    """

    def __init__(self, image: Image, each: MapEach = "file") -> None:
        self._image, self._each = image, each
        pieces = [(0, image.width)]
        if image.width > _PIECES * _PIECE:
            starts = np.linspace(0, image.width - _PIECE, _PIECES).astype(int).tolist()
            pieces = [(start, start + _PIECE) for start in starts]
        self._pieces = pieces
        rows = max(_LEAST_ROWS, _SAMPLE // sum(stop - start for start, stop in pieces))
        self._stride = max(1, image.height // rows)
        self._parts: list[Floats] = []
        self._pages: dict[int, Page | None] = {}

    def wants(self, page: int) -> bool:
        """Whether a page is to be looked at: of one channel, and as long as it is not known."""
        return page not in self._pages and self._image.channels == 1

    def add(self, page: int, row: int, band: npt.NDArray[Any], out: Mask | None) -> None:
        """Look at a band, (1, rows, width), that begins at `row` of a page; bands come in order.

        Pixels of `out`, which a mapping leaves out, do not count.
        """
        if row == 0:
            self._parts = []
        rows = np.s_[-row % self._stride :: self._stride]
        for start, stop in self._pieces:
            part = band[0, rows, start:stop].astype(np.float64)
            part /= 4
            if out is not None:
                part[out[0, rows, start:stop]] = np.nan
            self._parts.append(part)
        if row + band.shape[1] == self._image.height:
            with np.errstate(over="ignore", invalid="ignore"):
                self._pages[page] = _measured(np.concatenate(self._parts))

    def found(self) -> Appearance | None:
        """Return what was seen; None where nothing can be said."""
        pages = tuple(page for page in self._pages.values() if page is not None)
        if not pages:
            return None
        means = np.array([page.mean - pages[0].mean for page in pages])
        deviations = np.array([page.deviation for page in pages])
        unit = float(max(np.abs(means).max(), deviations.max()))  # squares must neither overflow nor vanish
        deviation = 4 * unit * float(np.sqrt(np.var(means / unit) + np.square(deviations / unit).mean()))
        if not 0 < deviation < np.inf:
            return None
        numbers = tuple(number for number, page in self._pages.items() if page is not None)
        by_page = self._each == "page" and self._image.pages > 1
        return Appearance(pages, deviation, numbers if by_page else ())


def _measured(rows: Floats) -> Page | None:
    """Return the numbers of a page, given some of its rows, with NaN where pixels do not count."""
    values = _kept(rows)
    if values.size < _LEAST:
        return None
    low, high = np.quantile(values, _ENDS).tolist()
    if not 0 < high - low < np.inf:
        return None
    span = high - low
    rows = (rows.clip(low, high) - low) / span
    values = _kept(rows)
    # The second difference of independent noise has 6 times its variance.
    steps = _kept(rows[:, 2:] - 2 * rows[:, 1:-1] + rows[:, :-2])
    smooth = rows[:, 2:] + rows[:, 1:-1] + rows[:, :-2]
    far = 2 * smooth[:, _REACH:-_REACH] - smooth[:, 2 * _REACH :] - smooth[:, : -2 * _REACH]
    noise = float(np.sqrt(np.square(steps).mean() / 6)) if steps.size else np.nan
    page = Page(
        mean=float(values.mean()) * span + low,
        deviation=float(values.std()) * span,
        noise=noise * span,
        reach=span,
        skewness=_skewness(values),
        relief=_skewness(_kept(far)),
    )
    return page if np.isfinite([*vars(page).values()]).all() else None


def _kept(values: Floats) -> Floats:
    """Return the values that are no NaN, in one row."""
    out = np.isnan(values)
    return values[~out] if out.any() else values.ravel()


def _skewness(values: Floats) -> float:
    if not values.size:
        return float("nan")
    values = values - values.mean()
    squares = np.square(values)
    variance = float(squares.mean())
    return float((squares * values).mean()) / variance**1.5 if variance > 0 else 0.0
