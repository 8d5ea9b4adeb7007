"""What a device can do is found out by trying: the faster precision, and what fits into memory."""

import json
import logging

import pytest
import torch

from unet2015.errors import MemoryLimitError
from unet2015.models.tensors import load_tensors
from unet2015.networks import build
from unet2015.settings import NetworkSettings, OptimisationSettings
from unet2015.training import loop, precision
from unet2015.training.loop import train
from unet2015.training.precision import choose_precision, what_fits

CPU = torch.device("cpu")


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build(NetworkSettings(width=2, depth=2), 1, 2)


def pretend(monkeypatch, single, half):
    """Let a step take these seconds."""
    times = {"float32": single, "bfloat16": half}
    monkeypatch.setattr(precision, "step_seconds", lambda network, shape, device, name: times[name])


@pytest.mark.parametrize(
    ("half", "chosen"),
    [(0.5, "bfloat16"), (0.9, "bfloat16"), (0.95, "float32"), (1.0, "float32"), (9, "float32")],
)
def test_bfloat16_is_chosen_where_it_is_a_tenth_faster(network, monkeypatch, half, chosen):
    pretend(monkeypatch, 1.0, half)
    found, why = choose_precision(network, OptimisationSettings(tile=60), CPU)
    assert found == chosen
    assert f"{half:.2f} times" in why


def test_the_timing_leaves_the_network_as_it_was(network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert choose_precision(network, OptimisationSettings(tile=60, batch=2), CPU)[0] in (
        "float32",
        "bfloat16",
    )
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_where_bfloat16_fails_float32_is_taken(network, monkeypatch):
    def fails(network, shape, device, name):
        if name == "bfloat16":
            raise RuntimeError("no kernel for bfloat16\nat line 7")
        return 1.0

    monkeypatch.setattr(precision, "step_seconds", fails)
    found, why = choose_precision(network, OptimisationSettings(tile=60), CPU)
    assert (found, "no kernel" in why, "\n" in why) == ("float32", True, False)


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_chosen")
@pytest.mark.parametrize(("half", "chosen"), [(0.5, "bfloat16"), (2.0, "float32")])
def test_auto_says_what_it_chose_and_keeps_it(
    tmp_path, small_set, small_settings, monkeypatch, caplog, half, chosen
):
    pretend(monkeypatch, 1.0, half)
    run, auto = tmp_path / "run", small_settings(optimisation={"precision": "auto"})
    with caplog.at_level(logging.INFO, "unet2015"):
        model = train(*small_set, run, settings=auto, device="cpu")
    assert caplog.text.count(f"precision: {chosen}; ") == 1
    assert model.info.training["precision"] == chosen
    # As if it had been asked for; and resumed it stays, whatever a timing would say now.
    fixed = small_settings(optimisation={"precision": chosen})
    train(*small_set, tmp_path / "fixed", settings=fixed, device="cpu")
    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    ends = [load_tensors(folder / "checkpoints" / names[-1])[0] for folder in (run, tmp_path / "fixed")]
    (run / "checkpoints" / names[-1]).unlink()
    pretend(monkeypatch, 1.0, 1 / half)
    train(*small_set, run, settings=auto, device="cpu", resume=True)
    tensors, text, *_ = load_tensors(run / "checkpoints" / names[-1])
    assert json.loads(text)["precision"] == chosen
    for end in ends:
        assert all(torch.equal(tensors[name], end[name]) for name in end)


def small_memory(monkeypatch, most):
    """Let the network fail as on a device that holds so many pixels of input."""
    forward = type(build(NetworkSettings(width=2, depth=2), 1, 2)).forward

    def limited(self, image):
        # Without data nothing is taken: only what is computed fails.
        if not image.is_meta and image.shape[0] * image.shape[-1] * image.shape[-2] > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return forward(self, image)

    monkeypatch.setattr("unet2015.networks.unet2015.UNet.forward", limited)


@pytest.mark.parametrize(
    ("batch", "most", "words"),
    [
        (8, 3 * 60 * 60, "batch = 2 fits"),
        (2, 60 * 60, "batch = 1 fits"),
        (2, 50 * 50, "tile = 44 fits, with batch = 1"),
        (1, 50 * 50, "tile = 44 fits, with batch = 1"),
        (1, 10, "not even the smallest tile fits"),
    ],
)
def test_what_does_not_fit_is_answered_with_what_does(
    tmp_path, small_set, small_settings, monkeypatch, batch, most, words
):
    small_memory(monkeypatch, most)
    settings = small_settings(optimisation={"batch": batch})
    with pytest.raises(MemoryLimitError) as refused:
        train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    assert f"in step 1 with batch = {batch} and tile = 60; {words}" in str(refused.value)


def test_other_errors_are_no_lack_of_memory(network, tmp_path, small_set, small_settings, monkeypatch):
    def broken(self, *words):
        raise RuntimeError("the card is broken")

    monkeypatch.setattr(loop.Training, "_step", broken)
    with pytest.raises(RuntimeError, match="the card is broken"):
        train(*small_set, tmp_path / "run", settings=small_settings(), device="cpu")


@pytest.mark.parametrize("tile", [44, 60, 124, 572])
def test_what_fits_tries_legal_sizes_alone_each_once(network, monkeypatch, tile):
    tried = []

    def full(network, shape, device, name):
        tried.append(shape)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(precision, "try_step", full)
    what_fits(network, OptimisationSettings(tile=tile, batch=4), CPU, "float32")
    assert [shape[0] for shape in tried[:2]] == [2, 1]
    sides = [shape[-1] for shape in tried[1:]]
    assert sides == sorted(set(sides), reverse=True)
    assert sides[-1] == network.geometry.smallest
    assert all(network.geometry.is_legal(side) for side in sides)
