"""Places of a page that are chosen by what they show, so that pages which overlap choose the same ones.

A place is a run of neighbouring pixels of a row. Which runs are chosen depends on their pixels alone:
wherever a crop begins, it chooses those runs that the whole image chooses there. It may depend on which
pixels are brighter than which alone: then it is the same where values became others, in the same order.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_RUN = 17
"""Pixels of a run."""
_WANTED, _LEAST = 4096, 256
"""Places of a page: of a small set, and of any. Their share of its pixels lies between the next two."""
_TOGETHER = 2**22
"""Places of all pages of a set, but for those that each must have: 64 MiB."""
_FEWEST, _MOST = 1 / 1024, 1 / 16
_BLOCK = 2**17
"""Pixels that are looked at together: what is computed of them stays in the cache."""
_AHEAD = 4
"""With so many of the pixels after it each is compared, where only their order counts."""
_STEPS = np.random.default_rng(2015).integers(0, 2**31, 6, np.uint32) * 2 + 1
_ODD = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)

Values = npt.NDArray[np.uint32]
Keys = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int32]


class Landmarks(NamedTuple):
    """The chosen places of a page.

    Attributes
    ----------
    keys : ndarray of uint64, shape (places,)
        The same for runs with equal pixels. Each is there once.
    places : ndarray of int32, shape (places, 2)
        Row and column where each run begins.
    height, width : int
        Of the page.
    """

    keys: Keys
    places: Places
    height: int
    width: int


def places_of_each(pages: int) -> int:
    """Return how many places to choose on a page of a set of so many: more pages, fewer on each."""
    return max(_LEAST, min(_WANTED, _TOGETHER // pages))


class LandmarkFinder:
    """Takes the bands of a page (channels, rows, columns) from top to bottom.

    Parameters
    ----------
    height, width : int
        Of the page.
    wanted : int
        About how many places to choose. Those of a smaller number are among those of a larger one.
    order_alone : bool
        Whether only the order of values counts.
    """

    def __init__(self, height: int, width: int, wanted: int = _WANTED, *, order_alone: bool = False) -> None:
        self._number = _as_order if order_alone else _as_one
        self._run = _RUN + _AHEAD if order_alone else _RUN
        self._size = height, width
        self._least = np.uint32(2**32 - 2**32 * min(_MOST, max(_FEWEST, wanted / (height * width))))
        self._keys: list[Keys] = []
        self._places: list[Places] = []
        self._row = 0

    def update(self, band: npt.NDArray[np.generic]) -> None:
        """Take the next rows."""
        _, height, width = band.shape
        if width >= self._run:
            rows = max(1, _BLOCK // width)
            for top in range(0, height, rows):
                self._add(self._number(band[:, top : top + rows]), self._row + top)
        self._row += height

    def found(self) -> Landmarks:
        """Return the places of the page whose pixels are there once."""
        keys = np.concatenate([np.empty(0, np.uint64), *self._keys])
        places = np.concatenate([np.empty((0, 2), np.int32), *self._places])
        once, first, counts = np.unique(keys, return_index=True, return_counts=True)
        return Landmarks(once[counts == 1], places[first[counts == 1]], *self._size)

    def _add(self, values: Values, top: int) -> None:
        sums = _sums(values)
        rows, columns = np.divmod(np.flatnonzero(sums >= self._least), sums.shape[1])
        inside = columns <= values.shape[1] - _RUN
        rows, columns = rows[inside], columns[inside]
        runs = np.lib.stride_tricks.sliding_window_view(values, _RUN, axis=1)[rows, columns]
        keys, first, counts = np.unique(_keys(runs), return_index=True, return_counts=True)
        kept = first[counts == 1]
        self._keys.append(keys[counts == 1])
        self._places.append(np.stack([rows[kept] + top, columns[kept]], axis=1).astype(np.int32))


def _as_one(band: npt.NDArray[np.generic]) -> Values:
    """Return a number for each pixel that tells the values of its channels."""
    native = band.astype(band.dtype.newbyteorder("="), order="C", copy=False)
    bits = native.view(f"u{band.dtype.itemsize}")
    if bits.dtype.itemsize > 4:
        bits = bits ^ (bits >> _HALF)
    mixed: Values = bits[0].astype(np.uint32)
    for number, channel in enumerate(bits[1:]):
        mixed = mixed * _ODD.astype(np.uint32) + channel.astype(np.uint32) + np.uint32(number)
    return mixed


def _as_order(band: npt.NDArray[np.generic]) -> Values:
    """Return a number for each pixel that tells which of those after it are brighter, and which darker."""
    width = band.shape[2] - _AHEAD
    mixed = np.zeros((band.shape[1], width), np.uint32)
    for channel in band:
        first = channel[:, :width]
        for step in range(1, _AHEAD + 1):
            other = channel[:, step : step + width]
            mixed = mixed * np.uint32(3) + (other > first) + np.uint32(2) * (other < first)
    return mixed


def _sums(values: Values) -> Values:
    """Return for each place a number of the pixels that begin there: 0, never chosen, of equal ones."""
    sums = values[:, 1:] - values[:, :-1]
    for number in range(3):  # of 2, 4, 8 differences
        step = 2**number
        further = sums[:, :-step] * _STEPS[number]
        further += sums[:, step:]
        sums = further
    sums *= _STEPS[3]
    return sums


def _keys(runs: Values) -> Keys:
    """Return a number of 64 bits for each run, by all of its pixels."""
    keys = np.zeros(len(runs), np.uint64)
    for column in runs.T:
        keys = (keys ^ column) * _ODD
        keys ^= keys >> _HALF
    return keys
