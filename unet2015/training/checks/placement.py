"""Whether labels would fit their images better if they were moved, mirrored, turned, or those of other pages.

What labels draw (where cells are, and where one ends) is explained by what the images show, by a linear
regression: so it does not matter whether cells are bright or dark, smooth or rough. The explained variance is
computed for all shifts at once, by the correlations of the maps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.optimize import linear_sum_assignment

from unet2015.training.checks.seen_and_drawn import Drawn, Maps

Floats = npt.NDArray[np.floating[Any]]

BETTER = (1.2, 1.5)
"""How many times as well cells and their ends together, and the ends alone, must be explained elsewhere."""
LEAST, LEAST_OF_FEW = 0.05, 6000
"""Part of the variance of the ends that must be explained there; of few pixels the second, divided by their
number: by so much chance explains in the best of all places."""
FEWEST = 10
"""Of fewer cells nothing is said: one may lie beside another that looks like it."""
_STANDS_OUT = 2.0
"""How many times as well as in any other place."""
_BESIDE, _FAR = 3, 16
"""Reduced pixels: a shift below the first is none, and a place beyond the second is another one."""
_RIDGE = 0.01
"""Added to the variance of each map of an image, as some are nearly the same."""
_COARSE = 64
"""Pixels of a side of the maps by which pages are compared with each other."""

TURNS: dict[str, Callable[[Maps], Maps]] = {
    "turned upside down (the order of their rows)": lambda maps: maps[..., ::-1, :],
    "mirrored left to right": lambda maps: maps[..., ::-1],
    "turned by 180 degrees": lambda maps: maps[..., ::-1, ::-1],
    "transposed (rows and columns exchanged)": lambda maps: maps.swapaxes(-1, -2),
    "turned by 90 degrees to the left": lambda maps: maps.swapaxes(-1, -2)[..., ::-1, :],
    "turned by 90 degrees to the right": lambda maps: maps.swapaxes(-1, -2)[..., ::-1],
    "transposed along their other diagonal": lambda maps: maps.swapaxes(-1, -2)[..., ::-1, ::-1],
}
"""What may be done to labels; all but the first three need pages as high as wide."""


@dataclass(frozen=True)
class Sums:
    """Correlations of one page or, added up, of several.

    Attributes
    ----------
    pages, pixels, cells : int
        How many.
    seen : ndarray, shape (maps, maps)
        Of the maps of the images with each other.
    moved : ndarray, shape (maps, 2, 2 m + 1, 2 m + 1)
        Of those with the maps of the labels, which are moved by -m to m rows and columns.
    turned : dict of ndarray, shape (maps, 2)
        The same with labels that are turned or mirrored.
    """

    pages: int
    pixels: int
    cells: int
    seen: Floats
    moved: Floats
    turned: Mapping[str, Floats]

    @classmethod
    def of(cls, seen: Maps, labels: Drawn) -> "Sums":
        """Return those of a page, of maps of an image and of labels that have one size."""
        drawn, most = labels.maps, min(seen.shape[1:]) // 4
        both = fft.rfft2(seen).conj()[:, None] * fft.rfft2(drawn)[None]
        moved = np.roll(fft.irfft2(both, s=seen.shape[1:]), (most, most), axis=(2, 3))
        rows = seen.reshape(len(seen), -1)
        turns = list(TURNS.items())[: 7 if seen.shape[1] == seen.shape[2] else 3]
        turned = {name: rows @ turn(drawn).reshape(2, -1).T / rows.shape[1] for name, turn in turns}
        side = 2 * most + 1
        pixels = rows.shape[1]
        moved = moved[:, :, :side, :side] / pixels
        return cls(1, pixels, labels.cells, rows @ rows.T / pixels, moved, turned)

    def __add__(self, other: "Sums") -> "Sums":
        most = min(self.most, other.most)
        return Sums(
            self.pages + other.pages,
            self.pixels + other.pixels,
            self.cells + other.cells,
            self.seen + other.seen,
            self._within(most) + other._within(most),
            {name: self.turned[name] + other.turned[name] for name in self.turned if name in other.turned},
        )

    @property
    def most(self) -> int:
        """By how many pixels the labels are moved at most."""
        return int(self.moved.shape[2] // 2)

    def _within(self, most: int) -> Floats:
        inner = np.s_[self.most - most : self.most + most + 1]
        return self.moved[:, :, inner, inner]

    def explained(self, across: Floats) -> Floats:
        """Return which part of the variance of each map of labels (the second axis) the images explain."""
        seen = self.seen / self.pages + _RIDGE * np.eye(len(self.seen))
        across = across / self.pages
        found: Floats = np.einsum("kt...,kt...->t...", across, np.tensordot(np.linalg.inv(seen), across, 1))
        return found


@dataclass(frozen=True)
class Misplaced:
    """Where labels fit better.

    Attributes
    ----------
    shift : tuple of int or None
        By how many reduced pixels, down and to the right, they lie beside what they label.
    turn : str
        How they must be turned instead: one of `TURNS`.
    given, better : float
        Which part of the ends of cells the images explain as the labels are given, and there.
    """

    shift: tuple[int, int] | None
    turn: str
    given: float
    better: float


def misplaced(sums: Sums) -> Misplaced | None:
    """Return where labels fit far better than as they are given; None if there is no such place."""
    if sums.cells < FEWEST:
        return None
    places = sums.explained(sums.moved)
    turned = {name: sums.explained(across) for name, across in sums.turned.items()}
    given = places[:, sums.most, sums.most]
    row, column = np.unravel_index(int(places.sum(axis=0).argmax()), places.shape[1:])
    shift = (int(row) - sums.most, int(column) - sums.most)
    moved = places[:, row, column]
    turn = max(turned, key=lambda name: float(turned[name].sum()))
    if turned[turn].sum() > moved.sum():
        others = [float(found[1]) for name, found in turned.items() if name != turn]
        if _fits(turned[turn], given, max(float(places[1].max()), *others), sums.pixels):
            return Misplaced(None, turn, float(given[1]), float(turned[turn][1]))
        return None
    rows, columns = np.ogrid[: places.shape[1], : places.shape[2]]
    elsewhere = places[1][np.hypot(rows - row, columns - column) >= _FAR]
    if np.hypot(*shift) >= _BESIDE and _fits(moved, given, float(elsewhere.max()), sums.pixels):
        return Misplaced(shift, "", float(given[1]), float(moved[1]))
    return None


def _fits(there: Floats, given: Floats, elsewhere: float, pixels: int) -> bool:
    """Whether labels are explained far better in a place than as given, in other places, and by chance."""
    least = max(_STANDS_OUT * elsewhere, LEAST_OF_FEW / pixels)
    return _better(there, given) and bool(there[1] >= least)


def _better(there: Floats, given: Floats) -> bool:
    return bool(
        there.sum() >= BETTER[0] * given.sum() and there[1] >= BETTER[1] * given[1] and there[1] >= LEAST
    )


class Exchanged:
    """Finds pages whose labels fit the images of other pages."""

    def __init__(self) -> None:
        self._pages: list[int] = []
        self._seen: list[Maps] = []
        self._drawn: list[Maps] = []
        self._shape: tuple[int, ...] = ()

    def add(self, page: int, seen: Maps, labels: Drawn) -> None:
        """Take a page by its number; only those of the size of the first are compared."""
        if self._shape not in ((), seen.shape):
            return
        self._shape = seen.shape
        self._pages.append(page)
        self._seen.append(_coarse(seen))
        self._drawn.append(_coarse(labels.maps))

    def pairs(self) -> list[tuple[int, int]]:
        """Return images, by their pages, with the page whose labels fit them better; empty if none does."""
        if len(self._pages) < 2:
            return []
        seen, drawn = np.stack(self._seen), np.stack(self._drawn)
        across = np.einsum("pkn,qtn->pqkt", seen, drawn, optimize=True) / seen.shape[2]
        own = np.einsum("pkn,pln->pkl", seen, seen, optimize=True) / seen.shape[2]
        inverse = np.linalg.inv(own + _RIDGE * np.eye(own.shape[1]))
        fits = np.einsum("pqkt,pkl,pqlt->pq", across, inverse, across, optimize=True)
        images, labels = linear_sum_assignment(fits, maximize=True)
        other = images != labels
        if not other.any():
            return []
        images, labels = images[other], labels[other]
        sums = Sums(len(images), 0, 0, own[images].sum(axis=0), np.empty(0), {})
        there, given = (sums.explained(across[images, which].sum(axis=0)) for which in (labels, images))
        if not _better(there, given):
            return []
        return [(self._pages[image], self._pages[label]) for image, label in zip(images, labels, strict=True)]


def _coarse(maps: Maps) -> Maps:
    """Return maps of few pixels, each in one row."""
    height, width = maps.shape[1:]
    block = max(1, max(height, width) // _COARSE)
    rows, columns = height // block, width // block
    inner = maps[:, : rows * block, : columns * block].reshape(len(maps), rows, block, columns, block)
    small: Maps = inner.mean(axis=(2, 4)).reshape(len(maps), -1)
    small -= small.mean(axis=1, keepdims=True)
    deviations = small.std(axis=1, keepdims=True)
    np.divide(small, deviations, out=small, where=deviations > 1e-6)
    return small
