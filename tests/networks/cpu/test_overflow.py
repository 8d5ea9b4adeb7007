"""What leaves the range of float32 is not taken for zero, and no sum passes its bound."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks.cpu.networks import (
    VARIANTS,
    error_of,
    image_for,
    in_bfloat16,
    made,
    winograd_from,
    with_and_without_winograd,
)
from unet2015.networks.cpu import strip_pass
from unet2015.networks.cpu.row_strips import RowStripUNet


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layer", ["contract.0.0", "contract.2.2", "upsample.1", "expand.1.0", "expand.0.2"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
@with_and_without_winograd
def test_what_leaves_the_range_is_not_taken_for_zero(dtype, layer, value, least):
    network = made(12, 1, 2, 4, 2)
    weight = network.get_submodule(layer).weight
    weight[0] = value
    weight[1] = -value
    image = image_for(network, 12, (2, 2)).float()
    plain = made(12, 1, 2, 4, 2)
    plain.load_state_dict(network.state_dict())
    plain.to(dtype).head.float()
    scores = plain(image.to(dtype))
    assert not scores.isfinite().all()
    with winograd_from(least):
        found = RowStripUNet(network, dtype)(image)
    assert torch.equal(found.isnan(), scores.isnan())


@pytest.mark.parametrize(
    "small", ["contract.0.2", "contract.1.2", "contract.2.2", "expand.1.2", "expand.0.2"]
)
@with_and_without_winograd
def test_small_weights_do_not_hide_an_overflow_before_them(small, least):
    network = made(15, 1, 2, 4, 2)
    network.get_submodule(small).weight.mul_(1e-6)
    name, index = small.rsplit(".", 1)
    network.get_submodule(name)[int(index) - 2].weight.mul_(1e20)
    image = image_for(network, 15, (2, 2)).float() * 1e20
    scores = network(image)
    assert scores.isnan().any()
    with winograd_from(least):
        assert torch.equal(RowStripUNet(network)(image).isnan(), scores.isnan())


@pytest.mark.parametrize("value", [float("nan"), -float("nan"), float("inf"), -float("inf")])
@with_and_without_winograd
@pytest.mark.parametrize("at", [5, 30])  # the first reaches part of the scores
def test_a_pixel_that_is_no_number_is_passed_on(value, least, at):
    network = made(13, 1, 2, 4, 2)
    image = image_for(network, 13, (2, 2)).float()
    image[0, 0, at, at] = value
    with winograd_from(least):
        assert torch.equal(RowStripUNet(network)(image).isnan(), network(image).isnan())


def test_a_pass_that_leaves_the_range_has_the_scores_of_the_network_up_to_rounding():
    network = made(16, 1, 2, 4, 2)
    network.contract[1][0].weight.mul_(1e20)
    network.contract[1][2].weight.mul_(1e-20)
    image = image_for(network, 16, (2, 2)).float() * 1e17
    network.contract[2][0].weight.mul_(1e-17)
    scores = network(image)
    assert scores.isfinite().all()
    with winograd_from():
        compute = RowStripUNet(network)
        found = compute(image)
    assert found.isfinite().all()
    assert error_of(found, network.double()(image.double())) <= 1e-5


def bounds_and_largest(network, image, **small):
    """The bound of each level's output, and the largest value in it, on the way down and up."""
    compute = RowStripUNet(network, **small)
    layers, bounds, largest = compute._layers, [], []
    check = type(layers)._check_bounds

    class Watching(type(layers)):
        def _check_bounds(self, *found):
            bounds.append(found[-1])
            check(self, *found)

    compute._layers = Watching(layers.contract, layers.expand, layers.composed, layers.packed)
    hooks = [
        block[2].register_forward_hook(lambda module, inputs, output: largest.append(float(output.max())))
        for block in [*network.contract, *reversed(network.expand)]
    ]
    compute(image)
    network(image)
    for hook in hooks:
        hook.remove()
    return bounds, largest


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(1, 5),
    st.integers(0, 3),
    st.sampled_from(VARIANTS),
    st.floats(0.1, 1e6),
)
def test_no_sum_passes_its_bound(seed, width, depth, variant, scale):
    network = made(seed, 2, 2, width, depth, variant)
    bounds, largest = bounds_and_largest(network, image_for(network, seed).float() * scale)
    assert len(bounds) == len(largest) == 2 * depth + 1
    assert all(value <= bound for value, bound in zip(largest, bounds, strict=True))


@pytest.mark.parametrize("from_below", [False, True])
def test_bounds_take_raised_and_copied_maps_into_account(from_below):
    network = made(16, 1, 2, 2, 2)
    for parameter in network.parameters():
        parameter.abs_()  # all sums are as large as can be
    for block in network.expand:
        (block[0].weight[:, 2:] if from_below else block[0].weight[:, :2]).zero_()
    network.expand[1][0].weight[:, :4] *= from_below
    image = image_for(network, 16).float().abs()
    bounds, largest = bounds_and_largest(network, image)
    assert all(value <= bound for value, bound in zip(largest, bounds, strict=True))
    assert largest[-1] > 0.01 * bounds[-1]


def test_bounds_follow_the_largest_strip():
    network = made(17, 1, 2, 2, 2)
    for parameter in network.parameters():
        parameter.abs_()
    image = image_for(network, 17, (20, 0)).float().abs()
    image[:, :, 60:] *= 1000
    bounds, largest = bounds_and_largest(network, image, block_bytes=1, strip_pixels=1)
    assert len(bounds) > 2 * len(largest)
    assert bounds[-1] >= largest[-1]
    image[:, :, :60], image[:, :, 60:] = image[:, :, 60:120].clone(), image[:, :, :60].mean() / 1000
    bounds, largest = bounds_and_largest(network, image, block_bytes=1, strip_pixels=1)
    assert bounds[-1] >= largest[-1]


@pytest.mark.parametrize("dtype", [torch.float32, in_bfloat16])
def test_an_overflow_that_a_late_strip_makes_is_not_taken_for_zero(monkeypatch, dtype):
    network = made(19, 1, 2, 4, 2)
    network.get_submodule("contract.1.0").weight.mul_(1e6)
    image = image_for(network, 19, (20, 2)).float()
    strips, down = [], strip_pass.StripPass._contract

    def watched(self, level, strip):
        strips.append(strip)
        down(self, level, strip)

    monkeypatch.setattr(strip_pass.StripPass, "_contract", watched)
    small = RowStripUNet(network, dtype, block_bytes=1, strip_pixels=1)
    assert small(image).isfinite().all()
    once = len(strips)
    image[:, :, -9:] *= 1e34
    strips.clear()
    found = small(image)
    assert len(strips) > once + 4  # begun, left, and begun again
    assert found.isnan().any()
    assert not found.isnan().all()
    plain = copy.deepcopy(network).to(dtype)
    plain.head.float()
    assert torch.equal(found.isnan(), plain(image.to(dtype)).isnan())
