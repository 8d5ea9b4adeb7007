"""Distances to the two nearest cells: exact, in whole numbers, at a cost that no cell adds to.

The distances of Eq. 2 (doi:10.1007/978-3-319-24574-4_28) are usually computed with one distance
transform per cell. Here they come from one separable transform that carries two candidates:

1. along each column, the distance g1 to the nearest cell and its label, and the distance g2 to the
   nearest of all *other* cells;
2. along each row, the nearest label: the least g1^2 + dx^2 over the columns dx to the side;
3. along each row again, the distance to the nearest other label: in a column whose nearest label is
   that of the pixel, the least from any other is g2; in any other column g1 is the least and counts.

So two candidates per column suffice, and of the second only the distance matters. All of it runs on
small integers over blocks that fit in the cache, no farther than the distances that are asked for.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import LabelError

Block = tuple[slice, slice]
Distances = npt.NDArray[np.float64]
Integers = npt.NDArray[Any]

# Least sides of a block: rows by columns. A block's few arrays of 16 bits then stay in the L2 cache.
_ROWS, _COLUMNS = 64, 1024


def two_nearest_cells(
    cells: npt.NDArray[np.integer[Any]], limit: float | None = None, *, threads: int | None = None
) -> tuple[Distances, Distances]:
    """Return each pixel's distances to the nearest and to the second nearest cell.

    Equal, to the last bit, to the two least of ``scipy.ndimage.distance_transform_edt(cells != i)``
    over the cells i: a pixel is at distance 0 from its own cell.

    Parameters
    ----------
    cells : ndarray of integers, shape (height, width)
        0 where there is no cell, elsewhere any number that tells the cells apart.
    limit : float, optional
        Where ``d1 + d2`` exceeds it, both come back as infinity; the time grows with it.
    threads : int, optional
        Threads to use, at most 4 by default; the result does not depend on it.

    Returns
    -------
    d1, d2 : ndarray of float64, shape (height, width)
        Distances in pixels; infinity where there is no such cell.

    Raises
    ------
    LabelError
        `cells` is not a plane of integers.
    """
    d1, d2 = (np.empty(np.shape(cells)) for _ in range(2))

    def keep(block: Block, near: Distances, next_near: Distances) -> None:
        d1[block], d2[block] = near, next_near

    each_block(cells, np.inf if limit is None else limit, keep, threads)
    return d1, d2


def each_block(
    cells: npt.NDArray[np.integer[Any]],
    limit: float,
    use: Callable[[Block, Distances, Distances], None],
    threads: int | None = None,
) -> None:
    """Call ``use(block, d1, d2)`` for blocks that cover `cells`; see `two_nearest_cells`.

    The calls come from several threads, each block once.
    """
    if cells.ndim != 2 or not np.issubdtype(cells.dtype, np.integer):
        raise LabelError(f"cells must be a plane of integers, not {cells.dtype} of shape {cells.shape}")
    if not cells.size:
        return
    most = int(cells.max())
    if cells.min() < 0 or most > cells.size:
        labels, _ = compact(cells)
    else:
        labels = cells.astype(np.min_scalar_type(most))
    height, width = labels.shape
    rows, columns = (max(least, _reach(limit, 2**30)) for least in (_ROWS, _COLUMNS))
    blocks = [
        (slice(y, min(y + rows, height)), slice(x, min(x + columns, width)))
        for y, x in product(range(0, height, rows), range(0, width, columns))
    ]

    def work(block: Block) -> None:
        use(block, *_block_distances(labels, block, limit))

    threads = min(threads or min(4, os.cpu_count() or 1), len(blocks))
    if threads == 1:
        for block in blocks:
            work(block)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, blocks))  # raises what a block raised


def compact(labels: npt.NDArray[np.integer[Any]]) -> tuple[Integers, Integers]:
    """Number the labels (not negative) 1, 2, ... in order of value, 0 staying 0; return the values too.

    Runs of equal labels are sorted rather than pixels, which is many times less work.
    """
    flat = labels.ravel()
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    values, numbers = np.unique(flat[starts], return_inverse=True)
    if values[0] < 0:
        raise LabelError(f"labels must not be negative, but {values[0]} is among them")
    numbers = (numbers + (values[0] != 0)).astype(np.min_scalar_type(values.size))
    return np.repeat(numbers, np.diff(starts, append=flat.size)).reshape(labels.shape), values


def _block_distances(labels: Integers, block: Block, limit: float) -> tuple[Distances, Distances]:
    """Return d1 and d2 of one block, both infinite where d1 + d2 > limit."""
    reach_y, reach_x = (_reach(limit, size - 1) for size in labels.shape)
    around = _read_around(labels, block, reach_y, reach_x)
    none = reach_y + reach_x + 1  # stands for no cell: longer than any distance within reach

    label, first, second = _along_columns(around, reach_y, none, reach_x)
    near, q1 = _nearest_along_rows(label, first, reach_x, _reach(limit / 2, reach_x))
    d1 = _root(q1, none)
    wanted = d1 <= limit / 2  # as d1 <= d2
    d2 = _root(_next_along_rows(near, wanted, label, first, second, reach_x), none)
    far = d1 + d2 > limit
    far |= ~wanted
    d1[far] = d2[far] = np.inf
    return d1, d2


def _root(squared: Integers, none: int) -> Distances:
    root = np.sqrt(squared, dtype=np.float64)
    root[squared >= none**2] = np.inf
    return root


def _reach(limit: float, most: int) -> int:
    """Return the most pixels along one axis that a distance of `limit` can span, at most `most`."""
    return int(min(limit, most))


def _read_around(labels: Integers, block: Block, reach_y: int, reach_x: int) -> Integers:
    """Return the block with `reach` more pixels on each side, zero outside the image."""
    inside, padding = [], []
    for part, reach, size in zip(block, (reach_y, reach_x), labels.shape, strict=True):
        start, stop = part.start - reach, part.stop + reach
        inside.append(slice(max(start, 0), min(stop, size)))
        padding.append((max(-start, 0), max(stop - size, 0)))
    return np.pad(labels[tuple(inside)], padding)


def _along_columns(
    around: Integers, reach: int, none: int, aside: int
) -> tuple[Integers, Integers, Integers]:
    """Return the nearest label in each column, its squared distance, and that of the nearest other.

    The type of the squares has room for ``aside**2`` more.
    """
    up, up1, up2 = _upwards(around[: around.shape[0] - reach], reach, none)
    down, down1, down2 = (a[::-1] for a in _upwards(around[reach:][::-1], reach, none))
    # Of the second on either side the label is not asked for: where both firsts are of one cell, both
    # seconds are of others; where they differ, the farther first is another and nearer than its second.
    second = np.maximum(up1, down1)
    second[up == down] = none
    np.minimum(second, up2, out=second)
    np.minimum(second, down2, out=second)
    label = np.where(down1 < up1, down, up)
    square = np.min_scalar_type(none**2 + aside**2)
    first, second = (np.minimum(up1, down1).astype(square), second.astype(square))
    return label, first * first, second * second


def _upwards(labels: Integers, reach: int, none: int) -> tuple[Integers, Integers, Integers]:
    """Return, for all but the first `reach` rows, what `_along_columns` does, not squared, of what is above.

    Distances stop at `none`.
    """
    # Row and label in one number: the greatest so far is the last labelled pixel, with its label. Rows
    # count from `none`, so that 0, nothing found yet, is at least that far away.
    rows = np.arange(none, none + labels.shape[0])[:, None]
    bits = int(labels.max()).bit_length()
    packed = np.min_scalar_type(int(rows[-1, 0] + 1) << bits)
    last = (rows << bits).astype(packed) | labels
    last *= labels != 0
    _running_maximum(last)
    label = (last & packed.type((1 << bits) - 1)).astype(labels.dtype)
    row = last >> packed.type(bits)
    # The last pixel of another label is the one that preceded the run of labels now going on.
    other = np.zeros_like(row)
    starts = (labels[1:] != label[:-1]) & (labels[1:] != 0)
    np.multiply(row[:-1], starts, out=other[1:])
    _running_maximum(other)

    here, farthest = rows[reach:].astype(packed), packed.type(none)
    return label[reach:], *(np.minimum(here - found[reach:], farthest) for found in (row, other))


def _running_maximum(a: Integers) -> None:
    """``np.maximum.accumulate(a, axis=0, out=a)``, which would walk down one column at a time."""
    for above, row in pairwise(a):
        np.maximum(above, row, out=row)


def _nearest_along_rows(
    label: Integers, first: Integers, border: int, reach: int
) -> tuple[Integers, Integers]:
    """Return the nearest label within `reach` columns, and its squared distance.

    `border` is the number of columns on each side that are there only to be looked at.
    """
    bits = int(label.max()).bit_length()
    packed = np.min_scalar_type((int(first.max()) + reach**2 + 1) << bits)
    keys = (first.astype(packed) << packed.type(bits)) | label
    width = keys.shape[1] - 2 * border
    best = keys[:, border : border + width].copy()
    side = np.empty_like(best)
    for dx in range(1, reach + 1):
        if dx**2 << bits > best.max():
            break
        left, right = border - dx, border + dx
        np.minimum(keys[:, left : left + width], keys[:, right : right + width], out=side)
        side += packed.type(dx**2 << bits)
        np.minimum(best, side, out=best)
    return (best & packed.type((1 << bits) - 1)).astype(label.dtype), best >> packed.type(bits)


def _next_along_rows(
    near: Integers,
    wanted: npt.NDArray[np.bool_],
    label: Integers,
    first: Integers,
    second: Integers,
    border: int,
) -> Integers:
    """Return the squared distance to the nearest label other than `near`, where `wanted`."""
    width = near.shape[1]
    same = np.empty(near.shape, bool)
    left, right = (np.empty(near.shape, first.dtype) for _ in range(2))

    def from_column(x: int, out: Integers) -> Integers:
        """``np.where(label == near, second, first)``, without the cost of a branch for every pixel."""
        columns = slice(x, x + width)
        np.equal(label[:, columns], near, out=same)
        np.multiply(second[:, columns], same, out=out)
        return np.maximum(out, first[:, columns], out=out)

    best = np.where(wanted, from_column(border, left), first.dtype.type(0))
    for dx in range(1, border + 1):
        if dx**2 > best.max():
            break
        np.minimum(from_column(border - dx, left), from_column(border + dx, right), out=left)
        left += first.dtype.type(dx**2)
        np.minimum(best, left, out=best)
    return best
