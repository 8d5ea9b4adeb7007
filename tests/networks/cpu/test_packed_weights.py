"""Packed weights are used where this torch has them, and are those of the network."""

import pytest
import torch

from tests.networks.cpu.networks import image_for, made, scale_of
from unet2015.networks.cpu import packed_weights
from unet2015.networks.cpu.layers import ConvolutionFactory
from unet2015.networks.cpu.row_strips import RowStripUNet


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_fused_convolutions_the_scores_are_the_same(monkeypatch, dtype):
    network = made(5, 2, 3, 6, 2, "release")
    image = image_for(network, 5, (3, 2)).float()
    expected = RowStripUNet(network, dtype)(image)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not packed_weights.can_pack(dtype)
    found = RowStripUNet(network, dtype)(image)
    tolerance = 1e-6 if dtype == torch.float32 else 0.05
    assert (found - expected).abs().max() <= tolerance * scale_of(expected)


def test_what_runs_here_is_packed():
    operators = torch.ops.mkldnn
    if not hasattr(operators, "_convolution_pointwise"):
        pytest.skip("this torch has no fused convolutions")
    assert packed_weights.can_pack(torch.float32)
    assert not packed_weights.can_pack(torch.float64)


def another_way(*arguments):
    raise TypeError("got an unexpected argument")


def wrong(*arguments):
    return torch.zeros(1, 4, 4, 3)


@pytest.mark.parametrize("convolution", [another_way, wrong])
def test_a_torch_whose_fused_convolutions_changed_is_seen_through(monkeypatch, convolution):
    network = made(18, 1, 2, 4, 1)
    image = image_for(network, 18).float()
    expected = RowStripUNet(network)(image)
    packed_weights._fused_equals_public.cache_clear()
    monkeypatch.setattr(torch.ops.mkldnn, "_convolution_pointwise", convolution)
    try:
        assert not packed_weights.can_pack(torch.float32)
        assert (RowStripUNet(network)(image) - expected).abs().max() <= 1e-6 * scale_of(expected)
    finally:
        packed_weights._fused_equals_public.cache_clear()


def test_unpacked_weights_are_those_of_the_network():
    network = made(14, 3, 2, 20, 1)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3):
            made_of = ConvolutionFactory(torch.float32, packed_weights.can_pack(torch.float32)).convolution(
                module
            )
            assert torch.equal(made_of.plain().weight, module.weight)


@pytest.mark.parametrize("kind", [torch.nn.Conv2d, torch.nn.ConvTranspose2d])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_layers_have_weights_of_their_own_in_whatever_order_the_network_holds_them(kind, order, dtype):
    module = kind(3, 4, 2).to(memory_format=order)
    before = module.weight.detach().to(dtype, copy=True), module.bias.detach().to(dtype, copy=True)
    found = ConvolutionFactory(dtype, packed=False).copy(module)
    with torch.no_grad():
        module.weight.zero_()
        module.bias.zero_()
    assert all(map(torch.equal, found, before))
    assert found[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("channels", [1, 16, 35])
@pytest.mark.parametrize("value", [3.0, float("nan"), float("inf")])
def test_the_bound_of_many_channels_counts_each_of_them(channels, value):
    weight, bias = torch.full((channels, 2, 3, 3), 0.5), torch.linspace(-2, 1, channels)
    weight[-1, 1, 2, 0] = -value
    found = packed_weights.OutputBound.of_weights(weight, bias)
    expected = packed_weights.OutputBound.of(weight.abs().sum(dim=(1, 2, 3)), bias)
    assert repr(found) == repr(expected)
    assert found.offset == 2


@pytest.mark.parametrize("value", [1e29, 2e30, -2e30, float("nan"), float("inf"), -float("inf")])
def test_weights_too_large_for_winograd_stay_with_the_usual_convolution(value):
    module = torch.nn.Conv2d(128, 128, 3)
    with torch.no_grad():
        module.weight[100, 3, 1, 1] = value
    factory = ConvolutionFactory(torch.float32, packed_weights.can_pack(torch.float32))
    usual = isinstance(factory.convolution(module), packed_weights.Convolution)
    assert usual == (value != 1e29 or not factory.packed)
