"""The network is the one of Fig. 1: sizes, channels, layers, initial weights, drop-out, numbers."""

from typing import Any, Literal

import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from unet2015.errors import GeometryError, UsageError
from unet2015.networks.unet2015 import UNet, Variant
from unet2015.settings import InitialisationSettings

VARIANTS: list[Variant] = ["paper", "release"]


def traced(network: UNet, image: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Run the network; return what each of its layers got and gave, by name."""
    got, gave = {}, {}
    hooks = []
    for name, module in network.named_modules():

        def keep(_: nn.Module, inputs: Any, output: Tensor, name: str = name) -> None:
            # Copied, as the ReLUs work in place.
            got[name], gave[name] = inputs[0].detach().clone(), output.detach().clone()

        hooks.append(module.register_forward_hook(keep))
    network(image)
    for hook in hooks:
        hook.remove()
    return got, gave


def small(**options: Any) -> UNet:
    """A tiny network in float64 with random weights and biases."""
    torch.manual_seed(0)
    network = UNet(**{"width": 2, "depth": 2} | options).double().eval()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.3)
    return network


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


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


# Initial weights


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


# Drop-out


def test_no_dropout_outside_training() -> None:
    network = small()
    image = noise(1, 1, 44, 44)
    assert torch.equal(network(image), network(image))
    without = small(dropout=0.0)
    without.load_state_dict(network.state_dict())
    assert torch.equal(network(image), without(image))
    assert torch.equal(network(image), without.train()(image))
    network.train()
    assert not torch.equal(network(image), network(image))


@pytest.mark.parametrize("rate", [0.5, 0.25])
def test_dropout_where_the_release_has_it(rate: float) -> None:
    """After the last ReLU of the 512 level, before its pool and its skip, and of the bottom."""
    network = small(width=4, depth=3, dropout=rate).train()
    torch.manual_seed(3)
    got, gave = traced(network, noise(4, 1, 124, 124))
    skip = got["expand.2"][:, 16:]
    dropped = {
        "512 level": (gave["contract.2"][..., 4:-4, 4:-4], skip),
        "bottom": (gave["contract.3"], got["upsample.2"]),
    }
    for name, (before, after) in dropped.items():
        alive = before != 0
        kept = after != 0
        assert not (kept & ~alive).any(), name
        torch.testing.assert_close(after[kept], before[kept] / (1 - rate), rtol=1e-14, atol=0)
        n = int(alive.sum())
        share = (alive & ~kept).sum().item() / n
        assert abs(share - rate) < 4.5 * (rate * (1 - rate) / n) ** 0.5, name
        # Single values, not whole feature channels.
        channels = alive.transpose(0, 1).flatten(1)
        for ours, left in zip(channels, kept.transpose(0, 1).flatten(1), strict=True):
            assert ours.sum() < 30 or 0 < left[ours].double().mean() < 1, name
        assert channels.sum(dim=1).max() >= 30, name
    # One mask for the pool and the skip.
    assert torch.equal(got["contract.3"][..., 2:-2, 2:-2], functional.max_pool2d(skip, 2))
    # Nowhere else.
    assert torch.equal(got["contract.1"], functional.max_pool2d(gave["contract.0"], 2))
    assert torch.equal(got["contract.2"], functional.max_pool2d(gave["contract.1"], 2))
    assert torch.equal(
        got["expand.1"], torch.cat([gave["upsample.1"], gave["contract.1"][..., 16:-16, 16:-16]], 1)
    )
    assert torch.equal(
        got["expand.0"], torch.cat([gave["upsample.0"], gave["contract.0"][..., 40:-40, 40:-40]], 1)
    )
    assert torch.equal(got["expand.2"][:, :16], gave["upsample.2"])
    for level in (1, 2):
        assert torch.equal(got[f"upsample.{level - 1}"], gave[f"expand.{level}"])
    assert torch.equal(got["head"], gave["expand.0"])


def test_every_parameter_gets_a_gradient() -> None:
    network = small().train()
    network(noise(1, 1, 44, 44)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad != 0).any(), name


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
        ({"in_channels": 0}, "in_channels must be 1 or more, not 0"),
        ({"classes": 0}, "classes must be 1 or more, not 0"),
        ({"width": -1}, "width must be 1 or more, not -1"),
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
