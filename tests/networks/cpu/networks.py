"""Networks and images for the tests of the fast path on a CPU."""

from contextlib import contextmanager
from unittest import mock

import pytest
import torch

from unet2015.networks.cpu import winograd_layers
from unet2015.networks.unet2015 import UNet

VARIANTS = ["paper", "release"]
in_bfloat16 = pytest.param(
    torch.bfloat16,
    marks=pytest.mark.skipif(
        not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="oneDNN has no bfloat16 on this processor"
    ),
)
"""For what is computed in bfloat16 by oneDNN's own kernels: AVX2 alone has none of them."""
needs_bfloat16 = in_bfloat16.marks[0]


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


@contextmanager
def winograd_from(least=1):
    """Use Winograd from a small product of channels on; small networks are faster to test."""
    with (
        mock.patch.object(winograd_layers, "MIN_CHANNEL_PRODUCT", least),
        mock.patch.object(winograd_layers, "MIN_BFLOAT16_PRODUCT", least),
        mock.patch.object(winograd_layers, "MIN_LOWEST_PRODUCT", least),
    ):
        yield


def error_of(scores, exact):
    """Root mean square error, as a fraction of the largest exact score."""
    return float((scores.double() - exact).pow(2).mean().sqrt()) / scale_of(exact)


def last(tensor):
    """Channels last: in this order oneDNN sums as it does for packed weights."""
    return tensor.to(memory_format=torch.channels_last)


with_and_without_winograd = pytest.mark.parametrize(
    "least", [pytest.param(1, id="winograd"), pytest.param(10**9, id="no winograd")]
)
