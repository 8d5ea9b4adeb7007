"""Initial weights are drawn as section 3 of the paper says, or as the release does."""

from typing import Literal

import pytest
import torch
from scipy import stats
from torch import nn

from tests.networks.small import VARIANTS
from unet2015.networks.unet2015 import UNet, Variant
from unet2015.settings import InitialisationSettings


@pytest.fixture(scope="module")
def fresh() -> UNet:
    torch.manual_seed(0)
    return UNet()


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rule", ["release", "incoming"])
def test_initial_weights_are_gaussian_with_variance_2_over_n(
    fresh: UNet, rule: Literal["release", "incoming"], variant: Variant
) -> None:
    """N: incoming nodes of one neuron; "for a 3x3 convolution and 64 feature channels ... 576"."""
    if (rule, variant) == ("release", "paper"):
        network = fresh  # the default
    else:
        network = UNet(variant=variant)
        network.initialise(torch.Generator().manual_seed(1), InitialisationSettings(up_convolutions=rule))
    incoming = {"contract.0.0": 9, "contract.0.2": 576, "contract.1.0": 576, "contract.4.2": 9216}
    incoming |= {"expand.3.0": 9216, "expand.0.0": 1152, "expand.0.2": 576, "head": 64}
    if variant == "release":
        incoming["expand.0.0"] = 1728  # 128 + 64 channels
    # Of a 2x2 up-convolution of stride 2 each neuron sees one pixel below.
    incoming |= {"upsample.3": 1024, "upsample.2": 512, "upsample.1": 256, "upsample.0": 128}
    if rule == "release":  # Caffe: four times the channels that it makes
        incoming |= {"upsample.3": 2048, "upsample.2": 1024, "upsample.1": 512}
        incoming["upsample.0"] = 512 if variant == "release" else 256
    checked = 0
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            continue
        weights = layer.weight.detach().double()
        up = isinstance(layer, nn.ConvTranspose2d)
        nodes = incoming.get(name, weights.shape[0] if up else weights[0].numel())
        std, n = (2 / nodes) ** 0.5, weights.numel()
        assert abs(weights.mean().item()) < 4.5 * std / n**0.5, name
        assert abs(weights.std().item() - std) < 4.5 * std / (2 * n) ** 0.5, name
        assert stats.kstest(weights.flatten()[:5000].numpy() / std, "norm").pvalue > 1e-4, name
        checked += 1
    assert checked == 23


def test_initial_biases_are_zero(fresh: UNet) -> None:
    biases = [p for name, p in fresh.named_parameters() if name.endswith("bias")]
    assert len(biases) == 23
    assert all((bias == 0).all() for bias in biases)


@pytest.mark.parametrize("factor", [0.0, 0.25, 1.0])
def test_the_heads_first_weights_are_scaled_and_no_others(factor: float) -> None:
    scaled, plain = UNet(width=2, depth=1), UNet(width=2, depth=1)
    scaled.initialise(torch.Generator().manual_seed(1), InitialisationSettings(head=factor))
    plain.initialise(torch.Generator().manual_seed(1))
    for name, weights in plain.state_dict().items():
        times = factor if name == "head.weight" else 1
        assert torch.equal(scaled.state_dict()[name], times * weights), name


def test_initial_weights_follow_from_the_generator() -> None:
    network = UNet(width=2, depth=1)
    states = []
    for seed in (1, 1, 2):
        network.initialise(torch.Generator().manual_seed(seed))
        states.append(torch.cat([p.detach().flatten() for p in network.parameters()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])
