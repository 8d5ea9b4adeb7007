"""Which layers use Winograd, and tiles that are aligned for it have the scores of the whole image."""

from functools import lru_cache
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks.cpu.networks import (
    VARIANTS,
    image_for,
    in_bfloat16,
    last,
    made,
    scale_of,
    winograd_from,
)
from unet2015.networks.cpu import layers, packed_weights, winograd
from unet2015.networks.cpu.layers import ConvolutionFactory
from unet2015.networks.cpu.packed_weights import Convolution
from unet2015.networks.cpu.row_strips import RowStripUNet
from unet2015.networks.cpu.winograd_layers import (
    WinogradConvolution,
    is_aligned,
    is_worthwhile,
    tile_geometry,
)
from unet2015.networks.unet2015 import UNet

restored = lru_cache(100)(lambda weights: list(weights.restored()))  # once a layer, not once a strip


def marked(maps, weights, bias, scratch):
    """A convolution in whose outputs one sees which two by two came out at once."""
    parts = zip(maps, restored(weights), strict=True)
    sums = [torch.nn.functional.conv2d(x, weight) for x, weight in parts]
    y = torch.relu(sum(sums) + bias[:, None, None])
    y[:, :, 1::2] *= 1.25
    y[:, :, :, 1::2] *= 0.75
    return last(y)


@pytest.mark.slow
@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    shape=st.tuples(st.integers(2, 6), st.integers(0, 4), st.sampled_from(VARIANTS)),
    inner=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    before=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    after=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    flips=st.sampled_from([(), (2,), (3,), (2, 3)]),
    cuts=st.tuples(st.integers(1, 200_000), st.integers(1, 60), st.integers(1, 60)),
)
def test_aligned_tiles_have_the_same_two_by_two(seed, shape, inner, before, after, flips, cuts):
    network, (block_bytes, *strips) = made(seed, 1, 2, *shape), cuts
    with winograd_from(), mock.patch.object(winograd, "convolve", marked):
        geometry = tile_geometry(network)
        assert geometry.factor == 2 * network.geometry.factor
        extra = [sum(each) for each in zip(inner, before, after, strict=True)]
        image = image_for(network, seed, extra, geometry=geometry).float()
        y, x = (geometry.factor * offset for offset in before)
        h, w = (geometry.smallest + geometry.factor * more for more in inner)
        assert is_aligned(network.depth, h, w)
        tile = image[:, :, y : y + h, x : x + w]
        on_image, on_tile = (RowStripUNet(network, None, block_bytes, pixels) for pixels in strips)
        scores = on_image(image.flip(flips)).flip(flips)
        found = on_tile(tile.flip(flips)).flip(flips)
    lost = 2 * geometry.margin
    same = scores[:, :, y : y + h - lost, x : x + w - lost]
    assert (found - same).abs().max() <= 1e-5 * scale_of(scores)


@pytest.mark.slow
@pytest.mark.parametrize("width", [16, 32, 64])
def test_at_the_papers_size_a_tile_has_the_probabilities_of_the_whole_image(width):
    network = made(7, 1, 2, width, 4)
    geometry = tile_geometry(network)
    assert geometry.factor == 32
    assert geometry.is_legal(572)
    image = image_for(network, 7, (5, 5), geometry=geometry).float()
    side, lost = geometry.smallest, 2 * geometry.margin
    compute = RowStripUNet(network)
    scores = compute(image)
    for y, x in ((0, 32), (160, 160)):
        found = compute(image[:, :, y : y + side, x : x + side])
        same = scores[:, :, y : y + side - lost, x : x + side - lost]
        assert (found.softmax(dim=1) - same.softmax(dim=1)).abs().max() <= 1e-6 * scale_of(scores)


def test_networks_without_winograd_need_no_larger_steps():
    for network in (UNet(width=8), UNet(width=16).double(), UNet(width=64, depth=1)):
        assert tile_geometry(network) == network.geometry


@pytest.mark.parametrize("least", [1, 10**9])
def test_a_tile_that_is_not_aligned_does_not_use_winograd(least):
    network = made(5, 1, 2, 8, 2)
    for extra in ((1, 0), (0, 1), (3, 3)):
        image = image_for(network, 5, extra).float()
        with winograd_from(10**9):
            expected = RowStripUNet(network)(image)
        with winograd_from(least):
            compute = RowStripUNet(network)
            small = image_for(network, 5).float()
            before = compute(small)
            assert torch.equal(compute(image), expected)
            assert torch.equal(compute(small), before)


@pytest.mark.slow
def test_the_papers_network_uses_winograd_where_it_reads_and_makes_128_channels():
    layers = RowStripUNet(UNet(width=64))._layers
    kinds = [[type(each).__name__ for each in pair] for pair in (*layers.contract, *layers.expand)]
    assert kinds == [
        ["Convolution"] * 2,
        ["Convolution", "WinogradConvolution"],
        *[["WinogradConvolution"] * 2] * 3,
        ["ConcatConvolution", "Convolution"],
        *[["WinogradConcatConvolution", "WinogradConvolution"]] * 3,
    ]


@pytest.mark.parametrize("value", [1e31, float("inf"), float("nan")])
def test_weights_whose_transform_would_not_give_them_back_are_left_as_they_are(value):
    module = torch.nn.Conv2d(2, 2, 3)
    with winograd_from():
        assert isinstance(ConvolutionFactory(torch.float32, True).convolution(module), WinogradConvolution)
        module.weight.detach()[1, 1, 1, 1] = value
        assert isinstance(ConvolutionFactory(torch.float32, True).convolution(module), Convolution)


@pytest.mark.parametrize("dtype", [torch.float32, in_bfloat16, torch.float64])
def test_float32_and_bfloat16_use_winograd_where_they_are_packed(dtype):
    module = torch.nn.Conv2d(2, 2, 3)
    with winograd_from():
        factory = ConvolutionFactory(dtype, packed_weights.can_pack(dtype))
        found = factory.convolution(module.to(dtype))
    assert isinstance(found, Convolution if dtype == torch.float64 else WinogradConvolution)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_network_of_float64_has_no_aligned_tiles_and_so_no_winograd(dtype):
    network = made(5, 1, 2, 8, 2).double()
    with winograd_from():
        assert tile_geometry(network) == network.geometry
        assert isinstance(RowStripUNet(network, dtype)._layers.contract[2][1], Convolution)


def test_in_bfloat16_the_way_without_packed_weights_has_the_weights_as_they_were():
    module = torch.nn.Conv2d(6, 4, 3)
    with winograd_from():
        factory = ConvolutionFactory(torch.bfloat16, True)
        layers = factory.convolution(module), factory.concat_convolution(module, 4)
    (one, both), exact = (each.plain() for each in layers), module.weight.detach().bfloat16()
    assert torch.equal(one.weight, exact)
    assert torch.equal(torch.cat([both.raised.weight, both.skip.weight], dim=1), exact)


def test_a_torch_without_the_products_has_the_sums_over_the_window(monkeypatch):
    monkeypatch.setattr(layers, "can_multiply", lambda dtype: False)
    with winograd_from():
        assert isinstance(
            ConvolutionFactory(torch.float32, True).convolution(torch.nn.Conv2d(2, 2, 3)), Convolution
        )


def test_few_channels_are_not_worth_it():
    for dtype, least in ((torch.float32, 128), (torch.bfloat16, 512)):
        assert not is_worthwhile(1, 64, dtype)
        assert not is_worthwhile(least, least // 2, dtype)
        assert is_worthwhile(least, least, dtype)
        assert not is_worthwhile(least, least, dtype, least**2 + 1)
    assert not is_worthwhile(512, 512, torch.float64)
