import json
import logging

import numpy as np
import pytest
import torch

from unet2015.cli.options import changes
from unet2015.models import doubts
from unet2015.models.model_file import read_model_file
from unet2015.report.figures import draw_curves
from unet2015.settings import load_settings
from unet2015.training.chosen_settings import choose_settings
from unet2015.training.validation import Validation

TINY = """
[network]
depth = 1
[optimisation]
tile = 44
warmup = 1
[validation]
interval = 2
attempts = 1
"""


@pytest.fixture
def train(cli, data, fewer_objects, monkeypatch):
    """Train a very small network for two steps, which are taken to be enough."""
    monkeypatch.setattr(Validation, "learned", True)
    monkeypatch.setattr(doubts, "LEAST_QUALITY", 0)
    (data / "tiny.toml").write_text(TINY)

    def call(*more):
        return cli(
            "train", "--images", data / "images", "--labels", data / "labels", "-o", data / "run",
            "--settings", data / "tiny.toml", "--label-kind", "membrane", "--width", "2", *more,
        )  # fmt: skip

    return call


@pytest.mark.slow
def test_the_model_s_path_is_printed_and_the_options_were_used(train, data, monkeypatch):
    monkeypatch.setattr("unet2015.report.figures.draw_curves", draw_curves)
    ended = train("--steps", "2", "--validate", "0", "--device", "cpu")
    assert (ended.status, ended.out) == (0, f"{data / 'run' / 'model.safetensors'}\n")
    assert (data / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")
    model = read_model_file(data / "run" / "model.safetensors")
    assert (model.network.width, model.network.depth) == (2, 1)
    assert model.info.pixel_size_nm == 250, "the pixel size that all images declare"
    used = json.loads((data / "run" / "settings.json").read_text())
    assert used["optimisation"]["steps"] == 2
    assert used["labels"]["kind"] == "membrane"
    assert used["validation"]["pages"] == "0"


def test_epochs_take_the_place_of_steps_and_a_threshold_cuts_the_masks(train, data):
    ended = train("--epochs", "2", "--label-threshold", "128", "--device", "cpu")
    assert ended.status == 0
    used = json.loads((data / "run" / "settings.json").read_text())
    assert (used["optimisation"]["epochs"], used["labels"]["threshold"]) == (2, 128)
    record = read_model_file(data / "run" / "model.safetensors").info.training
    steps = [json.loads(line)["step"] for line in (data / "run" / "log.jsonl").read_text().splitlines()]
    assert max(steps) == 2 * record["training_pages"]


def test_a_network_named_alone_takes_its_published_recipe(caplog):
    caplog.set_level(logging.INFO, "unet2015")
    chosen = choose_settings(None, torch.device("cpu"), {"network": {"kind": "compact"}})
    assert chosen == load_settings("compact")
    assert (
        "settings: compact, as none are named and this is the published recipe of the network" in caplog.text
    )


@pytest.mark.slow
def test_a_run_is_not_overwritten_but_resumed(train, data, refused):
    assert train("--steps", "2").status == 0
    before = (data / "run" / "model.safetensors").read_bytes()
    refused(train("--steps", "2"), 2, data / "run", "resume")
    assert (data / "run" / "model.safetensors").read_bytes() == before
    assert train("--steps", "2", "--resume").status == 0


def test_a_bad_set_is_refused_before_anything_is_written(train, data, refused):
    refused(train("--label-kind", "instances"), 1, "a.tif", "0 and 255", "membrane")
    assert not (data / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--steps", "0"], ["optimisation.steps"]),
        (["--width", "-4"], ["network.width"]),
        (["--settings", "none.toml"], ["none.toml"]),
        (["--device", "abacus"], ["abacus"]),
        (["--images", "nowhere"], ["nowhere"]),
        (["--tile", "45"], ["45 px", "nearest legal", "44 or 46"]),
        (["--learning-rate", "0"], ["optimisation.learning_rate"]),
        (["--validate", "1-9"], ["no page 9"]),
        (["--validate", "2-1"], ["2-1 runs backwards; write 1-2"]),
        (["--validate", "b.tif"], ["not 'b.tif'", "the nearest name is a.tif"]),
        (["--validate", "0-2"], ["leave some for training"]),
        (["--batch", "0"], ["optimisation.batch"]),
        (["--seed", "-1"], ["seed"]),
        (["--network", "unet2014"], ["network.kind", "did you mean 'unet2015'?"]),
        (["--settings", "qick"], ["qick", "did you mean 'quick'?", "ronneberger2015, quick, gpu"]),
    ],
)
def test_wrong_options(train, data, refused, options, words):
    refused(train(*options), 2, *words)
    assert not (data / "run").exists()


def test_options_for_what_people_change_most(train, data):
    chosen = ["--tile", "46", "--batch", "2", "--learning-rate", "0.002", "--precision", "bfloat16"]
    assert train("--steps", "2", "--device", "cpu", "--seed", str(10**30), *chosen).status == 0
    used = json.loads((data / "run" / "settings.json").read_text())
    assert used["seed"] == 10**30
    rule = used["optimisation"]
    keys = ("tile", "batch", "learning_rate", "precision")
    assert [rule[key] for key in keys] == [46, 2, 0.002, "bfloat16"]


@pytest.mark.slow
def test_a_network_that_has_learned_nothing_ends_with_status_3_and_its_path(train, data, monkeypatch):
    monkeypatch.setattr(Validation, "learned", False)
    monkeypatch.setattr(Validation, "why", ("the tester says so",))

    def broken(*_):
        raise OSError("no fonts")

    monkeypatch.setattr("unet2015.report.figures.draw_curves", broken)
    ended = train("--steps", "2", "--device", "cpu")
    assert (ended.status, ended.out) == (3, f"{data / 'run' / 'model.safetensors'}\n")
    assert "the model that is kept has learned nothing: the tester says so" in ended.err
    assert "no curves of the training: no fonts" in ended.err, "the model is whole, and its path is printed"
    assert train("--steps", "2", "--device", "cpu", "--resume").status == 3


def test_without_settings_a_cpu_takes_the_quick_ones_and_says_so(caplog):
    with caplog.at_level(logging.INFO, "unet2015"):
        chosen = choose_settings(None, torch.device("cpu"), {"seed": 4})
    assert chosen == load_settings("quick", {"seed": 4})
    assert "settings: quick" in caplog.text
    assert choose_settings(None, torch.device("cuda")) == load_settings("ronneberger2015")
    assert choose_settings("gpu", torch.device("cpu")) == load_settings("gpu")


def test_options_that_are_not_given_change_nothing():
    assert changes(seed=None, labels={"kind": None}) == {"labels": {}}
    assert changes(optimisation={"steps": 5, "tile": None}, labels={"ignore": 0}) == {
        "labels": {"ignore": 0},
        "optimisation": {"steps": 5},
    }
    assert changes(seed=7, network={"kind": "unet2015"}, optimisation={"precision": None}) == {
        "seed": 7,
        "optimisation": {},
        "network": {"kind": "unet2015"},
    }


@pytest.mark.slow
def test_the_same_training_from_python(train, data):
    from unet2015.training.loop import train as run

    assert train("--steps", "2", "--device", "cpu").status == 0
    settings = load_settings(
        data / "tiny.toml",
        {"labels": {"kind": "membrane"}, "optimisation": {"steps": 2}, "network": {"width": 2}},
    )
    model = run(data / "images", data / "labels", data / "other", settings=settings, device="cpu")
    other = read_model_file(data / "run" / "model.safetensors").network.state_dict()
    for name, tensor in model.network.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), other[name].numpy())


def test_fine_tuning_from_a_folder_and_what_contradicts_it(train, data, refused):
    assert train("--steps", "2", "--device", "cpu").status == 0
    (data / "run").rename(data / "begun")
    ended = train("--steps", "2", "--device", "cpu", "--from", data / "begun")
    assert ended.status == 0
    assert "step 0: F1" in ended.err
    record = read_model_file(data / "run" / "model.safetensors").info.training
    assert record["start"]["model"] == "begun/model.safetensors"
    used = json.loads((data / "run" / "settings.json").read_text())
    assert used["network"]["width"] == 2
    # The later of two options counts: this asks for another width than the model has.
    refused(train("--resume", "--width", "3", "--from", data / "begun"), 2, "network.width = 3", "it is 2")
    refused(train("--resume", "--from", "em-membran"), 2, "em-membran", "did you mean em-membrane")
