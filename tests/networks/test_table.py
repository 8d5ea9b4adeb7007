"""What every network of the table promises, and that nobody else needs to know it by name."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import unet2015
from tests.networks.others import EVERY, OTHERS, registered, trained
from unet2015 import networks, segment, train
from unet2015.errors import UsageError
from unet2015.networks.live_values import LiveBytes
from unet2015.networks.unet2015 import UNet
from unet2015.settings import NETWORK_KINDS, InitialisationSettings, NetworkSettings
from unet2015.tiling.memory import choose_plan
from unet2015.tiling.predictor import Predictor

pytestmark = pytest.mark.usefixtures("others")
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
PACKAGE = Path(unet2015.__file__).parent
(POINTWISE,) = OTHERS
PADDED = networks.NETWORKS["padded"]


# The table


def test_the_table_and_the_settings_know_the_same_kinds():
    assert list(networks.NETWORKS) == list(NETWORK_KINDS)
    for kind, entry in networks.NETWORKS.items():
        assert entry.kind == kind
        assert entry.settings is NETWORK_KINDS[kind]
        assert len(entry.examples) > 0


@pytest.mark.parametrize(("entry", "chosen"), EVERY)
@pytest.mark.parametrize(("in_channels", "classes"), [(1, 2), (3, 4)])
def test_an_entry_builds_what_it_says(entry, chosen, in_channels, classes):
    network = networks.build(chosen, in_channels, classes)
    assert type(network) is entry.network
    assert networks.architecture(chosen) is networks.architecture_of(network) is entry
    assert network.training
    assert (network.in_channels, network.classes) == (in_channels, classes)
    assert network.geometry == networks.geometry(chosen) == entry.geometry(chosen)
    assert network.head in list(network.children())
    side = network.geometry.input_for(3)
    image = torch.zeros(2, in_channels, side, side + network.geometry.factor)
    sides = [size - 2 * network.geometry.margin for size in image.shape[-2:]]
    assert network(image).shape == (2, classes, *sides)
    training = network.training_geometry
    assert training == networks.training_geometry(chosen)
    assert training.factor == network.geometry.factor
    side = training.input_for(3)
    sides = [side - 2 * training.margin] * 2
    maps = network.training_scores(torch.zeros(2, in_channels, side, side))
    assert {tuple(scores.shape) for scores in maps} == {(2, classes, *sides)}
    assert set(dict(network.named_buffers())) <= set(network.state_dict()), "all buffers are persistent"


@pytest.mark.parametrize(("entry", "chosen"), EVERY)
def test_an_entry_describes_itself_in_one_line(entry, chosen):
    words = networks.describe(chosen)
    assert 0 < len(words) < 100
    assert words.isprintable()


def test_the_paper_s_network_is_described_by_all_that_makes_it():
    chosen = NetworkSettings(width=16, depth=3, variant="release")
    assert networks.describe(chosen) == "U-Net (release) of width 16 and depth 3"


@pytest.mark.parametrize(("entry", "chosen"), EVERY)
def test_first_weights_follow_the_settings(entry, chosen):
    def drawn(**rule):
        torch.manual_seed(1)
        return networks.build(chosen, 1, 2, InitialisationSettings(**rule))

    states = [drawn().state_dict(), drawn(head=0.5).state_dict(), drawn(head=0).state_dict()]
    network = drawn()
    heads = {f"{name}.weight" for name, module in network.named_modules() if module in network.heads}
    assert "head.weight" in heads
    for name in states[0]:
        times = (0.5, 0) if name in heads else (1, 1)
        for state, factor in zip(states[1:], times, strict=True):
            assert torch.equal(state[name], states[0][name] * factor), name
    raised = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.ConvTranspose2d) and module.in_channels != 4 * module.out_channels
    ]  # with four times the channels, both rules count alike
    incoming = drawn(up_convolutions="incoming").state_dict()
    for name in states[0]:
        changed = not torch.equal(incoming[name], states[0][name])
        assert changed == (name in [f"{up}.weight" for up in raised]), name


@pytest.mark.parametrize(("entry", "chosen"), EVERY)
def test_the_head_is_exact_under_autocast(entry, chosen):
    network = networks.build(chosen, 1, 2)
    side = network.geometry.input_for(8)
    with torch.autocast("cpu", torch.bfloat16):
        scores = network(torch.rand(1, 1, side, side))
    assert scores.dtype == torch.float32
    scores.square().sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in network.parameters())


def test_a_network_that_is_not_in_the_table_is_refused_by_name():
    class Mine(UNet):
        """May compute otherwise."""

    with pytest.raises(
        UsageError, match=r"Mine is no network of the table .*\(unet2015, padded, .*, pointwise\)"
    ):
        Predictor(Mine(width=1, depth=1))


# Nobody else


def own_modules():
    """Names of the modules that belong to single networks, or to a family of them."""
    names = {path.stem for path in (PACKAGE / "networks").glob("*.py")} | {"cpu"}
    shared = {
        "architecture",
        "cpu_training",
        "gpu",
        "gpu_training",
        "initialisation",
        "operations",
        "overview",
    }
    return names - {"__init__", *shared}


def known_by_name(path):
    """Lines of a module that name the network of the paper, or import what is its own."""
    text = path.read_text(encoding="utf-8")
    found = [number for number, line in enumerate(text.splitlines(), 1) if re.search(r"\bUNet\b", line)]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        modules = [name.split(".") for name in names]
        if any(parts[:2] == ["unet2015", "networks"] and {*parts[2:3]} & own_modules() for parts in modules):
            found.append(node.lineno)
    return sorted(set(found))


def test_nobody_but_the_table_knows_the_network_of_the_paper():
    room = PACKAGE / "networks"
    table = {room / "__init__.py", *(room / f"{name}.py" for name in own_modules() - {"cpu"})}
    # The copy of any network for training takes its Winograd from the folder `cpu`.
    table |= {*room.glob("cpu/*.py"), room / "cpu_training.py"}
    assert len(table) > 15
    modules = [path for path in PACKAGE.rglob("*.py") if path not in table | {PACKAGE / "__init__.py"}]
    assert len(modules) > 50
    assert {str(path): lines for path in modules if (lines := known_by_name(path))} == {}


@pytest.mark.parametrize(
    "text",
    [
        "import unet2015.networks.cpu.row_strips",
        "from unet2015.networks.cpu import winograd",
        "from unet2015.networks.padding import class_scores",
        "x: UNet",
        "# UNet",
    ],
)
def test_who_knows_it_is_caught(tmp_path, text):
    (tmp_path / "a.py").write_text(f"from unet2015.networks import Network\n{text}")
    assert known_by_name(tmp_path / "a.py") == [2]


# Memory


@pytest.mark.parametrize(("entry", "chosen"), EVERY)
@settings(max_examples=8)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 3), st.integers(2, 3))
def test_an_entry_says_at_least_how_much_its_network_holds(entry, chosen, height, width, channels, classes):
    legal = entry.channels(chosen)
    network = trained(entry, chosen, legal[channels % len(legal)] if legal else channels, classes, 0)
    sides = [network.geometry.input_for(size) for size in (height, width)]
    with torch.no_grad(), LiveBytes() as live:
        network(torch.empty(1, network.in_channels, *sides))
    assert live.peak <= 4 * entry.peak_values(network, *sides)


@pytest.mark.parametrize(("entry", "chosen"), EVERY)
@pytest.mark.parametrize("device", [CPU, CUDA])
@pytest.mark.parametrize("length", [1, 90, 1009])
def test_tiles_are_chosen_that_cost_little_more_than_the_image(entry, chosen, device, length):
    network = networks.build(chosen, 1, 2)
    plan = choose_plan(network, (1, length, length), device, cap=2**31)
    whole = network.geometry.input_for(length) + network.geometry.factor
    assert plan.tiles * np.prod(plan.tile) <= (1 if plan.tiles == 1 else 1.25) * whole**2
    assert plan.tiles == 1 or (device == CUDA and length > 1000)  # it reads one while it computes another


@pytest.mark.parametrize("length", [9001, 8192])
def test_without_a_margin_tiles_are_still_large(length):
    network = networks.build(POINTWISE.examples[0], 1, 2)
    plan = choose_plan(network, (1, length, length), CPU, cap=2**31)
    assert plan.tiles <= 64
    assert plan.tiles * np.prod(plan.tile) <= 1.01 * length**2


# From training to probabilities


@pytest.mark.usefixtures("fewer_objects")
@pytest.mark.parametrize(("entry", "chosen"), EVERY)
def test_every_network_is_trained_fine_tuned_kept_and_used(
    tmp_path, small_set, small_settings, entry, chosen
):
    tile = networks.training_geometry(chosen).input_for(48)
    change = {"optimisation": {"tile": tile, "steps": 4}, "mapping": {"method": "integer-range"}}
    rule = small_settings(**change).model_copy(update={"network": chosen})
    model = train(*small_set, tmp_path / "run", settings=rule, device="cpu")
    assert model.info.network == chosen
    counters = [int(n) for name, n in model.network.named_buffers() if name.endswith("tracked")]
    assert set(counters) <= {4}
    assert len(counters) == sum(isinstance(module, nn.BatchNorm2d) for module in model.network.modules())
    if entry.encoder:
        frozen = small_settings(**change, fine_tuning={"freeze": "encoder"})
        after = train(
            *small_set, tmp_path / "tuned", settings=frozen, device="cpu", start=tmp_path / "run"
        ).network.state_dict()
        encoder = {name for name in after if name.startswith(tuple(f"{part}." for part in entry.encoder))}
        assert 0 < len(encoder) < len(after)
        for name in encoder:
            assert torch.equal(after[name], model.network.state_dict()[name]), name
    image = np.random.default_rng(0).integers(0, 255, (1, 33, 47), np.uint8)
    came = [
        segment(image, again, probabilities=True, device="cpu")
        for again in (model, tmp_path / "run" / "model.safetensors")
    ]
    assert came[0].shape == image.shape
    assert np.array_equal(*came)


def test_half_the_precision_leaves_the_head_and_what_normalises():
    network = trained(PADDED, PADDED.settings(width=8, depth=1), 1, 2, 3)
    side = network.geometry.input_for(20)
    tile = np.random.default_rng(0).normal(0, 1, (2, 1, side, side)).astype(np.float32)
    exact, rough = Predictor(network), Predictor(network, precision="bfloat16")
    kept = {name for name, p in rough.scores.named_parameters() if p.dtype == torch.float32}
    assert kept == {
        name
        for name, parameter in network.named_parameters()
        if name.startswith("head") or (parameter.dim() == 1 and "upsample" not in name)
    }
    assert rough(tile).dtype == np.float32
    assert 0 < np.abs(rough(tile) - exact(tile)).max() < 0.05
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.parametrize(("entry", "chosen"), EVERY)
def test_inference_freezes_what_normalises_and_may_be_half_as_precise(entry, chosen):
    network = trained(entry, chosen, (entry.channels(chosen) or (1,))[0], 2, 3)
    side = network.geometry.input_for(20)
    tiles = np.random.default_rng(0).normal(0, 1, (2, network.in_channels, side, side)).astype(np.float32)
    alone, together = Predictor(network)(tiles[:1]), Predictor(network.train())(tiles)
    assert np.abs(alone[0] - together[0]).max() < 1e-6, "another image of the batch changes nothing"
    assert network.training
    rough = Predictor(network, precision="bfloat16")(tiles)
    assert rough.dtype == np.float32
    assert np.abs(rough - together).max() < 0.2
    assert np.abs(rough - together).mean() < 0.02


def test_the_others_leave_the_table_again():
    before = list(networks.NETWORKS)
    with registered():
        assert {entry.kind for entry in OTHERS} <= set(networks.NETWORKS)
    assert list(networks.NETWORKS) == before
