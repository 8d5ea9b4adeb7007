"""The copy of a network that is trained on a CPU: same parameters, scores and gradients, up to rounding."""

from contextlib import ExitStack, contextmanager
from copy import deepcopy
from unittest import mock

import pytest
import torch
from torch import nn

from unet2015.networks import NETWORKS, build, cpu_training
from unet2015.networks.cpu import product_gradients, winograd_gradients
from unet2015.networks.cpu_training import CPUConvolution, CPUConvolutionReLU, fused_copy
from unet2015.networks.unet2015 import UNet

PARTS = ("convolution", "input_gradient", "weight_gradient")
CASES = [
    {"kernel_size": 3},
    {"kernel_size": 3, "bias": False, "padding": 1},
    {"kernel_size": (3, 2), "padding": (0, 1), "stride": (2, 1), "dilation": (1, 2), "groups": 2},
    {"kernel_size": 2, "stride": 2, "up": True},
    {"kernel_size": (3, 2), "stride": 2, "padding": 1, "output_padding": (1, 0), "bias": False, "up": True},
]


def noise(*shape, seed=0, dtype=torch.float32, last=True):
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return made.contiguous(memory_format=torch.channels_last) if last else made


def made(rule, inner=4, outer=6):
    torch.manual_seed(1)
    rule = dict(rule)
    return (nn.ConvTranspose2d if rule.pop("up", False) else nn.Conv2d)(inner, outer, **rule)


@contextmanager
def used():
    """Count the calls of the Winograd convolution and its gradients."""
    with ExitStack() as stack:
        spies = {
            name: stack.enter_context(
                mock.patch.object(winograd_gradients, name, wraps=getattr(winograd_gradients, name))
            )
            for name in PARTS
        }
        calls: dict[str, int] = {}
        yield calls
        calls |= {name: spy.call_count for name, spy in spies.items() if spy.call_count}


def gradients(layer, x, precision=torch.float32):
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16, cache_enabled=False):
        found = layer(x)
    loss = found.to(torch.promote_types(found.dtype, torch.float32)).square().sum()
    return [found.detach(), *torch.autograd.grad(loss, [x, *layer.parameters()])]


@pytest.mark.parametrize("rule", CASES, ids=str)
@pytest.mark.parametrize("last", [False, True])
def test_the_gradients_are_those_of_finite_differences(rule, last):
    for kind in (CPUConvolution, CPUConvolutionReLU):
        fused = kind(made(rule).double())
        x = noise(1, 4, 4, 5, dtype=torch.float64, last=last).requires_grad_()

        def f(x, weight, bias=None, fused=fused):
            return torch.func.functional_call(fused, {"weight": weight, "bias": bias}, x)

        assert torch.autograd.gradcheck(f, (x, *(p for p in (fused.weight, fused.bias) if p is not None)))


@pytest.fixture
def small_maps(monkeypatch):
    """Lets small maps of many channels use Winograd, and in bfloat16 products, as if there were AMX."""
    monkeypatch.setattr(cpu_training, "_LEAST_PRODUCTS", (2**14, 0))
    monkeypatch.setattr(cpu_training, "has_matrix_units", lambda: True)
    monkeypatch.setattr(cpu_training, "_LEAST_MAPS", (2**14, 0))
    monkeypatch.setattr(cpu_training, "stops_at_avx2", lambda: False)
    monkeypatch.setattr(cpu_training, "_LEAST_WEIGHTS", (2**14, 0))


@pytest.mark.usefixtures("small_maps")
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("rule", "inner", "outer", "winograd"),
    [
        *((rule, 4, 6, False) for rule in CASES),
        ({"kernel_size": 3}, 128, 128, True),
        ({"kernel_size": 3, "padding": (1, 0), "bias": False}, 130, 128, True),
        ({"kernel_size": 3, "padding": 3}, 128, 128, False),
        ({"kernel_size": 3, "stride": 2}, 128, 128, False),
        ({"kernel_size": 3, "groups": 2}, 256, 256, False),
        ({"kernel_size": 2, "stride": 2, "up": True}, 128, 64, False),
        ({"kernel_size": 2, "stride": 1, "up": True}, 128, 64, False),
    ],
    ids=str,
)
def test_a_layer_is_as_close_to_float64_as_torchs(rule, inner, outer, winograd, precision):
    plain, x = made(rule, inner, outer), noise(2, inner, 24, 20)
    exact = gradients(nn.Sequential(deepcopy(plain).double(), nn.ReLU()), x.double())
    theirs = gradients(nn.Sequential(deepcopy(plain), nn.ReLU()), x, precision)
    name = "weight_gradient"
    multiply = mock.Mock(wraps=product_gradients.weight_gradient)
    with used() as calls, mock.patch.object(product_gradients, name, multiply):
        mine = gradients(CPUConvolutionReLU(plain), x, precision)
    assert calls == (dict.fromkeys(PARTS, 1) if winograd and precision == torch.float32 else {})
    assert multiply.call_count == (winograd and precision == torch.bfloat16)
    for one, other, expected in zip(mine, theirs, exact, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        near, far = (float((each - expected).norm() / expected.norm()) for each in (one, other))
        assert near <= max(3 * far, 1e-6)


def test_an_up_convolution_of_many_channels_multiplies_matrices():
    with mock.patch.object(cpu_training, "product", wraps=cpu_training.product) as multiply:
        gradients(CPUConvolution(made(CASES[3], 128, 64)), noise(2, 128, 5, 4))
        gradients(CPUConvolution(made(CASES[3], 4, 6)), noise(2, 4, 5, 4))
    assert multiply.call_count == 1


def test_a_gradient_of_a_bias_is_summed_in_float32():
    layer = CPUConvolution(nn.Conv2d(1, 3, 1).bfloat16())
    found = layer(noise(1, 1, 40, 40).bfloat16())
    gradient = noise(1, 3, 40, 40).bfloat16() + 100
    (summed,) = torch.autograd.grad(found, [layer.bias], gradient)
    assert torch.equal(summed, gradient.double().sum((0, 2, 3)).bfloat16())


@pytest.mark.parametrize(
    ("inner", "outer", "side", "expected"),
    [
        (128, 128, 76, {}),
        (128, 128, 80, {"weight_gradient": 1}),
        (256, 256, 80, {"weight_gradient": 1}),
        (256, 256, 88, dict.fromkeys(("convolution", "input_gradient", "weight_gradient"), 1)),
        (64, 64, 300, {}),
    ],
)
def test_winograd_is_used_where_it_is_faster(inner, outer, side, expected):
    with used() as calls:
        gradients(CPUConvolutionReLU(made({"kernel_size": 3}, inner, outer)), noise(1, inner, side, side))
    assert calls == expected


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("padding", [(0, 0), (1, 2)])
@pytest.mark.parametrize("tiles", [1, 3])
@pytest.mark.parametrize("band", [1, 700, 2**21])
def test_nine_products_are_the_gradient_of_the_weights(band, tiles, padding, last, monkeypatch):
    monkeypatch.setattr(product_gradients, "_BAND", band)  # bytes: one row, several, or all
    x, weight = noise(tiles, 5, 9, 7, dtype=torch.float64, last=last), noise(4, 5, 3, 3, dtype=torch.float64)
    found = nn.functional.conv2d(x, weight.requires_grad_(), padding=padding)
    gradient = noise(*found.shape, seed=3, dtype=torch.float64, last=last)
    (expected,) = torch.autograd.grad(found, weight, gradient)
    for ways in (product_gradients.weight_gradient, product_gradients.weight_gradient_in_bands):
        mine = ways(x, gradient, padding)
        torch.testing.assert_close(mine, expected)
        assert mine.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("inner", "outer", "side", "units", "multiplied"),
    [
        (512, 256, 58, True, 1), (512, 256, 54, True, 0), (256, 256, 120, True, 0), (512, 256, 58, False, 0),
    ],
)  # fmt: skip
def test_products_are_used_where_they_are_faster(inner, outer, side, units, multiplied, monkeypatch):
    monkeypatch.setattr(cpu_training, "has_matrix_units", lambda: units)
    multiply = mock.Mock(wraps=product_gradients.weight_gradient)
    monkeypatch.setattr(product_gradients, "weight_gradient", multiply)
    layer, x = CPUConvolutionReLU(made({"kernel_size": 3}, inner, outer)), noise(1, inner, side, side)
    gradients(layer, x, torch.bfloat16)
    assert multiply.call_count == multiplied


@pytest.mark.parametrize(
    ("inner", "outer", "side", "avx2", "banded"),
    [
        (32, 32, 102, True, 1), (32, 32, 96, True, 0), (16, 16, 300, True, 0), (32, 32, 102, False, 0),
        (128, 128, 80, True, 0),  # Winograd's
    ],
)  # fmt: skip
def test_bands_of_products_are_used_where_they_are_faster(inner, outer, side, avx2, banded, monkeypatch):
    monkeypatch.setattr(cpu_training, "stops_at_avx2", lambda: avx2)
    multiply = mock.Mock(wraps=product_gradients.weight_gradient_in_bands)
    monkeypatch.setattr(product_gradients, "weight_gradient_in_bands", multiply)
    plain, x = made({"kernel_size": 3}, inner, outer), noise(1, inner, side, side)
    mine = gradients(CPUConvolutionReLU(plain), x)
    assert multiply.call_count == banded
    exact = gradients(nn.Sequential(deepcopy(plain).double(), nn.ReLU()), x.double())
    theirs = gradients(nn.Sequential(deepcopy(plain), nn.ReLU()), x)
    for one, other, expected in zip(mine, theirs, exact, strict=True):
        near, far = (float((each - expected).norm() / expected.norm()) for each in (one, other))
        assert near <= max(3 * far, 1e-6)


def test_convolutions_without_relu_and_of_few_channels_are_torchs():
    network = build(NETWORKS["padded"].examples[0], 1, 2)
    assert sum(type(module) is nn.Conv2d for module in fused_copy(network).modules()) > 1
    torch.manual_seed(0)
    network.wide, network.wider = nn.Conv2d(128, 128, 3, padding=1), nn.Conv2d(128, 128, 5)
    copy = fused_copy(network)
    assert (type(copy.wide), type(copy.wider)) == (CPUConvolution, nn.Conv2d)


@pytest.mark.usefixtures("small_maps")
@pytest.mark.parametrize("channels", [4, 128])
def test_nan_passes_through_a_relu(channels):
    x = noise(1, channels, 40, 40)
    x[0, 0, 9, 9] = torch.nan
    assert CPUConvolutionReLU(made({"kernel_size": 3}, channels, channels))(x).isnan().any()


@pytest.mark.parametrize("settings", [s for e in NETWORKS.values() for s in e.examples], ids=repr)
def test_networks_of_the_table_learn_the_same_with_their_own_parameters(settings):
    torch.manual_seed(0)
    channels = 3 if settings.kind == "vgg19" else 1
    network = build(settings, channels, 2).double().to(memory_format=torch.channels_last)
    plain, side = deepcopy(network), network.training_geometry.smallest
    copy, x = fused_copy(network), noise(1, channels, side, side, dtype=torch.float64)
    assert all(copy.state_dict(keep_vars=True)[k] is v for k, v in network.state_dict(keep_vars=True).items())
    assert [n for n, _ in copy.named_parameters()] == [n for n, _ in network.named_parameters()]
    assert {n for n, _ in network.named_modules()} == {n for n, _ in copy.named_modules()}
    for one in (copy, plain):
        torch.manual_seed(7)  # for the drop-out
        torch.stack([scores.square().mean() for scores in one.training_scores(x)]).sum().backward()
    for one, other in zip(network.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
        assert one.grad.stride() == one.stride()  # several processes exchange gradients in this order
    for one, other in zip(network.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(one, other)
    assert not any(isinstance(module, nn.ConvTranspose2d) for module in copy.modules())
    assert all(head.kernel_size != (1, 1) for head in copy.heads if isinstance(head, nn.Conv2d))


def test_a_network_that_was_copied_still_predicts_and_deepcopies():
    network = UNet(width=2, depth=1, dropout=0.0).eval()
    x = noise(1, 1, 28, 28)
    before = network(x)
    copy = deepcopy(fused_copy(network))
    assert torch.equal(network(x), before)
    assert not {p.data_ptr() for p in copy.parameters()} & {p.data_ptr() for p in network.parameters()}
