"""The network in strips and bands gives the scores of the network, for every size and precision."""

import copy
import threading
from contextlib import contextmanager
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unet2015.errors import GeometryError
from unet2015.networks.cpu import packed_weights, row_strips, winograd
from unet2015.networks.cpu.packed_weights import Convolution, Filtered, Maker
from unet2015.networks.cpu.row_strips import BandedUNet
from unet2015.networks.unet2015 import UNet

VARIANTS = ["paper", "release"]


def made(seed, *arguments, **settings):
    """A network with biases, which a fresh one has not, and with its generator's draws."""
    network = UNet(*arguments, **settings).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    network.initialise(generator)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            parameter.normal_(0, 0.3, generator=generator)
    return network


def image_for(network, seed, extra=(0, 0), count=1, geometry=None):
    geometry = geometry or network.geometry
    sides = [geometry.smallest + geometry.factor * more for more in extra]
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, network.in_channels, *sides, generator=generator, dtype=torch.float64)


def scale_of(scores):
    return float(scores.abs().max())


cases = given(
    seed=st.integers(0, 2**32),
    in_channels=st.integers(1, 3),
    classes=st.integers(1, 4),
    width=st.integers(1, 9),
    depth=st.integers(0, 4),
    variant=st.sampled_from(VARIANTS),
    extra=st.tuples(st.integers(0, 9), st.integers(0, 4)),
    band=st.integers(1, 200_000),
    strip=st.integers(1, 60),
    count=st.integers(1, 2),
)
fewer = pytest.mark.parametrize("least", [pytest.param(1, id="few products"), pytest.param(10**9, id="all")])


@settings(max_examples=60)
@cases
def test_strips_equal_the_network(
    seed, in_channels, classes, width, depth, variant, extra, band, strip, count
):
    network = made(seed, in_channels, classes, width, depth, variant).double()
    image = image_for(network, seed, extra, count)
    scores = network(image)
    found = BandedUNet(network, band=band, strip=strip)(image)
    assert found.shape == scores.shape
    assert found.dtype == torch.float64
    assert (found - scores).abs().max() <= 1e-12 * scale_of(scores)


@contextmanager
def few_products(least=1):
    """Let convolutions of `least` products of channels be those of fewer products; the paper's have more."""
    with mock.patch.object(winograd, "LEAST", least):
        yield


def error_of(scores, exact):
    """Root mean square error, as a fraction of the largest exact score."""
    return float((scores.double() - exact).pow(2).mean().sqrt()) / scale_of(exact)


def last(tensor):
    """Channels last: in this order oneDNN sums as it does for packed weights."""
    return tensor.to(memory_format=torch.channels_last)


@fewer
@settings(max_examples=60)
@cases
def test_packed_bands_round_as_the_network_does(
    least, seed, in_channels, classes, width, depth, variant, extra, band, strip, count
):
    network = made(seed, in_channels, classes, width, depth, variant)
    enough = 12 // network.geometry.factor  # of few scores, either mean may be small by luck
    with few_products(least):
        geometry = row_strips.steps(network)
        image = image_for(network, seed, [enough + more for more in extra], count, geometry).float()
        found = BandedUNet(network, band=band, strip=strip)(image)
    plain = last(network)(last(image))
    exact = network.double()(image.double())
    assert error_of(found, exact) <= 4 * (error_of(plain, exact) + torch.finfo(torch.float32).eps)


def marked(maps, weights, bias, room):
    """A convolution in whose outputs one sees which two by two came out at once."""
    sums = [
        torch.nn.functional.conv2d(x, winograd.original(weight))
        for x, weight in zip(maps, weights, strict=True)
    ]
    y = torch.relu(sum(sums) + bias[:, None, None])
    y[:, :, 1::2] *= 1.25
    y[:, :, :, 1::2] *= 0.75
    return last(y)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    width=st.integers(2, 6),
    depth=st.integers(0, 4),
    variant=st.sampled_from(VARIANTS),
    inner=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    before=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    after=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    flips=st.sampled_from([(), (2,), (3,), (2, 3)]),
    band=st.integers(1, 200_000),
    strips=st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_tiles_in_step_have_the_same_two_by_two(
    seed, width, depth, variant, inner, before, after, flips, band, strips
):
    network = made(seed, 1, 2, width, depth, variant)
    with few_products(), mock.patch.object(winograd, "convolve", marked):
        geometry = row_strips.steps(network)
        assert geometry.factor == 2 * network.geometry.factor
        extra = [sum(each) for each in zip(inner, before, after, strict=True)]
        image = image_for(network, seed, extra, geometry=geometry).float()
        y, x = (geometry.factor * offset for offset in before)
        h, w = (geometry.smallest + geometry.factor * more for more in inner)
        assert row_strips.in_step(network.geometry, h, w)
        tile = image[:, :, y : y + h, x : x + w]
        scores = BandedUNet(network, band=band, strip=strips[0])(image.flip(flips)).flip(flips)
        found = BandedUNet(network, band=band, strip=strips[1])(tile.flip(flips)).flip(flips)
    lost = 2 * geometry.margin
    same = scores[:, :, y : y + h - lost, x : x + w - lost]
    assert (found - same).abs().max() <= 1e-5 * scale_of(scores)


@pytest.mark.parametrize("width", [16, 32, 64])
def test_at_the_papers_size_a_tile_has_the_probabilities_of_the_whole_image(width):
    network = made(7, 1, 2, width, 4)
    geometry = row_strips.steps(network)
    assert geometry.factor == 32
    assert geometry.is_legal(572)
    image = image_for(network, 7, (5, 5), geometry=geometry).float()
    side, lost = geometry.smallest, 2 * geometry.margin
    compute = BandedUNet(network)
    scores = compute(image)
    for y, x in ((0, 32), (160, 160)):
        found = compute(image[:, :, y : y + side, x : x + side])
        same = scores[:, :, y : y + side - lost, x : x + side - lost]
        assert (found.softmax(dim=1) - same.softmax(dim=1)).abs().max() <= 1e-6 * scale_of(scores)


def test_networks_without_fewer_products_need_no_larger_steps():
    for network in (UNet(width=8), UNet(width=16).double(), UNet(width=64, depth=1)):
        assert row_strips.steps(network) == network.geometry


@pytest.mark.parametrize("least", [1, 10**9])
def test_a_tile_out_of_step_takes_all_products(least):
    network = made(5, 1, 2, 8, 2)
    for extra in ((1, 0), (0, 1), (3, 3)):
        image = image_for(network, 5, extra).float()
        with few_products(10**9):
            expected = BandedUNet(network)(image)
        with few_products(least):
            compute = BandedUNet(network)
            small = image_for(network, 5).float()
            before = compute(small)
            assert torch.equal(compute(image), expected)
            assert torch.equal(compute(small), before)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("width", [4, 16, 32])
@fewer
def test_at_the_papers_depth_packed_bands_are_as_exact_as_the_network(variant, width, least):
    network = made(0, 1, 2, width, 4, variant)
    image = image_for(network, 1, (6, 4)).float()
    with few_products(least):
        found = BandedUNet(network, band=200_000, strip=8)(image)
    plain = last(network)(last(image))
    exact = network.double()(image.double())
    assert error_of(found, exact) <= 1.25 * error_of(plain, exact)


def test_bfloat16_is_as_near_as_the_network_in_bfloat16():
    network = made(3, 1, 2, 16, 3)
    image = image_for(network, 1, (6, 5)).float()
    exact = network(image)
    found = BandedUNet(network, torch.bfloat16, band=50_000, strip=8)(image)
    assert found.dtype == torch.float32
    plain = made(3, 1, 2, 16, 3).to(torch.bfloat16)
    plain.head.float()
    usual = (plain(image.bfloat16()) - exact).abs().max()
    assert 0 < (found - exact).abs().max() <= 2 * usual


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_fused_convolutions_the_scores_are_the_same(monkeypatch, dtype):
    network = made(5, 2, 3, 6, 2, "release")
    image = image_for(network, 5, (3, 2)).float()
    expected = BandedUNet(network, dtype)(image)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not packed_weights.can_pack(dtype)
    found = BandedUNet(network, dtype)(image)
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
    expected = BandedUNet(network)(image)
    packed_weights._tried.cache_clear()
    monkeypatch.setattr(torch.ops.mkldnn, "_convolution_pointwise", convolution)
    try:
        assert not packed_weights.can_pack(torch.float32)
        assert (BandedUNet(network)(image) - expected).abs().max() <= 1e-6 * scale_of(expected)
    finally:
        packed_weights._tried.cache_clear()


def test_sizes_may_change_between_calls_and_bytes_do_not():
    network = made(7, 1, 2, 4, 3)
    compute = BandedUNet(network, band=20_000, strip=8)
    images = [image_for(network, seed, (seed, 3)).float() for seed in range(3)]
    first = [compute(image) for image in images]
    for image, scores in zip(reversed(images), reversed(first), strict=True):
        assert torch.equal(compute(image), scores)
        assert torch.equal(BandedUNet(network, band=20_000, strip=8)(image), scores)


def test_a_batch_has_the_bytes_of_its_images():
    network = made(8, 1, 2, 4, 2)
    compute = BandedUNet(network)
    batch = image_for(network, 0, (2, 2), count=3).float()
    assert torch.equal(compute(batch), torch.cat([compute(image[None]) for image in batch]))


def test_the_network_may_change_afterwards():
    network = made(9, 1, 2, 4, 2)
    image = image_for(network, 0).float()
    compute = BandedUNet(network)
    before = compute(image)
    for parameter in network.parameters():
        parameter.zero_()
    assert torch.equal(compute(image), before)
    assert scale_of(before) > 0


def test_threads_do_not_disturb_each_other():
    network = made(10, 1, 2, 4, 2)
    compute = BandedUNet(network, band=4_000)
    images = [image_for(network, seed, (seed, 1)).float() for seed in range(4)]
    expected = [compute(image) for image in images]
    wrong = []

    def again(image, scores):
        for _ in range(10):
            if not torch.equal(compute(image), scores):
                wrong.append(image.shape)

    threads = [threading.Thread(target=again, args=pair) for pair in zip(images, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_illegal_size_is_refused():
    with pytest.raises(GeometryError, match="nearest legal"):
        BandedUNet(UNet(width=1))(torch.zeros(1, 1, 571, 572))


def test_there_are_strips_and_bands_at_all(monkeypatch):
    network = made(11, 1, 2, 2, 1)
    image = image_for(network, 0, (40, 10)).float()
    compute = BandedUNet(network, band=2_000, strip=100)
    seen, cut = [], row_strips.bands

    def watched(start, stop, most):
        found = list(cut(start, stop, most))
        seen.append(len(found))
        return iter(found)

    monkeypatch.setattr(row_strips, "bands", watched)
    compute(image)
    assert len(seen) >= 3 * 4  # three levels, down, bottom and up
    assert max(seen) > 1


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 20))
def test_bands_are_even_and_about_equal(start, more, half):
    start, most = 2 * start, 2 * half
    found = list(row_strips.bands(start, start + more, most))
    assert [row for low, high in found for row in range(low, high)] == list(range(start, start + more))
    assert all(low % 2 == 0 and high - low <= most for low, high in found)
    assert len(found) == -(-more // most)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layer", ["contract.0.0", "contract.2.2", "upsample.1", "expand.1.0", "expand.0.2"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
@fewer
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
    with few_products(least):
        found = BandedUNet(network, dtype)(image)
    assert torch.equal(found.isnan(), scores.isnan())


@pytest.mark.parametrize(
    "small", ["contract.0.2", "contract.1.2", "contract.2.2", "expand.1.2", "expand.0.2"]
)
@fewer
def test_small_weights_do_not_hide_an_overflow_before_them(small, least):
    network = made(15, 1, 2, 4, 2)
    network.get_submodule(small).weight.mul_(1e-6)
    name, index = small.rsplit(".", 1)
    network.get_submodule(name)[int(index) - 2].weight.mul_(1e20)
    image = image_for(network, 15, (2, 2)).float() * 1e20
    scores = network(image)
    assert scores.isnan().any()
    with few_products(least):
        assert torch.equal(BandedUNet(network)(image).isnan(), scores.isnan())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@fewer
def test_a_pixel_that_is_no_number_is_passed_on(value, least):
    network = made(13, 1, 2, 4, 2)
    image = image_for(network, 13, (2, 2)).float()
    image[0, 0, 30, 30] = value
    with few_products(least):
        assert torch.equal(BandedUNet(network)(image).isnan(), network(image).isnan())


def test_the_papers_network_takes_fewer_products_where_both_sides_have_128_channels():
    layers = BandedUNet(UNet(width=64))._layers
    kinds = [[type(each).__name__ for each in pair] for pair in (*layers.contract, *layers.expand)]
    assert kinds == [
        ["Convolution"] * 2,
        ["Convolution"] * 2,
        *[["Filtered"] * 2] * 3,
        ["Joined", "Convolution"],
        ["Joined", "Convolution"],
        *[["FilteredJoined", "Filtered"]] * 2,
    ]


@pytest.mark.parametrize("value", [1e31, float("inf"), float("nan")])
def test_weights_whose_transform_would_not_give_them_back_are_left_as_they_are(value):
    module = torch.nn.Conv2d(2, 2, 3)
    with few_products():
        assert isinstance(Maker(torch.float32, True).convolution(module), Filtered)
        module.weight.detach()[1, 1, 1, 1] = value
        assert isinstance(Maker(torch.float32, True).convolution(module), Convolution)


def test_other_precisions_take_all_products():
    module = torch.nn.Conv2d(2, 2, 3)
    with few_products():
        for dtype in (torch.bfloat16, torch.float64):
            maker = Maker(dtype, packed_weights.can_pack(dtype))
            assert isinstance(maker.convolution(module.to(dtype)), Convolution)


def test_a_pass_that_leaves_the_range_has_the_scores_of_the_network_up_to_rounding():
    network = made(16, 1, 2, 4, 2)
    network.contract[1][0].weight.mul_(1e20)
    network.contract[1][2].weight.mul_(1e-20)
    image = image_for(network, 16, (2, 2)).float() * 1e17
    network.contract[2][0].weight.mul_(1e-17)
    scores = network(image)
    assert scores.isfinite().all()
    with few_products():
        compute = BandedUNet(network)
        found = compute(image)
    assert found.isfinite().all()
    assert error_of(found, network.double()(image.double())) <= 1e-5


def test_unpacked_weights_are_those_of_the_network():
    network = made(14, 3, 2, 20, 1)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3):
            made_of = Maker(torch.float32, packed_weights.can_pack(torch.float32)).convolution(module)
            assert torch.equal(made_of.plain().weight, module.weight)


def bounds_and_largest(network, image, **small):
    """The bound of each level's output, and the largest value in it, on the way down and up."""
    compute = BandedUNet(network, **small)
    layers, bounds, largest = compute._layers, [], []
    within = type(layers)._within

    class Watching(type(layers)):
        def _within(self, *found):
            bounds.append(found[-1])
            within(self, *found)

    compute._layers = Watching(layers.contract, layers.expand, layers.packed)
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
    bounds, largest = bounds_and_largest(network, image, band=1, strip=1)
    assert len(bounds) > 2 * len(largest)
    assert bounds[-1] >= largest[-1]
    image[:, :, :60], image[:, :, 60:] = image[:, :, 60:120].clone(), image[:, :, :60].mean() / 1000
    bounds, largest = bounds_and_largest(network, image, band=1, strip=1)
    assert bounds[-1] >= largest[-1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_overflow_that_a_late_strip_makes_is_not_taken_for_zero(monkeypatch, dtype):
    network = made(19, 1, 2, 4, 2)
    network.get_submodule("contract.1.0").weight.mul_(1e6)
    image = image_for(network, 19, (20, 2)).float()
    strips, down = [], row_strips._Pass._down

    def watched(self, level, strip):
        strips.append(strip)
        down(self, level, strip)

    monkeypatch.setattr(row_strips._Pass, "_down", watched)
    small = BandedUNet(network, dtype, band=1, strip=1)
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
