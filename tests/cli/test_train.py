import json

import numpy as np
import pytest

from unet2015.checkpoint import load_model
from unet2015.cli.train import changes

TINY = """
[network]
depth = 1
[optimisation]
tile = 44
warmup = 1
[validation]
interval = 2
"""


@pytest.fixture
def train(cli, data):
    """Train a very small network for two steps."""
    (data / "tiny.toml").write_text(TINY)

    def call(*more):
        return cli(
            "train", "--images", data / "images", "--labels", data / "labels", "-o", data / "run",
            "--settings", data / "tiny.toml", "--label-kind", "membrane", "--width", "2", *more,
        )  # fmt: skip

    return call


def test_the_model_s_path_is_printed_and_the_options_were_used(train, data):
    ended = train("--steps", "2", "--validate", "0", "--device", "cpu")
    assert (ended.status, ended.out) == (0, f"{data / 'run' / 'model.safetensors'}\n")
    model = load_model(data / "run" / "model.safetensors")
    assert (model.network.width, model.network.depth) == (2, 1)
    used = json.loads((data / "run" / "settings.json").read_text())
    assert used["optimisation"]["steps"] == 2
    assert used["labels"]["kind"] == "membrane"
    assert used["validation"]["pages"] == "0"


def test_a_run_is_not_overwritten_but_resumed(train, data, refused):
    assert train("--steps", "2").status == 0
    before = (data / "run" / "model.safetensors").read_bytes()
    refused(train("--steps", "2"), 2, data / "run", "resume")
    assert (data / "run" / "model.safetensors").read_bytes() == before
    assert train("--steps", "2", "--resume").status == 0


def test_a_bad_set_is_refused_before_anything_is_written(train, data, refused):
    refused(train("--label-kind", "instances"), 1, "a.tif", "0 and 255", "membrane")
    refused(train("--validate", "1-9"), 1, "no page 9")
    assert not (data / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--steps", "0"], ["optimisation.steps"]),
        (["--width", "-4"], ["network.width"]),
        (["--settings", "none.toml"], ["none.toml"]),
        (["--device", "abacus"], ["abacus"]),
        (["--images", "nowhere"], ["nowhere"]),
    ],
)
def test_wrong_options(train, data, refused, options, words):
    refused(train(*options), 2, *words)
    assert not (data / "run").exists()


def test_options_that_are_not_given_change_nothing():
    assert not any(changes().values())
    assert changes(steps=5, ignore=0) == {
        "labels": {"ignore": 0},
        "validation": {},
        "optimisation": {"steps": 5},
        "network": {},
    }


def test_the_same_training_from_python(train, data):
    from unet2015.settings import load_settings
    from unet2015.training.loop import train as run

    assert train("--steps", "2", "--device", "cpu").status == 0
    settings = load_settings(data / "tiny.toml", changes("membrane", steps=2, width=2))
    model = run(data / "images", data / "labels", data / "other", settings=settings, device="cpu")
    other = load_model(data / "run" / "model.safetensors").network.state_dict()
    for name, tensor in model.network.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), other[name].numpy())
