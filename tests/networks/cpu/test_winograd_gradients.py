"""Winograd convolutions of a training: outputs and gradients are those of float64, as closely as torch's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from unet2015.networks.cpu.winograd_gradients import convolution, input_gradient, weight_gradient


def drawn(seed, *shape):
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return made.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else made


def exact_of(x, weight, bias, padding, gradient):
    """Output and gradients of input and weights in float64."""
    x, weight = (each.double().requires_grad_() for each in (x, weight))
    found = functional.conv2d(x, weight, bias.double(), padding=padding)
    return found.detach(), *torch.autograd.grad(found, (x, weight), gradient.double())


def error(found, exact):
    """Root mean square, next to that of the exact values."""
    return float((found - exact).square().mean().sqrt() / exact.square().mean().sqrt())


@settings(max_examples=30)
@given(
    st.tuples(*(st.integers(1, 5) for _ in range(3))),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.integers(0, 99),
)
def test_all_sizes_and_paddings(channels, outputs, padding, seed):
    tiles, inner, outer = channels
    sides = [max(1, out + 2 - 2 * pad) for out, pad in zip(outputs, padding, strict=True)]
    height, width = (side + 2 * pad - 2 for side, pad in zip(sides, padding, strict=True))
    if min(height, width) < 1:
        return
    x, weight, bias = (
        drawn(seed, tiles, inner, *sides),
        drawn(seed + 1, outer, inner, 3, 3),
        drawn(seed, outer),
    )
    gradient = drawn(seed + 2, tiles, outer, height, width)
    exact, of_x, of_weight = exact_of(x, weight, bias, padding, gradient)
    scale = float(weight.abs().sum() * max(x.abs().max(), gradient.abs().max(), 1)) + float(bias.abs().max())
    for found, expected in (
        (convolution(x, weight, bias, padding, False), exact),
        (convolution(x, weight, bias, padding, True), exact.clamp_min(0)),
        (input_gradient(gradient, weight, padding), of_x),
    ):
        assert found.is_contiguous(memory_format=torch.channels_last)
        assert float((found - expected).abs().max()) <= 1e-6 * scale
    found = weight_gradient(x, gradient, padding)
    assert found.is_contiguous(memory_format=torch.channels_last)
    most = float(x.abs().max() * gradient.abs().sum())
    assert float((found - of_weight).abs().max()) <= 1e-6 * most


@pytest.mark.parametrize("side", [34, 100])  # the second in several chunks of rows
def test_with_many_channels_it_rounds_no_worse_than_torch(side):
    x, weight, bias = drawn(0, 1, 256, side, 34).relu_(), drawn(1, 128, 256, 3, 3), drawn(2, 128)
    gradient = drawn(3, 1, 128, side - 2, 32)
    exact = exact_of(x, weight, bias, 0, gradient)
    shape = ([1, 1], [0, 0], [1, 1], False, [0, 0], 1, [True, True, False])
    torchs = (
        functional.conv2d(x, weight, bias),
        *torch.ops.aten.convolution_backward(gradient, x, weight, None, *shape),
    )
    found = (
        convolution(x, weight, bias, (0, 0), False),
        input_gradient(gradient, weight, (0, 0)),
        weight_gradient(x, gradient, (0, 0)),
    )
    for mine, theirs, expected in zip(found, torchs, exact, strict=False):
        assert error(mine, expected) <= 3 * error(theirs, expected) <= 1e-5


def test_nan_stays_nan():
    x, weight, bias = drawn(0, 1, 4, 8, 8), drawn(1, 3, 4, 3, 3), drawn(2, 3)
    x[0, 1, 4, 4] = torch.nan
    assert convolution(x, weight, bias, (0, 0), True)[0, :, 2:5, 2:5].isnan().all()
