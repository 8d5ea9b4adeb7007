"""A training loads no compiler: torch would load it with its optimizers, and for the shape of a first map."""

import json
import subprocess
import sys

import pytest
import torch

from tests.training.conftest import rule
from unet2015.training.optimizers import OPTIMIZERS, descend

TRAIN = """
import sys, torch
from unet2015 import train
from unet2015.networks import NETWORKS, training_geometry
from unet2015.settings import load_settings
from unet2015.training.memory import activation_bytes
from unet2015.training.optimizers import OPTIMIZERS, descend
values = {
    "labels": {"kind": "membrane"},
    "mapping": {"method": "integer-range"},
    "optimisation": {"steps": 1, "warmup": 0, "tile": 60},
    "validation": {"interval": 1, "attempts": 1},
}
for entry in NETWORKS.values():
    for network in entry.examples:
        chosen = load_settings(None, values | {"network": network.model_dump()})
        activation_bytes(chosen, 1, training_geometry(network).input_for(16))
for make in OPTIMIZERS.values():
    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimizer = make([weight], chosen.optimisation)
    optimizer.zero_grad()
    weight.sum().backward()
    descend(optimizer, chosen.optimisation, 0, 0.1)
    optimizer.load_state_dict(optimizer.state_dict())
chosen = load_settings(None, values | {"network": {"width": 2, "depth": 2}})
train(*sys.argv[1:4], settings=chosen, device="cpu")
print({"torch._dynamo", "sympy"} & {*sys.modules})
"""


@pytest.mark.slow
def test_no_network_and_no_optimizer_loads_the_compiler(tmp_path, small_set):
    """It takes as long to load as torch itself."""
    call = [sys.executable, "-c", TRAIN, *map(str, small_set), str(tmp_path / "run")]
    ended = subprocess.run(call, capture_output=True, text=True, check=False)
    assert ended.stdout == "set()\n", ended.stderr


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_they_are_torch_s_optimizers(name):
    """To the last bit, with their state, which goes from one to the other and back."""
    chosen = rule(optimizer=name, momentum=0.9, weight_decay=0.1)
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    mine, theirs = (torch.nn.Parameter(torch.linspace(-1, 1, 9)) for _ in range(2))
    ours = OPTIMIZERS[name]([mine], chosen)
    assert type(ours).__name__ == kind.__name__
    betas = {"momentum": 0.9} if name == "sgd" else {"betas": chosen.betas}
    torchs = kind([theirs], chosen.learning_rate, weight_decay=0.1, **betas)
    for step in range(4):
        for weight in (mine, theirs):
            weight.grad = torch.linspace(2, -1, 9) * (step - 1.5)
        descend(ours, chosen, step, 0.01)
        descend(torchs, chosen, step, 0.01)
        assert torch.equal(mine, theirs)
        state, other = ours.state_dict(), torchs.state_dict()
        assert written(state) == written(other)
        ours.load_state_dict(other)
        torchs.load_state_dict(state)
    ours.zero_grad()
    assert mine.grad is None


def written(state):
    """The state of an optimizer as text."""
    return json.dumps(state, default=lambda tensor: tensor.tolist())
