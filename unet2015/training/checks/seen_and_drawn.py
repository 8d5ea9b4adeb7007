"""What an image shows where outlines may lie, and what labels draw, both as small maps.

All maps of an image look alike from each direction, so that they show where something lies, and not whether
it is mirrored or turned.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from unet2015.images.image import Image
from unet2015.training.labels import IGNORED, Targets

Maps = npt.NDArray[np.float32]
"""Of shape (maps, height, width); each has the mean 0 and the deviation 1, or is 0 everywhere."""

Floats = npt.NDArray[np.floating[Any]]

_LONGEST = 2048
"""Pixels of a side of a page that are looked at, in its middle."""
_SIDE, _LARGEST = 256, 512
"""Pixels of a side after the reduction: of a page of large cells at most the first, of any the second."""
_SMALLEST = 64
"""Of pages with a shorter side nothing is said."""
_ACROSS = 8
"""Pixels of a cell from side to side that are left by the reduction, if it has so many."""
_ENDS = (0.1, 99.9)
"""Percentiles: what lies beyond is taken as if it were there, as hot pixels and debris."""


def factor_for(targets: Targets) -> int | None:
    """Return by how much pages with such cells are reduced; None where there is no cell."""
    areas = np.bincount(targets.cells.ravel())[1:]
    if not areas.any():
        return None
    across = 2 * float(np.sqrt(np.median(areas[areas > 0]) / np.pi))
    longest = int(min(max(targets.cells.shape), _LONGEST))
    return max(1, min(-(-longest // _SIDE), int(across / _ACROSS)))


def window(height: int, width: int, factor: int) -> tuple[slice, slice] | None:
    """Return which rows and columns of a page are looked at; None if it is too small."""
    found = []
    for side in (height, width):
        reduced = min(min(side, _LONGEST) // factor, _LARGEST)
        if reduced < _SMALLEST:
            return None
        start = (side - reduced * factor) // 2
        found.append(slice(start, start + reduced * factor))
    return found[0], found[1]


class Drawn(NamedTuple):
    """What labels draw: two maps, and the number of cells."""

    maps: Maps
    cells: int


def drawn_by(targets: Targets, factor: int) -> Drawn:
    """Return maps of where cells are, and of where one ends. What is not annotated says nothing."""
    known = targets.classes != IGNORED
    share = _reduced(known.astype(np.float32), factor)
    cells = _reduced(((targets.classes > 0) & known).astype(np.float32), factor)
    ends = ndimage.gaussian_filter(_reduced(_ends(targets, known), factor), 1)
    maps = np.stack([cells, ends])
    whole = share > 1 / 2
    maps -= maps[:, whole].mean(axis=1)[:, None, None] if whole.any() else 0
    return Drawn(_standard(maps * whole), int(np.count_nonzero(np.bincount(targets.cells.ravel())[1:])))


def seen_maps(image: Image, page: int, inner: tuple[slice, slice], factor: int) -> Maps:
    """Return maps of what a page shows: light and dark, edges, and rough areas, each small and large.

    Parameters
    ----------
    image : Image
        Its channels are taken together, each in its own deviation.
    page : int
        From 0.
    inner : tuple of slice
        The part that is looked at, as `window` returns it; read a few rows at a time.
    factor : int
        By how much it is reduced.
    """
    rows, columns = inner
    step = factor * -(-image.band_rows // factor)
    parts = []
    for top in range(rows.start, rows.stop, step):
        band = image.read(page, top, min(top + step, rows.stop), columns.start, columns.stop)
        # No mean of quarters is infinite.
        parts.append(np.stack([_reduced(channel.astype(np.float64) / 4, factor) for channel in band]))
    channels = np.concatenate(parts, axis=1)
    return _standard(np.stack([*_looks(sum(map(_plain, channels), np.zeros_like(channels[0])))]))


def _plain(channel: Floats) -> Floats:
    """Return a channel in its own deviation, without what is extreme; 0 where it is of one value."""
    low, high = np.percentile(channel, _ENDS).tolist()
    values = channel.clip(low, high) - low
    values /= float(values.max()) or 1.0
    values -= values.mean()
    plain: Floats = values / (float(values.std()) or 1.0)
    return plain


def _looks(image: Floats) -> Iterator[Floats]:
    """Yield the maps of a reduced image."""
    fine, middle, coarse = (ndimage.gaussian_filter(image, width) for width in (1, 2, 4))
    steps = [np.hypot(*np.gradient(each)) for each in (fine, middle)]
    squares = ndimage.gaussian_filter(image**2, 4)
    line = fine - middle
    yield from (fine, coarse, *steps, ndimage.gaussian_filter(steps[0], 3))
    yield np.sqrt(np.maximum(squares - coarse**2, 0))
    yield from (line, np.abs(line))


def _ends(targets: Targets, known: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Return 1 on both sides of the ends of cells and classes, where both are annotated."""
    found = np.zeros(known.shape, np.float32)
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = (targets.cells[here] != targets.cells[there]) & known[here] & known[there]
        found[here][differ] = 1
        found[there][differ] = 1
    return found


def _reduced(page: Floats, factor: int) -> Floats:
    """Return the means of blocks."""
    height, width = page.shape
    means: Floats = page.reshape(height // factor, factor, width // factor, factor).mean(axis=(1, 3))
    return means


def _standard(maps: Floats) -> Maps:
    """Return maps of the mean 0 and the deviation 1; those of one value are 0."""
    maps = maps.astype(np.float32)
    maps -= maps.mean(axis=(1, 2), keepdims=True)
    deviations = maps.std(axis=(1, 2), keepdims=True)
    found: Maps = np.divide(maps, deviations, out=np.zeros_like(maps), where=deviations > 1e-6)
    return found
