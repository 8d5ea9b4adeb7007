"""Convolutions with bias and ReLU: the gradients are those of the layers one by one, the names stay."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from unet2015.networks import NETWORKS, TrainingScores, build
from unet2015.networks.gpu_training import (
    TrainedConvolutionReLU,
    UpConvolution,
    bias_gradient,
    cast_weights,
    fuse,
)

CASES = [
    {"kernel_size": 3},
    {"kernel_size": 3, "bias": False},
    {"kernel_size": (3, 2), "padding": (0, 1), "stride": (2, 1), "dilation": (1, 2), "groups": 2},
    {"kernel_size": 1},
    {"kernel_size": 2, "stride": 2, "up": True},
    {"kernel_size": (3, 2), "stride": 2, "padding": 1, "output_padding": (1, 0), "bias": False, "up": True},
]


def noise(*shape, seed=0, dtype=torch.float64, last=True):
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return made.contiguous(memory_format=torch.channels_last) if last else made


@pytest.fixture(params=CASES, ids=str)
def convolution(request):
    torch.manual_seed(1)
    rule = dict(request.param)
    kind = nn.ConvTranspose2d if rule.pop("up", False) else nn.Conv2d
    return kind(4, 6, **rule).to(torch.float64)


def fused_alone(convolution):
    return (TrainedConvolutionReLU if isinstance(convolution, nn.Conv2d) else UpConvolution)(convolution)


@pytest.mark.parametrize("last", [False, True])
def test_the_gradients_are_those_of_finite_differences(convolution, last):
    fused, x = fused_alone(convolution), noise(1, 4, 4, 5, last=last).requires_grad_()
    parameters = [p for p in (fused.weight, fused.bias) if p is not None]

    def f(x, weight, bias=None):
        return torch.func.functional_call(fused, {"weight": weight, "bias": bias}, x)

    assert torch.autograd.gradcheck(f, (x, *parameters))


def gradients(layers, x, precision):
    layers, x = deepcopy(layers), x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16, cache_enabled=False):
        found = layers(x)
    assert found.dtype == precision
    found.float().square().sum().backward()
    assert all(p.grad.dtype == p.dtype for p in layers.parameters())
    return [found.detach(), x.grad, *(p.grad for p in layers.parameters())]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_it_is_the_two_layers_also_under_autocast(convolution, last, precision):
    plain = nn.Sequential(convolution.float(), nn.ReLU(inplace=True))
    fused, x = deepcopy(plain), noise(2, 4, 20, 24, dtype=torch.float32, last=last)
    fuse(fused)
    up = isinstance(convolution, nn.ConvTranspose2d)
    assert [type(layer) for layer in fused] == (
        [UpConvolution, nn.ReLU] if up else [TrainedConvolutionReLU, nn.Identity]
    )
    close = 1e-5 if precision == torch.float32 else 2**-7
    for one, other in zip(gradients(fused, x, precision), gradients(plain, x, precision), strict=True):
        assert one.dtype == other.dtype
        assert float((one - other).norm()) <= close * float(other.norm())


def test_an_autocast_around_the_backward_changes_nothing(convolution):
    fused, x = fused_alone(convolution.float()), noise(1, 4, 9, 9, dtype=torch.float32)
    found = []
    for enabled in (False, True):
        loss = fused(x).square().sum()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            found.append(torch.autograd.grad(loss, list(fused.parameters())))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 5, 7), (1, 4, 1, 9), (3, 1, 8, 8)])
@pytest.mark.parametrize("last", [False, True])
def test_a_gradient_of_a_bias_is_summed_in_float32(shape, last):
    gradient = noise(*shape, dtype=torch.float32, last=last).bfloat16() + 100
    expected = gradient.double().sum((0, 2, 3))
    assert torch.equal(bias_gradient(gradient), expected.float().bfloat16())
    exact = noise(*shape, last=last)
    torch.testing.assert_close(bias_gradient(exact), exact.sum((0, 2, 3)))


@pytest.mark.parametrize("settings", [s for e in NETWORKS.values() for s in e.examples], ids=repr)
def test_networks_of_the_table_keep_their_names_and_what_they_compute(settings):
    torch.manual_seed(0)
    channels = 3 if settings.kind == "vgg19" else 1
    network = build(settings, channels, 2).eval()
    side = network.training_geometry.smallest
    x = noise(1, channels, side, side, dtype=torch.float32)
    fused = deepcopy(network)
    fuse(fused)
    assert list(fused.state_dict()) == list(network.state_dict())
    assert [name for name, _ in fused.named_parameters()] == [name for name, _ in network.named_parameters()]
    for one, other in zip(fused.training_scores(x), network.training_scores(x), strict=True):
        torch.testing.assert_close(one, other)
    replaced = sum(isinstance(module, TrainedConvolutionReLU) for module in fused.modules())
    if settings.kind == "unet2015":
        assert replaced == 2 * (2 * settings.depth + 1)
        assert sum(isinstance(module, UpConvolution) for module in fused.modules()) == settings.depth
    assert not any(type(module) is nn.ConvTranspose2d for module in fused.modules())


def test_what_is_no_plain_pair_is_left_alone():
    class Another(nn.Conv2d):
        """May compute differently."""

    class AnotherUp(nn.ConvTranspose2d):
        """May, too."""

    layers = [
        nn.Conv2d(1, 1, 3, padding="same"),
        nn.ReLU(),
        nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"),
        nn.ReLU(),
        Another(1, 1, 3),
        nn.ReLU(),
        nn.Conv2d(1, 1, 3),
        nn.ReLU6(),
        nn.Conv2d(1, 1, 3),
        AnotherUp(1, 1, 2),
    ]
    sequence = nn.Sequential(*layers)
    fuse(sequence)
    assert list(sequence) == layers


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("settings", [s for e in NETWORKS.values() for s in e.examples], ids=repr)
def test_weights_cast_at_once_are_those_that_autocast_would_cast(settings, fused):
    torch.manual_seed(0)
    channels = 3 if settings.kind == "vgg19" else 1
    network = build(settings, channels, 2).to(memory_format=torch.channels_last).eval()
    if fused:
        fuse(network)
    scores, side = TrainingScores(network), network.training_geometry.smallest
    x, found = noise(1, channels, side, side, dtype=torch.float32), []
    for at_once in (True, False):
        network.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
            cast = cast_weights(scores, torch.bfloat16) if at_once else {}
            maps = torch.func.functional_call(scores, cast, x)
        torch.stack([one.float().square().mean() for one in maps]).sum().backward()
        found.append([*maps, *(weight.grad for weight in network.parameters())])
    for one, other in zip(*found, strict=True):
        assert (one is None) == (other is None)
        assert one is None or (one.dtype == other.dtype and torch.equal(one, other))


def test_a_weight_that_the_loss_does_not_see_stays_without_a_gradient():
    scores = TrainingScores(build(NETWORKS["unet2015"].examples[0], 1, 2))
    cast = cast_weights(scores, torch.bfloat16)
    seen = min(cast)
    cast[seen].float().sum().backward()
    gradients = {name: weight.grad for name, weight in scores.named_parameters() if name in cast}
    assert torch.equal(gradients.pop(seen), torch.ones_like(scores.get_parameter(seen)))
    assert set(gradients.values()) == {None}
