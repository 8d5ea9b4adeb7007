"""Which page a training tile shows, and where on it the tile lies (open in the paper).

Both follow from the seed and the number of the tile alone, as the deformation does::

    sampler = TileSampler.of([page.classes for page in pages], settings.sampling, seed, output)
    page = pages[sampler.page(number)]
    drawn = draw(augmentation, seed, number, height, width, centres=sampler.centres[sampler.page(number)])
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from unet2015.settings import SamplingSettings
from unet2015.training.labels import IGNORED

Classes = NDArray[np.uint8]


def draw_pages(
    seed: int, turn: int, areas: Sequence[int], rule: Literal["area", "alike"] = "area"
) -> list[int]:
    """Return the pages of round number `turn`, in the order in which they are shown.

    Parameters
    ----------
    seed, turn : int
        They determine the round.
    areas : sequence of int
        Annotated pixels of each page.
    rule : {"area", "alike"}
        ``alike``: each page once. ``area``: as many draws as there are
        pages. On average over the rounds, a page is drawn ``len(areas) * area / sum(areas)`` times; in
        one round, this number rounded down or up. With equal areas both rules give the same order.
        A page of area 0 is not drawn. If all areas are 0, each page is drawn once.

    Notes
    -----
    Systematic sampling: the pages lie one after the other on a line, each as long as its area, and
    the draws lie on it at equal distances from a random start. The order of the pages on the line is
    random too; else a set in which large and small pages alternate could be drawn in step with them.
    """
    generator, count = _generator(seed, turn), len(areas)
    order = generator.permutation(count)
    if rule == "alike" or not any(areas):
        return [int(page) for page in order]
    line = generator.permutation(count)
    ends = np.cumsum(np.asarray(areas, np.int64)[line])
    # Draw k lies at (start + k * total) / count, in whole numbers so that no rounding shifts a page's share.
    total, k = int(ends[-1]), np.arange(count)
    start, (whole, rest) = int(generator.integers(total)), divmod(total, count)
    drawn = line[ends.searchsorted(k * whole + (start + k * rest) // count, side="right")]
    return [int(page) for page in np.sort(drawn)[order]]


def _generator(seed: int, turn: int) -> np.random.Generator:
    # Philox is keyed, so any round can be drawn without those before it.
    # Key, from the top: a bit that is always set, the round, the seed.
    return np.random.Generator(np.random.Philox(key=(1 << 127) + (turn << 64) + seed % 2**64))


@dataclass(frozen=True, slots=True, eq=False)
class Centres:
    """The pixels of a page on which the centre of a tile may fall, all with the same probability.

    Attributes
    ----------
    rows, columns : tuple of int
        The allowed range: first, and one after the last.
    classes : ndarray or None
        (H, W) uint8, the page's classes: only annotated pixels in the range count. None: all pixels count.
    ends : ndarray or None
        For each row of the range: the number of annotated pixels up to and including it; int64.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    classes: Classes | None = None
    ends: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, classes: Classes, rule: SamplingSettings, output: int) -> Self:
        """Return the centres of a page.

        Parameters
        ----------
        classes : ndarray
            (H, W) uint8; 255 is not annotated. It is referred to, not copied.
        rule : SamplingSettings
            Its `centres` and `mirrored`.
        output : int
            Side of the network's output, in pixels.

        Notes
        -----
        If the range that `mirrored` allows has no annotated pixel, all annotated pixels of the page are used.
        If the page has none either, all pixels of the range are used.
        """
        rows, columns = (allowed_range(length, output, rule.mirrored) for length in classes.shape)
        if rule.centres == "anywhere":
            return cls(rows, columns)
        everywhere = (0, classes.shape[0]), (0, classes.shape[1])
        for y, x in ((rows, columns), everywhere):
            ends = np.cumsum(_annotated_by_row(classes[slice(*y), slice(*x)]))
            if ends[-1] == (y[1] - y[0]) * (x[1] - x[0]):
                return cls(y, x)
            if ends[-1]:
                return cls(y, x, classes, ends)
        return cls(rows, columns)

    def at(self, y: float, x: float) -> tuple[int, int]:
        """Return the row and the column of the centre that two numbers from [0, 1) choose."""
        (top, bottom), (left, right) = self.rows, self.columns
        if self.classes is None or self.ends is None:
            return top + int(y * (bottom - top)), left + int(x * (right - left))
        # y chooses a row by how many annotated pixels it has, x one of them.
        row = top + int(self.ends.searchsorted(int(y * self.ends[-1]), side="right"))
        annotated = np.flatnonzero(self.classes[row, left:right] != IGNORED)
        return row, left + int(annotated[int(x * len(annotated))])


def allowed_range(length: int, output: int, mirrored: float) -> tuple[int, int]:
    """Return where along an axis of `length` pixels a tile's centre may fall: first, and one after the last.

    Parameters
    ----------
    length : int
        Of the image.
    output : int
        Side of the tile's output, in pixels; the centre is its pixel ``output // 2``.
    mirrored : float
        Largest share of the output's pixels outside the image. It holds for both axes together, so
        that along each ``1 - sqrt(1 - mirrored)`` is allowed.

    Returns
    -------
    tuple of int
        Never empty: where the image is too small for the share, the centre stays in the middle or
        where the output covers the whole axis, so that the share is as small as it can be.
    """
    # 1e-9: a share that means whole pixels must not lose one by rounding.
    outside = math.floor(output * (1 - math.sqrt(1 - mirrored)) + 1e-9)
    first = max(0, output // 2 - outside)
    last = min(length - 1, length - output + output // 2 + outside)
    return (first, last + 1) if first <= last else (length // 2, length // 2 + 1)


@dataclass
class TileSampler:
    """Which page each tile of a training shows, and where its centre may fall.

    Attributes
    ----------
    seed : int
        The training's.
    rule : {"area", "alike"}
        How often a page is drawn.
    areas : list of int
        Annotated pixels of each page.
    centres : list of Centres
        Of each page.
    """

    seed: int
    rule: Literal["area", "alike"]
    areas: list[int]
    centres: list[Centres]
    _round: tuple[int, list[int]] = field(default=(-1, []), init=False, repr=False)

    @classmethod
    def of(cls, pages: Sequence[Classes], rule: SamplingSettings, seed: int, output: int) -> Self:
        """Return the sampler for the classes (H, W) of each page and an output of side `output`."""
        areas = [int(_annotated_by_row(classes).sum()) for classes in pages]
        return cls(seed, rule.pages, areas, [Centres.of(classes, rule, output) for classes in pages])

    def page(self, number: int) -> int:
        """Return the page of a tile; tiles are counted over all steps, batches and processes."""
        turn, position = divmod(number, len(self.areas))
        if self._round[0] != turn:
            self._round = turn, draw_pages(self.seed, turn, self.areas, self.rule)
        return self._round[1][position]


def _annotated_by_row(classes: Classes) -> NDArray[np.int64]:
    # Row by row: a mask of the whole page would take as much memory as its classes.
    return np.array([np.count_nonzero(row != IGNORED) for row in classes], np.int64)
