"""Exact percentiles of images that need not fit in memory."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_DIGIT = 16  # bits that one pass over the pixels settles
_PIXELS = 2**20
"""Pixels that are counted together."""

Blocks = Callable[[], Iterable[npt.NDArray[Any]]]


def exact_percentiles(
    blocks: Blocks, dtype: npt.DTypeLike, percents: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Return percentiles of all values in `blocks`, by linear interpolation, as `numpy.percentile`.

    Values become unsigned integers (keys) in the same order. The first pass counts the highest 16 bits of all
    keys; each later pass counts the next 16 bits of the keys that begin like a wanted one. So values of 8 and
    16 bits take one pass, those of 32 bits two.

    Parameters
    ----------
    blocks : callable
        Returns an iterator over arrays, the same each time; no NaN.
    dtype : dtype
        Their type: integer or floating.
    percents : sequence of float
        From 0 to 100.

    Returns
    -------
    numpy.ndarray of float64, shape (len(percents),)
        0 where there are no values.
    """
    dtype = np.dtype(dtype)
    bits = dtype.itemsize * 8
    digit = min(bits, _DIGIT)
    counts = _counts(blocks, bits, bits - digit, digit, [0])
    total = int(counts[0].sum())
    if not total:
        return np.zeros(len(percents))
    places = np.asarray(percents, np.float64) / 100 * (total - 1)
    ranks = sorted({int(rank) for place in places for rank in (math.floor(place), math.ceil(place))})
    found = dict.fromkeys(ranks, 0)
    left = {rank: rank for rank in ranks}  # rank among the keys that begin like `found`
    shift = bits - digit
    while True:
        for rank in ranks:
            cumulated = np.cumsum(counts[found[rank]])
            value = int(np.searchsorted(cumulated, left[rank], side="right"))
            left[rank] -= int(cumulated[value - 1]) if value else 0
            found[rank] = (found[rank] << digit) | value
        if shift == 0:
            break
        shift -= digit
        counts = _counts(blocks, bits, shift, digit, sorted(set(found.values())))
    values = {rank: _value(key, dtype) for rank, key in found.items()}
    return np.array([_interpolated(values, place) for place in places.tolist()])


def _counts(
    blocks: Blocks, bits: int, shift: int, digit: int, prefixes: list[int]
) -> dict[int, npt.NDArray[np.int64]]:
    """Return, for each prefix of the key, how often each next digit follows."""
    counts = {prefix: np.zeros(2**digit, np.int64) for prefix in prefixes}
    for block in blocks():
        pixels = block.reshape(-1)
        for start in range(0, pixels.size, _PIXELS):  # as `bincount` makes numbers of 8 bytes
            keys = _keys(pixels[start : start + _PIXELS])
            digits = (keys >> keys.dtype.type(shift)) & keys.dtype.type(2**digit - 1)
            for prefix, count in counts.items():
                chosen = digits
                if shift + digit < bits:
                    chosen = digits[keys >> keys.dtype.type(shift + digit) == keys.dtype.type(prefix)]
                count += np.bincount(chosen, minlength=2**digit)
    return counts


def _keys(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return unsigned integers in the order of the values.

    Signed integers get their sign bit flipped. IEEE 754 floats are ordered like integers with a sign, so
    positive ones get their sign bit set, and negative ones all bits flipped.
    """
    unsigned = np.dtype(f"u{block.dtype.itemsize}")
    if block.dtype.kind == "u":
        return block
    sign = unsigned.type(1 << (unsigned.itemsize * 8 - 1))
    keys = np.array(block, order="C").view(unsigned)
    if block.dtype.kind == "i":
        keys ^= sign
        return keys
    out: npt.NDArray[Any] = np.where(keys & sign, ~keys, keys | sign)
    return out


def _value(key: int, dtype: np.dtype[Any]) -> float:
    """Undo `_keys` for one value."""
    unsigned = np.dtype(f"u{dtype.itemsize}")
    sign = 1 << (dtype.itemsize * 8 - 1)
    if dtype.kind == "i":
        key ^= sign
    elif dtype.kind == "f":
        key = key ^ sign if key & sign else key ^ (2 * sign - 1)  # all bits
    return float(np.array(key, unsigned).view(dtype))


def _interpolated(values: dict[int, float], place: float) -> float:
    low, high = values[math.floor(place)], values[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))
