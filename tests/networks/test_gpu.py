"""Inference on a GPU: convolution and ReLU in one kernel."""

import copy

import pytest
import torch
from torch import nn

from tests.networks.others import EVERY
from unet2015 import networks
from unet2015.networks.gpu import ConvolutionReLU, join_relu
from unet2015.networks.unet2015 import UNet

pytestmark = pytest.mark.usefixtures("others")


def joined(network):
    found = copy.deepcopy(network).eval().requires_grad_(False)
    join_relu(found)
    return found


def count(network):
    return sum(isinstance(module, ConvolutionReLU) for module in network.modules())


@pytest.mark.parametrize(("entry", "chosen"), EVERY)
def test_every_network_gives_the_same(entry, chosen):
    torch.manual_seed(0)
    network = networks.build(chosen, 3, 2).eval()
    side = network.geometry.input_for(3)
    image = torch.randn(1, 3, side, side)
    with torch.inference_mode():
        assert torch.equal(joined(network)(image), network(image))


def test_all_convolutions_of_the_paper_but_the_last_are_joined():
    network = UNet(width=2)
    assert count(joined(network)) == 18
    assert not any(type(module) is nn.ReLU for module in joined(network).modules())
    assert count(network) == 0


def test_only_a_plain_convolution_is_joined_and_only_with_the_relu_right_after_it():
    hooked = nn.Conv2d(1, 1, 3)
    hooked.register_forward_hook(lambda module, given, found: found + 1)
    others = [
        [nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), nn.ReLU()],
        [nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1), nn.ReLU()],
        [nn.Conv2d(1, 1, 3), nn.LeakyReLU()],
        [nn.ConvTranspose2d(1, 1, 2), nn.ReLU()],
        [hooked, nn.ReLU()],
    ]
    for layers in others:
        network = nn.Sequential(*layers)
        assert count(joined(network)) == 0
    assert (
        count(joined(nn.Sequential(nn.Conv2d(1, 1, 3, bias=False, padding="same"), nn.ReLU(inplace=True))))
        == 1
    )


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
