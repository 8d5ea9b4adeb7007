"""A training that learns nothing begins again with the next seed, whenever it is killed."""

import json
import logging

import pytest
import torch

from tests.conftest import write_small_set
from unet2015.models.model_file import read_model_file
from unet2015.models.tensors import load_tensors
from unet2015.settings import load_settings
from unet2015.training import course, loop
from unet2015.training.log import read_log
from unet2015.training.loop import train
from unet2015.training.processes import ProcessGroup
from unet2015.training.validation import Validation
from unet2015.training.validation_steps import first_validation, is_validation_step

pytestmark = pytest.mark.usefixtures("nothing_chosen")


class Killed(BaseException):
    """Ends a training as a kill does."""


def failing(monkeypatch):
    """Return what makes the attempts with given seeds fail at each validation, and notes every one."""
    seen, bad = [], set()
    real = loop.Training._validate

    def noted(self, *words, **more):
        seen.append((self.state.seed, self.state.step))
        monkeypatch.setattr(Validation, "plateau", self.state.seed in bad)
        return real(self, *words, **more)

    monkeypatch.setattr(loop.Training, "_validate", noted)

    def of(*seeds):
        bad.update(seeds)
        return seen

    return of


@pytest.fixture
def plateau(monkeypatch):
    """Make the attempts with these seeds fail at each validation, and note every one."""
    return failing(monkeypatch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, small_settings):
    """A training that began again and that nothing befell."""
    folder = tmp_path_factory.mktemp("whole")
    settings = small_settings(validation={"attempts": 2})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "complete_model", lambda *_: None)
        failing(patch)(0)
        train(*write_small_set(folder / "set"), folder / "run", settings=settings, device="cpu")
    return folder / "run"


def end_of(run):
    last = sorted((run / "checkpoints").iterdir())[-1]
    return load_tensors(last)[0], load_tensors(run / "model.safetensors")[0], read_log(run / "log.jsonl")


def same(one, other):
    return all(
        a == b if isinstance(a, list) else a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
        for a, b in zip(end_of(one), end_of(other), strict=True)
    )


@pytest.mark.slow
def test_the_next_seed_is_taken_and_ends_as_if_it_had_been_the_first(
    tmp_path, small_set, small_settings, plateau, caplog
):
    seen = plateau(5, 6)
    with caplog.at_level(logging.WARNING, "unet2015"):
        model = train(
            *small_set,
            tmp_path / "run",
            settings=small_settings(seed=5, validation={"attempts": 3}),
            device="cpu",
        )
    assert seen == [(5, 4), (6, 4), (7, 4), (7, 8)]
    assert "beginning again with seed 7" in caplog.text
    assert model.info.training["seed"] == 7
    assert model.info.training["settings"]["seed"] == 5
    first = train(*small_set, tmp_path / "seven", settings=small_settings(seed=7), device="cpu")
    assert same(tmp_path / "run", tmp_path / "seven")
    assert first.info.training["seed"] == 7
    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 1


def test_the_last_attempt_goes_on_to_its_end(tmp_path, small_set, small_settings, plateau):
    seen = plateau(0, 1)
    train(*small_set, tmp_path / "run", settings=small_settings(validation={"attempts": 2}), device="cpu")
    assert seen == [(0, 4), (1, 4), (1, 8)]
    assert read_log(tmp_path / "run" / "log.jsonl")[0]["seed"] == 1


def test_only_the_first_validation_decides(tmp_path, small_set, small_settings, plateau):
    seen = plateau(1)
    settings = small_settings(seed=0, validation={"attempts": 2, "interval": 2})
    real = loop.Training._validate

    def later(self, *words, **more):
        again = real(self, *words, **more)
        plateau(0)
        return again

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Training, "_validate", later)
        train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    assert seen == [(0, 2), (0, 4), (0, 6), (0, 8)]


WAYS = {
    "while the new seed is saved": ("save_state", 2),
    "as the new log is opened": ("TrainingLog", 2),
    "in the validation": ("validate", 1),
    "in the second attempt's validation": ("validate", 2),
    "at a checkpoint of the second attempt": ("save_state", 3),
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "time"), WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("before", [True, False])
def test_killed_and_resumed_at_any_moment_the_end_is_the_same(
    tmp_path, small_set, small_settings, plateau, whole, caplog, name, time, before
):
    plateau(0)
    settings = small_settings(validation={"attempts": 2})
    module = loop if name == "validate" else course
    real, calls = getattr(module, name), []

    def dying(*words, **more):
        calls.append(1)
        if len(calls) == time and before:
            raise Killed
        result = real(*words, **more)
        if len(calls) == time:
            if name == "TrainingLog":
                result.__exit__()  # as the system does
            raise Killed
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, dying)
        with pytest.raises(Killed):
            train(*small_set, tmp_path / "parts", settings=settings, device="cpu")
    train(*small_set, tmp_path / "parts", settings=settings, device="cpu", resume=True)
    assert same(whole, tmp_path / "parts")
    assert "lacks step" not in caplog.text
    assert read_model_file(tmp_path / "parts" / "model.safetensors").info.training["seed"] == 1


@pytest.mark.slow
def test_interrupted_at_the_validation_that_begins_again(tmp_path, small_set, small_settings, plateau, whole):
    plateau(0)
    settings = small_settings(validation={"attempts": 2})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProcessGroup, "any", lambda self, stop, again, *rest: (again, again, *rest))
        with pytest.raises(KeyboardInterrupt):
            train(*small_set, tmp_path / "parts", settings=settings, device="cpu")
    assert [path.name for path in (tmp_path / "parts" / "checkpoints").iterdir()] == [
        "step-00000000.safetensors"
    ]
    train(*small_set, tmp_path / "parts", settings=settings, device="cpu", resume=True)
    assert same(whole, tmp_path / "parts")


def test_what_has_learned_nothing_says_so_in_model_and_messages(
    tmp_path, small_set, small_settings, caplog, monkeypatch
):
    flat = Validation(0.5, 0.5, 0.7, constant=True, baseline=0.5, auc=0.5, repetition=None)
    monkeypatch.setattr(loop, "validate", lambda *_: flat)
    with caplog.at_level(logging.WARNING, "unet2015"):
        model = train(*small_set, tmp_path / "run", settings=small_settings(), device="cpu")
    assert model.info.learned is model.info.training["learned"] is False
    assert caplog.text.count("the network has not learned: every pixel is predicted alike") == 2
    assert "the model that is kept has learned nothing: every pixel is predicted alike" in caplog.text


def test_the_first_look_comes_early_but_not_before_the_warm_up_is_long_over():
    def check(**values):
        interval = values.pop("interval", 500)
        return first_validation(
            load_settings(None, {"optimisation": values, "validation": {"interval": interval}})
        )

    assert check(steps=20_000) == 500
    assert check(steps=20_000, interval=5000) == 2000
    assert check(steps=1200, warmup=50) == 120
    assert check(steps=1200, warmup=100, interval=300) == 200
    assert check(steps=60) == 60
    # Of a short training with a short warm-up, or none: at 100, before which nobody can show anything.
    assert [check(steps=600, warmup=warmup) for warmup in (0, 10, 50, 51)] == [100, 100, 100, 102]
    assert check(steps=101, warmup=0) == 100
    assert check(steps=100, warmup=0) == 100
    assert check(steps=99, warmup=0) == 99
    assert check(steps=600, warmup=10, interval=40) == 40
    settings = load_settings("quick")
    checks = [
        step for step in range(1, settings.optimisation.steps + 1) if is_validation_step(settings, step)
    ]
    assert checks == sorted({first_validation(settings), 200, 400, 600})


def test_it_ends_where_no_validation_is_better_for_long(tmp_path, small_set, small_settings, monkeypatch):
    def good(f1):
        return Validation(f1, 0.5, 0.7, constant=False, baseline=0.4, auc=0.9, repetition=None)

    scores = iter([0.5, 0.6, 0.6, 0.55, 0.9])
    monkeypatch.setattr(loop, "validate", lambda *_: good(next(scores)))
    settings = small_settings(validation={"interval": 1, "patience": 2})
    train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    lines = read_log(tmp_path / "run" / "log.jsonl")
    assert max(line["step"] for line in lines) == 4
    last = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    assert json.loads(load_tensors(last)[1])["waited"] == 2
    # Resumed, it has ended; and a killed one waits as long as one that was not.
    train(*small_set, tmp_path / "run", settings=settings, device="cpu", resume=True)
    assert read_log(tmp_path / "run" / "log.jsonl") == lines
