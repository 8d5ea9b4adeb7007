"""Where an up-convolution and the convolution after it are computed as one, the scores are the network's."""

import pytest
import torch
from torch.nn import functional

from tests.networks.cpu.networks import error_of, image_for, made, scale_of, winograd_from
from unet2015.networks.cpu import composed, layers
from unet2015.networks.cpu.packed_weights import can_pack
from unet2015.networks.cpu.row_strips import RowStripUNet

HALF = torch.bfloat16


@pytest.fixture(autouse=True)
def with_bfloat16_of_its_own(monkeypatch):
    monkeypatch.setattr(layers, "multiplies_bfloat16", lambda: True)
    if not (can_pack(HALF) and hasattr(torch.ops.mkldnn, "_convolution_transpose_pointwise")):
        pytest.skip("this torch has no packed transposed convolution in bfloat16")
    assert composed.can_compose(HALF)


def composed_of(network, dtype=HALF):
    return RowStripUNet(network, dtype)._layers.composed


@pytest.fixture
def separate(monkeypatch):
    """Return a network's scores with both convolutions one after the other."""

    def scores(network, image, *cuts):
        with monkeypatch.context() as changed:
            changed.setattr(layers, "multiplies_bfloat16", lambda: False)
            compute = RowStripUNet(network, HALF, *cuts)
            found = compute(image)
        assert compute._layers.composed == [None] * network.depth
        return found

    return scores


@pytest.mark.parametrize("below", [1, 6])
def test_composed_weights_are_those_of_both_convolutions(below):
    generator = torch.Generator().manual_seed(below)
    up, weight, x = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in [(below, 3, 2, 2), (4, 3, 3, 3), (1, below, 5, 7)]
    )
    both = composed.composed_weights(up, weight)
    assert both.is_contiguous(memory_format=torch.channels_last)
    found = functional.conv_transpose2d(x, both, stride=2, padding=2)
    expected = functional.conv2d(functional.conv_transpose2d(x, up, stride=2), weight)
    assert (found - expected).abs().max() <= 1e-12 * scale_of(expected)
    by_phases = functional.conv2d(x, composed.phases(both)).reshape(1, 2, 2, 4, 4, 6)
    assert torch.allclose(by_phases.permute(0, 3, 4, 1, 5, 2).reshape(found.shape), found, rtol=0, atol=1e-12)


@pytest.fixture(params=[False, True], ids=["vectors", "matrix units"])
def units(request, monkeypatch):
    """Have an up-convolution and the next composed as with or without matrix units."""
    composed.can_compose.cache_clear()
    monkeypatch.setattr(composed, "has_matrix_units", lambda: request.param)
    yield request.param
    composed.can_compose.cache_clear()


@pytest.mark.parametrize("cuts", [(), (20_000, 8)])
@pytest.mark.parametrize(("width", "depth"), [(16, 2), (20, 1), (32, 3)])
def test_scores_are_as_near_as_those_of_one_after_the_other(units, separate, width, depth, cuts):
    network = made(21, 2, 3, width, depth)
    image = image_for(network, 21, (5, 3)).float()
    exact = network(image)
    assert all((each._phases is not None) == units for each in composed_of(network))
    found, usual = RowStripUNet(network, HALF, *cuts)(image), separate(network, image, *cuts)
    assert not torch.equal(found, usual)
    assert error_of(found, exact) <= 1.15 * error_of(usual, exact)


def test_they_are_composed_where_it_is_known_to_be_faster_and_nothing_is_between():
    half = composed.MIN_CHANNELS // 2
    assert [each is None for each in composed_of(made(1, 1, 2, half, 3))] == [True, False, False]
    network = made(1, 1, 2, 16, 2)
    assert composed_of(network, torch.float32) == [None, None]
    assert composed_of(made(1, 1, 2, 16, 2, "release")) == [None, None]
    with winograd_from(64 * 32):
        assert [each is None for each in RowStripUNet(network, HALF)._layers.composed] == [False, True]


@pytest.mark.parametrize(
    "operator", ["_convolution_transpose_pointwise", "_reorder_convolution_transpose_weight"]
)
@pytest.mark.parametrize("does", ["raises", "is wrong"])
def test_a_torch_whose_transposed_convolution_changed_is_seen_through(monkeypatch, separate, operator, does):
    real = getattr(torch.ops.mkldnn, operator)

    def changed(*arguments):
        if does == "raises":
            raise TypeError("got an unexpected argument")
        return real(2 * arguments[0], *arguments[1:])

    network = made(22, 1, 2, 16, 1)
    image = image_for(network, 22).float()
    monkeypatch.setattr(composed, "has_matrix_units", lambda: False)  # with them, other convolutions are used
    composed.can_compose.cache_clear()
    monkeypatch.setattr(torch.ops.mkldnn, operator, changed)
    try:
        assert composed_of(network) == [None]
        assert torch.equal(RowStripUNet(network, HALF)(image), separate(network, image))
    finally:
        composed.can_compose.cache_clear()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38, 1e25])
@pytest.mark.parametrize("layer", ["upsample.0", "upsample.1", "expand.0.0", "expand.1.0", "contract.2.2"])
def test_what_leaves_the_range_is_not_taken_for_zero(layer, value):
    network = made(23, 1, 2, 16, 2)
    weight = network.get_submodule(layer).weight
    weight[0], weight[1] = value, -value
    if value == 1e25:
        network.contract[2][2].weight.mul_(1e25)
    image = image_for(network, 23, (2, 2)).float()
    plain = made(23, 1, 2, 16, 2)
    plain.load_state_dict(network.state_dict())
    plain.to(HALF).head.float()
    scores = plain(image.to(HALF))
    assert torch.equal(RowStripUNet(network, HALF)(image).isnan(), scores.isnan())


@pytest.mark.parametrize("large", [1e30, 1e-30])
def test_weights_whose_product_has_no_number_are_not_composed(separate, large):
    network = made(24, 1, 2, 16, 1)
    network.upsample[0].weight.mul_(large)
    network.upsample[0].bias.zero_()
    network.expand[0][0].weight[:, :16] *= large
    for parameter in network.contract[1].parameters():
        parameter.mul_(1e-30 if large > 1 else 1)
    image = image_for(network, 24).float()
    assert composed_of(network) == [None]
    assert torch.equal(RowStripUNet(network, HALF)(image), separate(network, image))


def test_a_pass_that_leaves_the_range_has_both_one_after_the_other():
    network = made(25, 1, 2, 16, 1)
    image = image_for(network, 25).float() * 1e37
    compute = RowStripUNet(network, HALF)
    assert compute._layers.plain().composed == [None]
    plain = made(25, 1, 2, 16, 1).to(HALF)
    plain.head.float()
    scores = plain(image.to(HALF))
    assert torch.equal(compute(image).isnan(), scores.isnan())


@pytest.mark.parametrize("piece", [2, 6, 8])
def test_matrix_units_raise_wide_maps_in_pieces(monkeypatch, piece):
    """As maps of more than 50 columns run at two thirds of the rate there."""
    monkeypatch.setattr(composed, "has_matrix_units", lambda: True)
    network = made(26, 1, 2, 16, 2)
    image = image_for(network, 26, (1, 6)).float()
    compute, real, widths = RowStripUNet(network, HALF), composed.columns_of, []

    def watched(x, start, stop):
        widths.append(stop - start)
        return real(x, start, stop)

    monkeypatch.setattr(composed, "columns_of", watched)
    whole = compute(image)
    assert min(widths) > 9
    widths.clear()
    monkeypatch.setattr(composed, "PIECE", piece)
    assert (compute(image) - whole).abs().max() <= 1e-2 * scale_of(whole)
    assert max(widths) == piece + 1
