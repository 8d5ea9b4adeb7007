"""Model files of every network of the table, and of networks that it does not have."""

import json

import numpy as np
import pytest
import torch

from tests.networks.others import EVERY, trained
from unet2015 import networks
from unet2015.errors import ModelError
from unet2015.models import ModelDescription, ship_model
from unet2015.models.model_file import Model, ModelInfo, read_model_file, save_model
from unet2015.models.tensors import load_tensors, save_tensors
from unet2015.networks.unet2015 import UNet
from unet2015.settings import Mapping, NetworkSettings

pytestmark = pytest.mark.usefixtures("others")
PADDED = networks.NETWORKS["padded"]


def info_of(chosen, in_channels=1, classes=2):
    return ModelInfo(
        in_channels=in_channels,
        classes=classes,
        network=chosen,
        mapping=Mapping(method="integer-range"),
        class_names=tuple(map(str, range(classes))),
        axes="YX" if in_channels == 1 else "CYX",
    )


@pytest.mark.parametrize(("entry", "chosen"), EVERY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_model_file_keeps_settings_weights_and_buffers(tmp_path, entry, chosen, dtype):
    channels = (entry.channels(chosen) or (2,))[-1]
    network = trained(entry, chosen, channels, 3, 5)
    path = tmp_path / "m.safetensors"
    save_model(path, network, info_of(chosen, channels, 3), dtype)
    model = read_model_file(path)
    assert type(model.network) is entry.network
    assert not model.network.training
    assert model.info.network == chosen
    buffers = dict(network.named_buffers())
    for name, tensor in network.state_dict().items():
        came = model.network.state_dict()[name]
        assert came.dtype == tensor.dtype
        assert torch.equal(came, tensor if name in buffers else tensor.to(dtype).to(tensor.dtype)), name


def padded_file(path, change=lambda weights: None, **described):
    chosen = PADDED.examples[0]
    weights = dict(trained(PADDED, chosen, 1, 2, 0).state_dict())
    change(weights)
    save_tensors(path, weights, json.dumps(info_of(chosen).model_dump(mode="json") | described))
    return path


COUNTER = "contract.0.1.num_batches_tracked"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            lambda weights: weights.pop("expand.0.1.running_var"),
            r"expand\.0\.1\.running_var of shape \(3,\) is missing",
        ),
        (lambda weights: weights.pop(COUNTER), r"num_batches_tracked of shape \(\) is missing"),
        (
            lambda weights: weights.update({COUNTER: torch.tensor(1.5)}),
            "contract.0.1.num_batches_tracked has type float32, the network needs int64",
        ),
        (lambda weights: weights["contract.0.1.running_mean"].fill_(np.nan), "running_mean.*not finite"),
        (
            lambda weights: weights.update({"contract.0.1.running_mean": torch.ones(3, dtype=torch.int64)}),
            "running_mean.*not finite",
        ),
    ],
)
def test_damaged_buffers_are_named(tmp_path, change, why):
    with pytest.raises(ModelError, match=why):
        read_model_file(padded_file(tmp_path / "m.safetensors", change))


@pytest.mark.parametrize("kind", ["hourglass", "unet2026", "x" * 10_000])
def test_a_model_of_an_unknown_architecture_says_which_are_known(tmp_path, kind):
    path = padded_file(tmp_path / "m.safetensors", network={"kind": kind, "stacks": 8})
    with pytest.raises(ModelError) as caught:
        read_model_file(path)
    assert str(caught.value) == (
        f"{path}: this version of unet2015 does not know the architecture {kind[:60]!r}; it knows "
        f"{', '.join(networks.NETWORKS)}. A newer version may know it"
    )


@pytest.mark.parametrize(
    "network", [{"kind": 5}, {"kind": None}, [], "padded", {"kind": "padded", "width": "x"}]
)
def test_a_network_described_wrongly_is_one_line(tmp_path, network):
    with pytest.raises(ModelError, match=r"m\.safetensors: the description .*network[^\n]*$"):
        read_model_file(padded_file(tmp_path / "m.safetensors", network=network))


def test_a_model_of_today_without_a_kind_is_the_papers(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, UNet(width=2, depth=1), info_of(NetworkSettings(width=2, depth=1)))
    weights, text, *_ = load_tensors(path)
    described = json.loads(text)
    del described["network"]["kind"]
    save_tensors(path, weights, json.dumps(described))
    assert read_model_file(path).info.network == NetworkSettings(width=2, depth=1)


def test_large_running_variances_can_be_shipped(tmp_path):
    network = trained(PADDED, PADDED.examples[0], 1, 2, 0)
    network.contract[0][1].running_var.fill_(1e6)  # half precision ends at 65504
    about = dict.fromkeys(("summary", "modality", "citation", "terms"), "x")
    model = Model(network, info_of(PADDED.examples[0]))
    path = ship_model(model, ModelDescription(name="x", **about), tmp_path)
    assert torch.equal(
        read_model_file(path).network.contract[0][1].running_var, network.contract[0][1].running_var
    )
