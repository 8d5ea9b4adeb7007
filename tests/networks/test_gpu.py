"""Inference on a GPU: convolution and ReLU in one kernel."""

import copy

import pytest
import torch
from torch import nn

from tests.networks.others import EVERY
from unet2015 import networks
from unet2015.networks.gpu import ConvolutionReLU, Pointwise, speed_up
from unet2015.networks.unet2015 import UNet

pytestmark = pytest.mark.usefixtures("others")


def joined(network):
    found = copy.deepcopy(network).eval().requires_grad_(False)
    speed_up(found)
    return found


def count(network):
    return sum(isinstance(module, ConvolutionReLU) for module in network.modules())


@pytest.mark.parametrize(("entry", "chosen"), EVERY)
def test_every_network_gives_the_same(entry, chosen):
    torch.manual_seed(0)
    network = networks.build(chosen, 3, 2).eval()
    side = network.geometry.input_for(3)
    image = torch.randn(1, 3, side, side)
    faster = joined(network)
    assert isinstance(faster.head, Pointwise) == (network.head.kernel_size == (1, 1))
    with torch.inference_mode():
        found, expected = faster(image), network(image)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_all_convolutions_of_the_paper_but_the_last_are_joined():
    network = UNet(width=2)
    assert count(joined(network)) == 18
    assert not any(type(module) is nn.ReLU for module in joined(network).modules())
    assert count(network) == 0


def pair(*layers):
    network = UNet(1, 1, width=1, depth=1)
    network.contract[0] = nn.Sequential(*layers)
    return count(joined(network)) - count(joined(UNet(1, 1, width=1, depth=1))) + 2


def test_only_a_plain_convolution_is_joined_and_only_with_the_relu_right_after_it():
    hooked = nn.Conv2d(1, 1, 3)
    hooked.register_forward_hook(lambda module, given, found: found + 1)
    assert pair(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), nn.ReLU()) == 0
    assert pair(nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1), nn.ReLU()) == 0
    assert pair(nn.Conv2d(1, 1, 3), nn.LeakyReLU()) == 0
    assert pair(nn.ConvTranspose2d(1, 1, 2), nn.ReLU()) == 0
    assert pair(hooked, nn.ReLU()) == 0
    assert pair(nn.Conv2d(1, 1, 3, padding="same"), nn.ReLU()) == 0
    assert pair(nn.Conv2d(1, 1, 3, bias=False, padding=1), nn.ReLU(inplace=True)) == 1


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    ("dtype", "limit"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05), (torch.float64, 1e-12)]
)
def test_cuda_gives_the_same_up_to_rounding(dtype, limit):
    torch.manual_seed(0)
    network = UNet(3, 2, width=16).eval()
    image = torch.randn(2, 3, 204, 220)
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        expected = network.double()(image.double())
        network.to(dtype).head.to(torch.float64 if dtype == torch.float64 else torch.float32)
        found = joined(network).cuda().to(memory_format=torch.channels_last)(image.to(dtype).cuda()).cpu()
    assert (found - expected).abs().max() <= limit * expected.abs().max()
