"""The paper's network on a GPU, in inference; what is no kernel of CUDA is computed here as there."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations

from tests.networks.others import EVERY
from unet2015 import networks
from unet2015.networks import architecture_of, gpu_layers
from unet2015.networks.architecture import make_bfloat16
from unet2015.networks.gpu import ConvolutionReLU
from unet2015.networks.gpu_pass import UNetOnGPU, gpu_scores, peak_values
from unet2015.networks.live_values import LiveBytes
from unet2015.networks.unet2015 import UNet
from unet2015.tiling import predictor
from unet2015.tiling.memory import job_bytes
from unet2015.tiling.plan import TilePlan

pytestmark = pytest.mark.usefixtures("others")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def network_of(channels=1, classes=2, width=4, depth=2, variant="paper", dtype=torch.float64):
    torch.manual_seed(0)
    network = UNet(channels, classes, width, depth, variant).eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.ndim == 1:
            parameter.normal_(0, 0.2)
    if dtype == torch.bfloat16:
        make_bfloat16(network)
    return network.to(memory_format=torch.channels_last) if dtype == torch.bfloat16 else network.to(dtype)


def image_of(network, tiles=2, more=(1, 2), dtype=torch.float64):
    sides = [network.geometry.smallest + network.geometry.factor * each for each in more]
    generator = torch.Generator().manual_seed(1)
    return torch.randn(tiles, network.in_channels, *sides, generator=generator).to(dtype)


def far(found, expected):
    return float((found.double() - expected).abs().max() / expected.abs().max())


@torch.inference_mode()
@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(2, 4),
    st.integers(1, 5),
    st.integers(0, 3),
    st.sampled_from(["paper", "release"]),
    st.sampled_from([1, 4, 32]),
    st.integers(1, 3),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_the_scores_are_the_networks(
    channels, classes, width, depth, variant, fewest, tiles, more, memory_format
):
    network = network_of(channels, classes, width, depth, variant)
    image = image_of(network, tiles, more).contiguous(memory_format=memory_format)
    given_image, expected = image.clone(), network(image)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_layers, "FEWEST", fewest)
        way = gpu_scores(network)
    assert far(way(image), expected) <= 1e-11
    assert torch.equal(way(image), way(image))
    assert torch.equal(image, given_image)


@torch.inference_mode()
@pytest.mark.parametrize("variant", ["paper", "release"])
def test_bfloat16_errs_as_the_network_does_and_its_scores_are_float32(variant):
    exact = network_of(2, 3, 16, 2, variant)
    image = image_of(exact, more=(6, 5))
    rough = network_of(2, 3, 16, 2, variant, torch.bfloat16)
    found, plain = (call(image.bfloat16()) for call in (gpu_scores(rough), rough))
    assert found.dtype == torch.float32
    expected = exact(image)
    assert 0 < far(found, expected) <= 2 * far(plain, expected) <= 0.1


@torch.inference_mode()
@pytest.mark.parametrize("classes", [2, 3, 9])
def test_the_last_layer_of_bfloat16_is_as_exact_as_float32(classes):
    torch.manual_seed(0)
    head = nn.Conv2d(64, classes, 1)
    maps = torch.randn(2, 5, 7, 64).bfloat16()
    whole = torch.randn(2, 9, 8, 64).bfloat16()
    whole[:, :5, :7] = maps
    expected = copy.deepcopy(head).double()(maps.double().permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    for given_maps in (maps, whole[:, :5, :7]):
        assert far(gpu_layers.Head(head, torch.bfloat16)(given_maps), expected) <= 5e-7


@pytest.mark.parametrize("variant", ["paper", "release"])
@settings(max_examples=6, deadline=None)
@given(st.integers(1, 8), st.integers(1, 2), st.integers(1, 3), st.integers(2, 9), st.data())
def test_it_says_how_much_it_holds(variant, width, depth, channels, classes, data):
    for dtype in (torch.float32, torch.bfloat16):
        network = network_of(channels, classes, width, depth, variant, dtype)
        more = [data.draw(st.integers(0, 12)) for _ in range(2)]
        image, way = image_of(network, 1, more, dtype), gpu_scores(network)
        with torch.inference_mode(), LiveBytes() as live:
            way(image.clone())
        assert live.peak <= 4 * peak_values(network, *image.shape[-2:])


@pytest.mark.parametrize("fewest", [1, 32])
def test_and_not_much_more(monkeypatch, fewest):
    monkeypatch.setattr(gpu_layers, "FEWEST", fewest)
    network = network_of(1, 2, 16, 3, dtype=torch.float32)
    image, way = image_of(network, 1, (9, 12), torch.float32), gpu_scores(network)
    with torch.inference_mode(), LiveBytes() as live:
        way(image.clone())
    assert live.peak >= 0.9 * 4 * peak_values(network, *image.shape[-2:])


def hooked(network):
    network.contract[1][2].register_forward_hook(lambda module, given, found: 2 * found)


def hooked_whole(network):
    network.register_forward_pre_hook(lambda module, given: (given[0] + 1,))


def padded(network):
    network.expand[0][0] = nn.Conv2d(8, 4, 3, padding=1)


def strided(network):
    network.upsample[0] = nn.ConvTranspose2d(8, 4, 3, 2)


def without_bias(network):
    network.contract[0][0] = nn.Conv2d(1, 4, 3, bias=False)


def leaky(network):
    network.contract[0][1] = nn.LeakyReLU()


def longer(network):
    network.contract[0].append(nn.Sigmoid())


def normalised(network):
    parametrizations.weight_norm(network.upsample[1])


def wider_head(network):
    network.head = nn.Conv2d(4, 2, 1, padding=1)


CHANGES = (hooked, hooked_whole, padded, strided, without_bias, leaky, longer, normalised, wider_head)


@pytest.mark.parametrize("change", CHANGES)
def test_a_network_that_was_changed_computes_by_itself(change):
    network = network_of()
    assert isinstance(predictor._on_gpu(copy.deepcopy(network)), UNetOnGPU)
    change(network)
    assert gpu_scores(network) is None
    assert isinstance(predictor._on_gpu(network), UNet)
    assert any(isinstance(module, ConvolutionReLU) for module in network.modules())


@torch.inference_mode()
@pytest.mark.parametrize(("entry", "chosen"), EVERY)
def test_every_network_has_the_same_scores_on_a_gpu(entry, chosen):
    torch.manual_seed(0)
    network = networks.build(chosen, 3, 2).eval().requires_grad_(False)
    side = network.geometry.input_for(3)
    image = torch.randn(1, 3, side, side)
    expected = network(image)
    assert far(predictor._on_gpu(copy.deepcopy(network))(image), expected.double()) <= 1e-5
    assert architecture_of(network).gpu_peak_values(network, side, side) > side * side


@torch.inference_mode()
@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("variant", ["paper", "release"])
@pytest.mark.parametrize(
    ("dtype", "limit"), [(torch.float32, 1e-5), (torch.bfloat16, 0.1), (torch.float64, 1e-12)]
)
def test_cuda_gives_the_same_up_to_rounding_in_the_memory_that_is_said(variant, dtype, limit):
    network = network_of(3, 3, 32, 3, variant, torch.float64)
    image = image_of(network, 2, (20, 30))
    expected = network(image)
    device, held = torch.device("cuda"), torch.cuda.memory_allocated()
    predict = predictor.Predictor(
        network.float() if dtype != torch.float64 else network,
        device,
        "bfloat16" if dtype == torch.bfloat16 else "float32",
    )
    tiles = image.to(torch.float64 if dtype == torch.float64 else torch.float32).numpy()
    predict(tiles)
    torch.cuda.reset_peak_memory_stats()
    found = predict(tiles)
    height, width = (side - 2 * network.geometry.margin for side in image.shape[-2:])
    plan = TilePlan(2, height, width, tuple(image.shape[-2:]), 2, network.geometry)
    assert torch.cuda.max_memory_allocated() - held <= job_bytes(network, plan, device)
    assert np.array_equal(found, predict(tiles))
    assert far(torch.from_numpy(found), torch.softmax(expected, 1)) <= limit
