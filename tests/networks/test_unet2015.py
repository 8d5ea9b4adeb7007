"""The network is the one of Fig. 1: sizes, channels, layers, numbers, precision."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from tests.networks.small import VARIANTS, noise, small, traced
from unet2015.errors import GeometryError, UsageError
from unet2015.networks.unet2015 import UNet, Variant

# Fig. 1

CONTRACT = [  # side before, after the first and the second convolution; channels
    (572, 570, 568, 64),
    (284, 282, 280, 128),
    (140, 138, 136, 256),
    (68, 66, 64, 512),
    (32, 30, 28, 1024),
]
EXPAND = [  # side before, after the first and the second convolution; channels of concat and after
    (392, 390, 388, 128, 64),
    (200, 198, 196, 256, 128),
    (104, 102, 100, 512, 256),
    (56, 54, 52, 1024, 512),
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_size_of_figure_1(variant: Variant) -> None:
    with torch.device("meta"):
        network = UNet(variant=variant)
        got, gave = traced(network, torch.empty(1, 1, 572, 572))
    shapes_in = {name: tuple(tensor.shape[1:]) for name, tensor in got.items()}
    shapes = {name: tuple(tensor.shape[1:]) for name, tensor in gave.items()}
    for level, (before, first, second, channels) in enumerate(CONTRACT):
        above = CONTRACT[level - 1][-1] if level else 1
        assert shapes_in[f"contract.{level}"] == (above, before, before)
        assert shapes[f"contract.{level}.0"] == (channels, first, first)
        assert shapes[f"contract.{level}.2"] == shapes[f"contract.{level}"] == (channels, second, second)
    for level, (before, first, second, joined, channels) in enumerate(EXPAND):
        raised = joined // 2
        if variant == "release" and level == 0:
            raised, joined = 128, 192
        below = (1024, 28) if level == 3 else (EXPAND[level + 1][-1], EXPAND[level + 1][2])
        assert shapes_in[f"upsample.{level}"] == (below[0], below[1], below[1])
        assert shapes[f"upsample.{level}"] == (raised, before, before)
        assert shapes_in[f"expand.{level}"] == (joined, before, before)
        assert shapes[f"expand.{level}.0"] == (channels, first, first)
        assert shapes[f"expand.{level}.2"] == shapes[f"expand.{level}"] == (channels, second, second)
    assert shapes_in["head"] == (64, 388, 388)
    assert shapes["head"] == shapes[""] == (2, 388, 388)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_concatenation_holds_upsampled_then_the_centre_of_the_skip(variant: Variant) -> None:
    network = small(variant=variant, depth=3)
    got, gave = traced(network, noise(1, 1, 108, 124))
    for level, crop in ((2, 4), (1, 16), (0, 40)):
        raised = gave[f"upsample.{level}"]
        raised = raised.relu() if variant == "release" else raised
        skip = gave[f"contract.{level}"][..., crop:-crop, crop:-crop]
        assert torch.equal(got[f"expand.{level}"], torch.cat([raised, skip], dim=1))
    assert (gave["upsample.1"] < 0).any()


def test_the_skips_of_the_paper_are_cropped_as_in_figure_1() -> None:
    """64 -> 56, 136 -> 104, 280 -> 200, 568 -> 392: the same border on each side."""
    network = small(width=1, depth=4)
    got, gave = traced(network, noise(1, 1, 572, 572))
    for level, (before, after) in enumerate([(568, 392), (280, 200), (136, 104), (64, 56)]):
        edge = (before - after) // 2
        assert gave[f"contract.{level}"].shape[-2:] == (before, before)
        skip = gave[f"contract.{level}"][..., edge : edge + after, edge : edge + after]
        assert torch.equal(got[f"expand.{level}"][:, -(2**level) :], skip)


@pytest.mark.parametrize(("variant", "parameters"), [("paper", 31_030_658), ("release", 31_100_354)])
def test_number_of_parameters(variant: Variant, parameters: int) -> None:
    with torch.device("meta"):
        network = UNet(variant=variant)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_one_tile_takes_300_9_gflop() -> None:
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        UNet()(torch.empty(1, 1, 572, 572))
    assert round(counter.get_total_flops() / 1e9, 1) == 300.9


def test_23_convolutional_layers_and_nothing_else() -> None:
    with torch.device("meta"):
        leaves = [module for module in UNet().modules() if not list(module.children())]
    kinds = [(type(leaf).__name__, *getattr(leaf, "kernel_size", ())) for leaf in leaves]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        ("Conv2d", 3, 3): 18,
        ("ReLU",): 18,
        ("ConvTranspose2d", 2, 2): 4,
        ("Conv2d", 1, 1): 1,
        ("Dropout",): 1,  # both times it is used, at the end of the contracting path
    }
    for leaf in leaves:
        if isinstance(leaf, nn.Conv2d | nn.ConvTranspose2d):
            assert leaf.padding == (0, 0)
            assert leaf.stride == ((2, 2) if isinstance(leaf, nn.ConvTranspose2d) else (1, 1))
            assert leaf.dilation == (1, 1)
            assert leaf.groups == 1
            assert leaf.bias is not None


def test_no_padding_a_constant_image_gives_constant_scores() -> None:
    network = small(depth=4)
    scores = network(torch.full((1, 1, 220, 204), 0.7, dtype=torch.float64))
    # Up-convolutions put a 2x2 pattern on each level: constant per phase of 16.
    torch.testing.assert_close(scores[..., 16:, :], scores[..., :-16, :], rtol=0, atol=1e-12)
    torch.testing.assert_close(scores[..., 16:], scores[..., :-16], rtol=0, atol=1e-12)


# Numbers


def by_the_paper(weights: dict[str, Tensor], image: Tensor, depth: int, release: bool) -> Tensor:
    """The U-Net in plain calls, from the words of section 2."""

    def convolve(x: Tensor, name: str) -> Tensor:
        return functional.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def twice(x: Tensor, name: str) -> Tensor:
        """Two 3x3 convolutions (unpadded), each followed by a rectified linear unit."""
        return convolve(convolve(x, f"{name}.0").clamp(min=0), f"{name}.2").clamp(min=0)

    x, maps = image, []
    for level in range(depth):
        maps.append(twice(x, f"contract.{level}"))
        x = functional.max_pool2d(maps[-1], kernel_size=2, stride=2)
    x = twice(x, f"contract.{depth}")
    for level in range(depth - 1, -1, -1):
        up = f"upsample.{level}"
        x = functional.conv_transpose2d(x, weights[f"{up}.weight"], weights[f"{up}.bias"], stride=2)
        if release:
            x = x.clamp(min=0)
        height, width = x.shape[2:]
        top, left = ((a - b) // 2 for a, b in zip(maps[level].shape[2:], (height, width), strict=True))
        cropped = maps[level][:, :, top : top + height, left : left + width]
        x = twice(torch.cat((x, cropped), 1), f"expand.{level}")
    return convolve(x, "head")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("depth", "height", "width"),
    [(0, 5, 9), (1, 18, 24), (2, 44, 44), (2, 48, 60), (3, 92, 108), (4, 188, 188), (4, 204, 236)],
)
def test_the_scores_are_those_of_the_papers_words(
    variant: Variant, depth: int, height: int, width: int
) -> None:
    network = small(variant=variant, depth=depth, in_channels=2, classes=3)
    image = noise(2, 2, height, width)
    expected = by_the_paper(network.state_dict(), image, depth, variant == "release")
    scale = expected.abs().max().item()
    assert scale > 1e-3
    scores = network(image)
    assert scores.shape == (2, 3, *map(network.geometry.output_size, (height, width)))
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_inference_and_memory_format_change_nothing(variant: Variant, channels_last: bool) -> None:
    network = small(variant=variant, depth=3, width=4)
    image = noise(2, 1, 100, 116)
    expected = network(image)
    if channels_last:
        for parameter in network.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        image = image.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        inferred = network(image)
    for scores in (network(image), inferred):
        torch.testing.assert_close(scores, expected, rtol=0, atol=1e-12 * expected.abs().max().item())


def test_the_output_follows_shifts_by_the_pooling_factor_and_no_others() -> None:
    network = small(depth=2, width=4)
    image = noise(1, 1, 80, 80)
    with torch.no_grad():
        whole = network(image)
        shifted = network(image[..., 4:, 8:])
        off = network(image[..., 2:-2, :])
    scale = whole.abs().max().item()
    torch.testing.assert_close(shifted, whole[..., 4:, 8:], rtol=0, atol=1e-12 * scale)
    assert (off - whole[..., 2:-2, :]).abs().max() > 0.01 * scale


# Precision


@pytest.mark.parametrize("training", [False, True])
def test_the_head_is_computed_in_float32_under_autocast(training: bool) -> None:
    network = small(width=4, classes=3, dropout=0.0).float().train(training)
    image = noise(1, 1, 44, 44).float()
    with torch.autocast("cpu", torch.bfloat16):
        got, gave = traced(network, image)
        scores = network(image)
    assert gave["expand.0"].dtype == torch.bfloat16
    assert got["head"].dtype == scores.dtype == torch.float32
    weights, bias = (parameter.detach() for parameter in network.head.parameters())
    assert torch.equal(got["head"], gave["expand.0"].float())
    torch.testing.assert_close(scores, functional.conv2d(got["head"], weights, bias), rtol=1e-6, atol=1e-6)
    scores.square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.dtype == torch.float32


@pytest.mark.parametrize("autocast", [False, True])
def test_a_network_of_float64_gives_scores_of_float64(autocast: bool) -> None:
    network = small()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        assert network(noise(1, 1, 44, 44)).dtype == torch.float64


# Misuse


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"in_channels": 0}, "in_channels: expected a whole number from 1 to 65536, got 0"),
        ({"classes": 0}, "classes: expected a whole number from 1 to 65536, got 0"),
        ({"width": -1}, "width: expected a whole number from 1 to 65536, got -1"),
        ({"variant": "2016"}, "'paper' or 'release', not '2016'"),
        ({"depth": -1}, "0 or more poolings, not -1"),
    ],
)
def test_what_is_not_a_network_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        UNet(**options)


def test_an_illegal_size_is_refused_before_anything_is_computed() -> None:
    network = UNet(width=1)
    with pytest.raises(GeometryError, match=r"571 px.*556 or 572"):
        network(torch.empty(1, 1, 572, 571, device="meta"))
