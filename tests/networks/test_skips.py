"""Pooling with the crop, and the concatenation: values and gradients are torch's own, to the last bit."""

import pytest
import torch
from torch.nn import functional

from unet2015.networks import skips
from unet2015.networks.skips import concatenate, pool_and_crop


def noise(*shape, seed=0, dtype=torch.float32, last=True):
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    return made.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def results(f, *inputs):
    """Return what `f` gives, and the gradients of a loss whose weights differ from value to value."""
    inputs = [x.detach().requires_grad_() for x in inputs]
    found = f(*inputs)
    loss = sum((one.float() * noise(*one.shape, seed=k)).sum() for k, one in enumerate(found))
    return [*found, *torch.autograd.grad(loss, inputs)]


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        assert torch.equal(a, b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(("height", "width", "border"), [(12, 10, 3), (8, 6, 1), (11, 9, 4), (4, 4, 1)])
def test_pool_and_crop(height, width, border, last, dtype):
    # Rounded, so that several pixels may be the largest; ReLU leaves many zeros.
    x = (noise(2, 8, height, width, last=last) * 2).round().relu().to(dtype)

    def plain(x):
        return functional.max_pool2d(x, 2), x[..., border:-border, border:-border]

    assert_same(results(lambda x: pool_and_crop(x, border), x), results(plain, x))


@pytest.mark.parametrize("unused", [0, 1])
def test_one_of_both_may_be_unused(unused):
    x = noise(1, 4, 8, 8).requires_grad_()
    found = torch.autograd.grad(pool_and_crop(x, 2)[1 - unused].sum(), x)[0]
    plain = (functional.max_pool2d(x, 2), x[..., 2:-2, 2:-2])
    assert torch.equal(found, torch.autograd.grad(plain[1 - unused].sum(), x)[0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("one", "two", "last"), [(8, 16, True), (4, 4, True), (3, 8, True), (8, 8, False)])
def test_concatenate(one, two, last, dtype):
    first = noise(2, one, 6, 5, dtype=dtype, last=last)
    second = noise(2, two, 10, 9, seed=1, dtype=dtype, last=last)[..., 2:-2, 2:-2]
    wide = last and one * first.element_size() % 16 == 0 and two * first.element_size() % 16 == 0
    assert (skips._is_wide(first) and skips._is_wide(second)) == wide
    found = results(lambda a, b: [concatenate(a, b)], first, second)
    assert_same(found, results(lambda a, b: [torch.cat([a, b], dim=1)], first, second))
    if last:
        assert found[0].is_contiguous(memory_format=torch.channels_last)


def test_what_is_no_number_is_copied_bit_by_bit():
    bits = torch.tensor([0x7F81, -0x8000, 1, -1], dtype=torch.int16).repeat(4).view(1, 1, 2, 8)
    x = bits.view(torch.bfloat16).permute(0, 3, 1, 2)
    found = concatenate(x, x).view(torch.int16).permute(0, 2, 3, 1)
    assert torch.equal(found, torch.cat([bits, bits], dim=-1))
    different = concatenate(x, x.double())  # not of one type: torch decides what it becomes
    assert different.dtype == torch.float64
