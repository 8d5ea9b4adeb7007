"""Winograd convolutions equal the sum over the window, and round no worse."""

from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from unet2015.networks.cpu import winograd
from unet2015.networks.cpu.winograd import Scratch, convolve, scratch_values
from unet2015.networks.cpu.winograd_weights import (
    DTYPES,
    MAX_WEIGHT,
    PackedWeights,
    can_multiply,
    restore_weights,
    transform_weights,
    winograd_weights,
)

channels = st.integers(1, 9)

G = torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], dtype=torch.float64)
"""The transform of weights of F(2x2, 3x3), as in Lavin and Gray 2016."""


def drawn(seed, sides, inner, outer, dtype=torch.float64):
    """Maps (channels last), their weights, and a bias."""
    generator = torch.Generator().manual_seed(seed)
    maps = [torch.randn(1, each, *sides, generator=generator, dtype=dtype) for each in inner]
    weights = [torch.randn(outer, each, 3, 3, generator=generator, dtype=dtype) for each in inner]
    last = [x.contiguous(memory_format=torch.channels_last) for x in maps]
    return last, weights, torch.randn(outer, generator=generator, dtype=dtype)


def over_the_window(maps, weights, bias):
    sums = sum(functional.conv2d(x, weight) for x, weight in zip(maps, weights, strict=True))
    return functional.relu(sums + bias[:, None, None])


@given(
    st.integers(0, 2**32),
    st.integers(3, 40),
    st.integers(3, 40),
    st.lists(channels, min_size=1, max_size=2),
    channels,
    st.integers(1, 200_000),
    st.sampled_from(DTYPES),
)
def test_equals_the_sum_over_the_window(seed, height, width, inner, outer, size, dtype):
    maps, weights, bias = drawn(seed, (height, width), inner, outer, dtype)
    scratch = Scratch(dtype)
    with mock.patch.object(winograd, "SCRATCH_BYTES", size):
        found = convolve(maps, winograd_weights(weights), bias, scratch)
        values = scratch_values(height - 2, width - 2, sum(inner), outer, dtype.itemsize)
    assert scratch._memory.numel() <= values
    expected = over_the_window(*([x.double() for x in each] for each in (maps, weights)), bias.double())
    assert found.shape == expected.shape
    assert found.dtype == scratch._memory.dtype == dtype
    padded = height % 2 or width % 2
    assert padded or found.is_contiguous(memory_format=torch.channels_last)
    # Sums of up to 18 products of normal draws, in which each may have a few roundings of the largest.
    tolerance = 80 * torch.finfo(dtype).eps if dtype == torch.float32 else 8 * torch.finfo(dtype).eps
    assert (found - expected).abs().max() <= tolerance * max(1, float(expected.max()))


@pytest.mark.parametrize("count", [128, 256, 1024])
def test_rounds_no_worse_than_the_sum_over_the_window(count):
    maps, weights, bias = drawn(0, (20, 30), [count], 64, torch.float32)
    maps = [functional.relu(x) for x in maps]
    exact = over_the_window([maps[0].double()], [weights[0].double()], bias.double())
    found = convolve(maps, PackedWeights(weights), bias, Scratch(torch.float32))
    usual = over_the_window(maps, weights, bias)
    assert (found - exact).pow(2).mean() <= (usual - exact).pow(2).mean()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_weights_are_transformed_by_the_matrix_and_rounded_once(layout):
    weight = torch.randn(70, 5, 3, 3, generator=torch.Generator().manual_seed(0)).to(memory_format=layout)
    expected = torch.einsum("yi,kcij,xj->yxck", G, weight.double(), G).float().flatten(0, 1)
    assert torch.equal(transform_weights(weight), expected)


@given(st.integers(0, 2**32), channels, channels)
def test_weights_come_back(seed, inner, outer):
    _, (weight,), _ = drawn(seed, (3, 3), [inner], outer, torch.float32)
    back = restore_weights(transform_weights(weight))
    assert back.shape == weight.shape
    assert torch.equal(back[..., ::2, ::2], weight[..., ::2, ::2])  # corners: untouched by sums
    assert (back - weight).abs().max() <= 4 * torch.finfo(torch.float32).eps * weight.abs().max()


def test_those_of_bfloat16_are_rounded_once_and_come_back_as_they_were():
    _, weights, _ = drawn(0, (3, 3), [5, 3], 70, torch.bfloat16)
    transformed = winograd_weights(weights)
    exact = [torch.einsum("yi,kcij,xj->yxck", G, each.double(), G).flatten(0, 1) for each in weights]
    assert torch.equal(transformed.transformed, torch.cat(exact, dim=1).bfloat16())
    assert all(torch.equal(*pair) for pair in zip(transformed.restored(), weights, strict=True))


@given(st.integers(0, 2**32), st.lists(channels, min_size=1, max_size=2), st.integers(1, 70))
def test_packed_weights_come_back_part_by_part(seed, inner, outer):
    _, weights, _ = drawn(seed, (3, 3), inner, outer, torch.float32)
    packed = PackedWeights(weights)
    assert (packed.channels_in, packed.channels_out) == (inner, outer)
    for weight, back in zip(weights, packed.restored(), strict=True):
        assert torch.equal(back, restore_weights(transform_weights(weight)))
        assert back.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("dtype", "place", "name"),
    [
        (torch.float32, torch.ops.mkldnn, "_linear_pointwise"),
        (torch.bfloat16, torch.Tensor, "baddbmm_"),
    ],
)
def test_a_torch_without_these_products_is_noticed(monkeypatch, dtype, place, name):
    assert can_multiply(dtype)
    for broken in (mock.Mock(side_effect=RuntimeError), mock.Mock(return_value=torch.zeros(5, 4))):
        can_multiply.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(place, name, broken)
            assert not can_multiply(dtype)
    can_multiply.cache_clear()
    assert not can_multiply(torch.float64)


def test_the_largest_weights_come_back_too():
    weight = torch.full((2, 2, 3, 3), MAX_WEIGHT)
    assert torch.allclose(restore_weights(transform_weights(weight)), weight, rtol=1e-6)


def test_weights_are_transformed_part_by_part_to_the_same():
    weight = torch.randn(130, 2, 3, 3)
    whole = transform_weights(weight)
    assert torch.equal(whole[..., 65:130], transform_weights(weight[65:130]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [1e36, -1e36])
def test_sums_on_the_way_stay_below_what_is_said(value, dtype):
    """The worst case of the bound: all weights and pixels as large as can be, of any sign."""
    weight = torch.ones(1, 1, 3, 3, dtype=dtype)
    weight[..., 1, :] = -1
    x = torch.tensor([[1.0, -1, 1, -1], [1, 1, -1, 1], [-1, 1, 1, -1], [1, -1, -1, 1]])[None, None] * value
    weights, scratch = winograd_weights([weight]), Scratch(dtype)
    for turned in range(4):
        found = convolve([x.to(dtype).rot90(turned, (2, 3))], weights, torch.zeros(1, dtype=dtype), scratch)
        assert found.isfinite().all()


def test_every_sum_of_the_transforms_is_within_the_bound():
    """By the sizes of all entries: what no choice of signs can exceed."""
    pixels = 4  # each entry of the pixels' transform is a sum of four
    rows = G.abs()
    of_weights = float((rows[:, None, :, None] * rows[None, :, None, :]).amax())
    assert of_weights <= 1  # no weight counts more than once in a transformed one
    assert pixels * 9 * of_weights <= winograd.SUM_GROWTH


def test_the_scratch_is_shared_and_grows_only():
    scratch = Scratch(torch.float32)
    first, second = scratch(3, 4)
    assert (len(first), len(second)) == (3, 4)
    (again,) = scratch(5)
    assert again.data_ptr() == first.data_ptr()
    scratch(100)
    assert scratch._memory.numel() == 100


@settings(max_examples=30)
@given(
    st.integers(1, 500),
    st.integers(1, 500),
    channels,
    channels,
    st.integers(1, 10**6),
    st.sampled_from([2, 4]),
)
def test_chunks_cover_every_row_once(rows, across, inner, outer, size, value):
    with mock.patch.object(winograd, "SCRATCH_BYTES", size):
        most = winograd._max_tile_rows(across, inner, outer, value)
        found = list(winograd.row_chunks(2 * rows, most))
        assert [row for top, low in found for row in range(top, low)] == list(range(2 * rows))
        assert all(top % 2 == 0 and (low - top) // 2 <= most for top, low in found)
        each = 16 * value
        assert most == 1 or each * most * across * (inner + outer) <= max(size, each * inner * outer)
