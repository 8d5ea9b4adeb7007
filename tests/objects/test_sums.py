"""Sums of intensities: those of exact arithmetic, in whatever strips the pixels come."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unet2015.objects.measures import PageMeasures
from unet2015.objects.sums import ExactSums

WHOLE = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", ">u2", ">i8"]
"""Of 64 bits up to 2**53, as `measure` takes them."""
DECIMAL = [np.float16, np.float32, np.float64, ">f4", ">f8"]


def elements(dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":  # whose sums stay finite
        far = {2: 6e4, 4: 2.0**120, 8: 2.0**1000}[dtype.itemsize]
        return hnp.from_dtype(dtype, min_value=-far, max_value=far, allow_nan=False, allow_infinity=False)
    if dtype.kind in "ui" and dtype.itemsize == 8:
        return st.integers(0 if dtype.kind == "u" else -(2**53), 2**53)
    return hnp.from_dtype(dtype)


@settings(max_examples=200)
@given(st.data(), st.sampled_from(WHOLE + DECIMAL))
def test_sums_are_those_of_exact_arithmetic_in_all_orders_of_runs(data, dtype):
    lengths = np.array(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=8)))
    which = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(lengths), max_size=len(lengths))))
    values = data.draw(hnp.arrays(dtype, int(lengths.sum()), elements=elements(dtype)))
    runs = np.split(values, np.cumsum(lengths)[:-1])
    at_once, by_runs = ExactSums(3), ExactSums(3)
    at_once.add(values, np.cumsum(lengths) - lengths, which)
    for run, one in reversed(list(zip(runs, which, strict=True))):
        by_runs.add(run, np.zeros(1, np.int64), np.array([one]))
    for k, (found, other) in enumerate(zip(at_once.total(), by_runs.total(), strict=True)):
        own = [float(value) for run, one in zip(runs, which, strict=True) if one == k for value in run]
        assert found == other
        assert abs(found - math.fsum(own)) <= math.ulp(found) + 2.0**-100 * sum(map(abs, own))


@pytest.mark.parametrize("dtype", ["uint64", "int64", "float64"])
@pytest.mark.parametrize("rows", [7, 300])
def test_a_large_common_part_does_not_move_the_mean(dtype, rows):
    values = np.random.default_rng(0).integers(100, 201, (300, 300))
    page = PageMeasures(300, 300, 1, 1)
    for row in range(0, 300, rows):
        strip = values[row : row + rows]
        page.add(np.ones(strip.shape, np.uint8), [(strip + 2**48).astype(dtype)])
    mean = page.finish().sums[0, 0] / values.size
    assert abs(mean - 2.0**48 - values.mean()) <= math.ulp(2.0**48)
