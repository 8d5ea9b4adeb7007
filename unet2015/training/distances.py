"""Distances to the two nearest cells: exact, in whole numbers, at a cost that does not grow with the cells.

The distances of Eq. 2 (doi:10.1007/978-3-319-24574-4_28) are usually computed with one distance
transform per cell. Here they come from one separable transform that carries two candidates:

1. along each column, the distance g1 to the nearest cell and its label, and the distance g2 to the
   nearest of all *other* cells;
2. along each row, the nearest label: the least g1^2 + dx^2 over the columns dx to the side;
3. along each row again, the distance to the nearest other label: in a column whose nearest label is
   that of the pixel, the least from any other is g2; in any other column g1 is the least and counts.

So two candidates per column suffice, and of the second only the distance matters. All of it runs on
small integers over blocks that fit in the cache, no farther than the distance limit.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.errors import LabelError

Block = tuple[slice, slice]
Integers = npt.NDArray[Any]

# Least sides of a block: rows by columns. A block's few arrays of 8 and 16 bits then stay in the L2 cache.
_ROWS, _COLUMNS = 96, 1024


def each_block(
    cells: npt.NDArray[np.integer[Any]],
    limit: float,
    use: Callable[[Block, Integers, Integers], None],
    threads: int | None = None,
) -> None:
    """Call ``use(block, d1^2, d2^2)`` for blocks that cover `cells`, with distances of each pixel in pixels.

    d1 and d2 are those to the nearest and the second nearest cell: equal, to the last bit, to the two least
    of ``scipy.ndimage.distance_transform_edt(cells != i)`` over the cells i, so that a pixel is at distance 0
    from its own cell.

    Parameters
    ----------
    cells : ndarray of integers, shape (height, width)
        0 where there is no cell, elsewhere any number that tells the cells apart.
    limit : float
        Where ``d1 + d2`` exceeds it, or there is no such cell, the two squares are not exact: they only say
        that the sum exceeds `limit`. Where it is infinite, the roots are then at least height + width - 1. A
        larger limit takes more time.
    use : callable
        Called from several threads, once for each block.
    threads : int, optional
        Threads to use. Default: one for each core, at most 4. The result does not depend on it.

    Raises
    ------
    LabelError
        `cells` is not a plane of integers.
    """
    if cells.ndim != 2 or not np.issubdtype(cells.dtype, np.integer):
        raise LabelError(f"cells must be a plane of integers, not {cells.dtype} of shape {cells.shape}")
    if not cells.size:
        return
    # Labels share an integer with distances below: the fewer bits they have, the smaller the integers.
    most = int(cells.max())
    if cells.min() < 0 or most > cells.size:
        labels, _ = compact(cells)
    else:
        labels = cells.astype(np.min_scalar_type(most))
    bits = int(labels.max()).bit_length()
    height, width = labels.shape
    # At least as large as the border read around it, which would otherwise cost more than the block.
    rows, columns = (max(least, _reach(limit, 2**30)) for least in (_ROWS, _COLUMNS))
    blocks = [
        (slice(y, min(y + rows, height)), slice(x, min(x + columns, width)))
        for y, x in product(range(0, height, rows), range(0, width, columns))
    ]

    def work(block: Block) -> None:
        use(block, *_block_squares(labels, bits, block, limit))

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


def _block_squares(labels: Integers, bits: int, block: Block, limit: float) -> tuple[Integers, Integers]:
    """Return d1^2 and d2^2 of one block; where d1 + d2 > limit, two other numbers for which this holds."""
    reach_y, reach_x = (_reach(limit, size - 1) for size in labels.shape)
    around = _read_around(labels, block, reach_y, reach_x)
    # Stands for no cell: longer than any distance that counts.
    none = min(reach_y + reach_x, _reach(limit, 2**30)) + 1

    label, first, second = _along_columns(around, bits, reach_y, none)
    # As d1 <= d2, d1 counts up to half the limit only (+ 1 for rounding).
    near, q1 = _nearest_along_rows(label, first, bits, reach_x, _reach(limit / 2, reach_x))
    q2 = _next_along_rows(near, q1 <= limit / 2 * (limit / 2) + 1, label, first, second, reach_x)
    here = slice(reach_x, reach_x + block[1].stop - block[1].start)
    return q1[:, here], np.maximum(q1, q2)[:, here]  # q2 is 0 where it was not computed


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


def _along_columns(around: Integers, bits: int, reach: int, none: int) -> tuple[Integers, Integers, Integers]:
    """Return, along columns, the nearest label, its distance, and the distance to the nearest other label.

    Distances are at most `none`.
    """
    up, up1, up2 = _upwards(around[: around.shape[0] - reach], bits, reach, none)
    down, down1, down2 = (a[::-1] for a in _upwards(around[reach:][::-1], bits, reach, none))
    # Of the second on either side the label is not needed: where both firsts are of one cell, both
    # seconds are of others; where they differ, the farther first is another and nearer than its second.
    second = np.maximum(up1, down1)
    np.maximum(second, np.multiply(up == down, none, dtype=second.dtype, casting="unsafe"), out=second)
    np.minimum(second, up2, out=second)
    np.minimum(second, down2, out=second)
    label = up ^ ((up ^ down) * (down1 < up1))  # a ^ (a ^ b) is b: np.where without a branch
    return label, np.minimum(up1, down1), second


def _upwards(labels: Integers, bits: int, reach: int, none: int) -> tuple[Integers, Integers, Integers]:
    """Return the same as `_along_columns`, but only of the rows above; without the first `reach` rows."""
    # Row and label in one number: the greatest so far is the last labelled pixel, with its label. Rows
    # count from `none`, so that 0, nothing found yet, is at least that far away.
    end = none + labels.shape[0]
    rows = np.arange(none, end)[:, None]
    packed, small = np.min_scalar_type((end << bits) - 1), np.min_scalar_type(end)
    inside = labels != 0
    last: Integers = (rows << bits).astype(packed) | labels
    last *= inside
    last = _greatest_above(last, reach)
    label = (last & packed.type((1 << bits) - 1)).astype(labels.dtype, copy=False)
    last >>= packed.type(bits)
    row = last.astype(small)
    # The last pixel of another label is the one just before the present run of equal labels.
    starts = labels[1:] != label[:-1]
    starts &= inside[1:]
    other = np.zeros_like(row)
    np.multiply(row[:-1], starts, out=other[1:])
    other = _greatest_above(other, reach)

    here, farthest = rows[reach:].astype(small), small.type(none)
    return label[reach:], *(np.minimum(here - found[reach:], farthest) for found in (row, other))


def _greatest_above(a: Integers, reach: int) -> Integers:
    """Return, for each value, the greatest of it and at least `reach` values above it; `a` is overwritten."""
    # The window doubles with each step. (np.maximum.accumulate would walk down one column at a time.)
    step, other = 1, np.empty_like(a)
    while step <= min(reach, a.shape[0] - 1):
        np.maximum(a[step:], a[:-step], out=other[step:])
        other[:step] = a[:step]
        a, other = other, a
        step *= 2
    return a


def _nearest_along_rows(
    label: Integers, first: Integers, bits: int, border: int, reach: int
) -> tuple[Integers, Integers]:
    """Return the nearest label within `reach` columns, and its squared distance.

    `border` is the number of columns on each side that are only read; what comes back
    for them means nothing.
    """
    most = int(first.max()) ** 2 + reach**2
    packed, square = np.min_scalar_type((most + 1) << bits), np.min_scalar_type(most)
    # The squared distance in the high bits, the label in the low: the minimum is the nearest, with its label.
    keys = first.astype(packed)
    keys *= keys
    keys <<= packed.type(bits)
    keys |= label
    width = keys.shape[1] - 2 * border
    # In one line from row to row: what a row finds beyond its borders is not used.
    flat, size = keys.ravel(), keys.size - 2 * border
    best = keys.copy()
    inner, side = best.ravel()[border : border + size], np.empty(size, packed)
    for dx in range(1, reach + 1):
        if dx**2 << bits > best[:, border : border + width].max():
            break  # columns this far away cannot be nearer anywhere
        np.minimum(flat[border - dx :][:size], flat[border + dx :][:size], out=side)
        side += packed.type(dx**2 << bits)
        np.minimum(inner, side, out=inner)
    near = (best & packed.type((1 << bits) - 1)).astype(label.dtype, copy=False)
    best >>= packed.type(bits)
    return near, best.astype(square)


def _next_along_rows(
    near: Integers,
    wanted: npt.NDArray[np.bool_],
    label: Integers,
    first: Integers,
    second: Integers,
    border: int,
) -> Integers:
    """Return the squared distance to the nearest label other than `near`, where `wanted`, elsewhere 0.

    `first` and `second` are not squared: each takes one byte, so the most frequent operations work on
    bytes. As in `_nearest_along_rows`, all rows are one line.
    """
    square = np.min_scalar_type(int(second.max()) ** 2 + border**2)
    columns = slice(border, near.shape[1] - border)
    size = near.size - 2 * border
    label, first, second, centre = (a.ravel() for a in (label, first, second, near))
    centre = centre[border : border + size]
    same = np.empty(size, bool)
    ones = same.view(np.uint8)
    left, right = (np.empty(size, first.dtype) for _ in range(2))
    squared = np.empty(size, square)

    def from_column(dx: int, out: Integers) -> Integers:
        """``np.where(label == near, second, first)``, without the cost of a branch for every pixel."""
        there = slice(border + dx, border + dx + size)
        np.equal(label[there], centre, out=same)
        np.multiply(second[there], ones, out=out)
        return np.maximum(out, first[there], out=out)  # second >= first, and 0 where another label is

    best = np.zeros(near.shape, square)
    best[:, columns] = wanted[:, columns]  # as a factor 0 or 1
    inner = best.ravel()[border : border + size]
    inner *= from_column(0, left)
    inner *= inner
    for dx in range(1, border + 1):
        if dx**2 > inner.max():
            break
        np.minimum(from_column(-dx, left), from_column(dx, right), out=left)
        np.square(left, out=squared, dtype=square)
        squared += square.type(dx**2)
        np.minimum(inner, squared, out=inner)
    return best
