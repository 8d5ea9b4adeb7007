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
