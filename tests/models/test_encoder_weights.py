"""Weights of an encoder from a file: whole or not at all, and nothing in it is executed."""

import hashlib
import os

import pytest
import torch
from safetensors.torch import save_file

from unet2015 import networks
from unet2015.errors import ModelError, UsageError
from unet2015.models.encoder_weights import load_encoder_weights
from unet2015.settings.network import BaseSettings, VGG19Settings

SMALL = VGG19Settings(width=2, depth=1)


def weights(**changes):
    torch.manual_seed(5)
    state = networks.build(SMALL, 3, 2).features.state_dict()
    found = {f"features.{name}": tensor for name, tensor in state.items()}
    found |= {"classifier.0.weight": torch.ones(3, 4)}
    return {name: tensor for name, tensor in (found | changes).items() if tensor is not None}


def write(path, tensors):
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=path.suffix == ".pth")
    return path


@pytest.mark.parametrize("name", ["vgg.pth", "before-2020.tar", "vgg.safetensors"])
def test_the_encoder_gets_the_weights_of_the_file_and_the_rest_stays(tmp_path, name):
    path, network = write(tmp_path / name, weights()), networks.build(SMALL, 3, 2)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    assert load_encoder_weights(network, path) == hashlib.sha256(path.read_bytes()).hexdigest()
    for key, tensor in network.state_dict().items():
        expected = weights()[key] if key.startswith("features.") else before[key]
        assert torch.equal(tensor, expected), key


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"features.2.weight": torch.ones(2, 3, 3, 3)},
            r"tensor features\.2\.weight has shape \(2, 3, 3, 3\), but .* vgg19 needs .*\(2, 2, 3, 3\)",
        ),
        (
            {"features.0.bias": None},
            r"tensor features\.0\.bias is missing; .* shape \(2,\)\. It holds 8 entries: f",
        ),
        (
            {"features.0.bias": torch.tensor([1, torch.nan])},
            r"tensor features\.0\.bias holds values that are not finite",
        ),
        (
            {"features.0.bias": torch.tensor([1, 1e300], dtype=torch.float64)},
            r"tensor features\.0\.bias holds values that are not finite numbers of float32",
        ),
        (
            {"features.0.bias": torch.tensor([1, 2])},
            r"tensor features\.0\.bias has int64 values, dense, but .* dense floating-point numbers",
        ),
        (
            {"features.0.bias": torch.ones(2).to_sparse()},
            r"tensor features\.0\.bias has float32 values, sparse, but",
        ),
        (
            {"features.0.bias": torch.ones(2, device="meta")},
            r"tensor features\.0\.bias has float32 values, none stored, but",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_changes_nothing(tmp_path, changes, why):
    path, network = write(tmp_path / "vgg.pth", weights(**changes)), networks.build(SMALL, 3, 2)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    with pytest.raises(ModelError, match=rf"vgg\.pth: {why}"):
        load_encoder_weights(network, path)
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("tensors", "what"),
    [
        (
            weights(**{"features.0.bias": None, "features.1.running_mean": torch.ones(2)}),
            "take the file of vgg19",
        ),
        ({"epoch": 3, "state_dict": weights()}, "checkpoint, whose weights are within"),
        ({f"module.{name}": tensor for name, tensor in weights().items()}, "names begin otherwise"),
        ({name.removeprefix("features."): tensor for name, tensor in weights().items()}, "the encoder alone"),
    ],
)
def test_files_that_hold_the_weights_in_another_way_are_recognised(tmp_path, tensors, what):
    with pytest.raises(ModelError, match=rf"vgg\.pth: tensor features\.\d\.\w+ is missing; .*{what}"):
        load_encoder_weights(networks.build(SMALL, 3, 2), write(tmp_path / "vgg.pth", tensors))


def test_half_precision_is_taken_as_it_is(tmp_path):
    halves = {name: tensor.half() for name, tensor in weights().items()}
    network = networks.build(SMALL, 3, 2)
    load_encoder_weights(network, write(tmp_path / "vgg.pth", halves))
    found = network.features[0].weight
    assert found.dtype == torch.float32
    assert torch.equal(found, halves["features.0.weight"].float())


class Evil:
    def __reduce__(self):
        return os.system, ("touch executed",)


@pytest.mark.parametrize("what", [Evil(), {"features.0.weight": Evil()}, torch.nn.ReLU(), [torch.ones(3)], 5])
def test_nothing_in_a_file_is_executed(tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    torch.save(what, "vgg.pth")
    with pytest.raises(ModelError, match=r"^vgg\.pth: expected [^\n]*$") as refused:
        load_encoder_weights(networks.build(SMALL, 3, 2), "vgg.pth")
    assert "weights_only" not in str(refused.value)  # torch advises to turn it off
    assert os.listdir() == ["vgg.pth"]


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04 and no more", b"\x80\x02", b"hello", b"\xff" * 99])
def test_files_that_are_no_weights_are_one_line(tmp_path, data):
    (tmp_path / "x.pth").write_bytes(data)
    with pytest.raises(
        ModelError, match=r"x\.pth: expected weights \(\.pth of torch, or safetensors\)[^\n]*$"
    ):
        load_encoder_weights(networks.build(SMALL, 3, 2), tmp_path / "x.pth")


def test_missing_files_and_other_networks_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"none\.pth: cannot read the weights: No such file"):
        load_encoder_weights(networks.build(SMALL, 3, 2), tmp_path / "none.pth")
    path = write(tmp_path / "vgg.pth", weights())
    with pytest.raises(
        UsageError, match=r"network base takes no weights of an encoder; those that do: vgg19"
    ):
        load_encoder_weights(networks.build(BaseSettings(width=2, depth=1), 3, 2), path)
