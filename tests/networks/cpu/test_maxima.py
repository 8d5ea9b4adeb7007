"""Maxima of maps compared as whole numbers are those of floats."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tests.networks.cpu.networks import last
from unet2015.networks.cpu.maxima import largest, pool


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32),
    st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4)),
    st.sampled_from([torch.float32, torch.bfloat16]),
    st.integers(-40, 38),
)
def test_pooling_and_the_largest_value_are_the_same_bits(seed, shape, dtype, exponent):
    channels, rows, columns = shape
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(1, channels, 2 * rows, 2 * columns, generator=generator).double()
    # Down to subnormal numbers, up to infinity, and zeros.
    x = last((values * 10.0**exponent).relu().to(dtype))
    expected = functional.max_pool2d(x, 2)
    found = torch.full_like(expected, 7.0)
    pool(x, found, never_nan=True)
    assert torch.equal(found, expected)
    assert torch.equal(largest(x, never_nan=True), x.amax())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("nan", [float("nan"), -float("nan")])
def test_where_there_may_be_nan_it_is_passed_on(dtype, nan):
    x = torch.rand(1, 3, 4, 6, dtype=dtype)
    x[0, 1, 2, 5] = nan
    out = torch.empty(1, 3, 2, 3, dtype=dtype)
    pool(x, out, never_nan=False)
    assert out.isnan().nonzero().tolist() == [[0, 1, 1, 2]]
    assert largest(x, never_nan=False).isnan()
