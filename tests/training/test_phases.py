"""Phases, epochs, plateau and patience: what each part of a training does, and that it resumes to the bit."""

import logging

import pytest
import torch

from tests.training.conftest import equal
from unet2015.errors import SettingsError
from unet2015.models.model_file import read_model_file
from unet2015.models.tensors import load_tensors
from unet2015.settings import TrainingSettings, load_settings
from unet2015.training import loop
from unet2015.training.log import read_log
from unet2015.training.loop import train
from unet2015.training.phases import parts_of
from unet2015.training.schedules import Plateau, learning_rate
from unet2015.training.validation import Validation
from unet2015.training.validation_steps import is_validation_step, validations

PHASES = [
    {"epochs": 2, "freeze": ["contract"], "optimizer": "adam", "learning_rate": 0.01},
    {
        "steps": 4,
        "freeze": ["contract", "expand.*"],
        "release": ["contract.1"],
        "optimizer": "adamw",
        "learning_rate": 1e-3,
    },
]


class Killed(BaseException):
    """Ends a training as a kill does."""


pytestmark = pytest.mark.usefixtures("nothing_chosen")


def killed_at(step: int, *words, **more) -> None:
    """Train, and die in a step, counted over the whole training."""
    real = loop.Training._step

    def dying(self, *arguments):
        if self.state.step + 1 == step:
            raise Killed
        return real(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Training, "_step", dying)
        with pytest.raises(Killed):
            train(*words, **more)


def checkpoint(run, step):
    return load_tensors(run / "checkpoints" / f"step-{step:08d}.safetensors")[0]


def model(run):
    return load_tensors(run / "model.safetensors")[0]


@pytest.fixture
def phased(small_settings):
    """Two phases on three training pages: 6 steps, then 4; validated after each 3."""
    return small_settings(
        phase=PHASES, validation={"epochs": 1}, optimisation={"loss": "bce_dice"}, checkpoint_interval=5
    )


def test_each_phase_has_its_optimizer_rate_and_frozen_weights_and_a_kill_changes_nothing(
    tmp_path, small_set, phased, caplog
):
    run = tmp_path / "whole"
    with caplog.at_level(logging.INFO, "unet2015"):
        kept = train(*small_set, run, settings=phased, device="cpu")
    lines = read_log(run / "log.jsonl")
    assert [line["step"] for line in lines if "validation_f1" in line] == [3, 6, 9, 10]
    rates = [line["learning_rate"] for line in lines if "loss" in line]
    assert rates[1] == pytest.approx(0.01)  # a warm-up of 2 steps, in each phase anew
    assert rates[6:8] == pytest.approx([0.0005, 0.001])
    (begun,) = [line for line in lines if "phase" in line]
    assert (begun["step"], begun["phase"]) == (6, 2)
    assert "step 6: phase 2 of 2 begins" in caplog.text
    # The second phase begins from the best weights of the first, with another optimizer's empty memory.
    before = {key.removeprefix("network."): v for key, v in checkpoint(run, 6).items() if "network" in key}
    assert not any(key.startswith("optimizer") for key in checkpoint(run, 6))
    after = {key.removeprefix("network."): v for key, v in checkpoint(run, 10).items() if "network" in key}
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved == {key for key in before if key.startswith(("contract.1.", "upsample.", "head."))}
    assert kept.info.training["phase"] in (1, 2)
    assert kept.info.training["epoch"] == pytest.approx(kept.info.training["step"] / 3, abs=0.01)
    for step in (6, 7):
        parts = tmp_path / f"killed-{step}"
        killed_at(step, *small_set, parts, settings=phased, device="cpu")
        if step == 7:
            assert begun["of"] == read_model_file(parts / "model.safetensors").info.training["step"] == 3
            first = {f"network.{key}": value for key, value in model(parts).items()}
            assert equal(first, {key: checkpoint(parts, 6)[key] for key in first})
        train(*small_set, parts, settings=phased, device="cpu", resume=True)
        assert equal(checkpoint(run, 10), checkpoint(parts, 10))
        assert equal(model(run), model(parts))
        assert read_log(parts / "log.jsonl") == lines
    assert "lacks step" not in caplog.text


def looks(monkeypatch, *values):
    """Give these values of (F1, cross-entropy) to the validations, one after the other."""
    found = iter(values)

    def told(*_):
        f1, entropy = next(found)
        return Validation(f1, 0.5, entropy, constant=False, baseline=0.1, auc=0.9)

    monkeypatch.setattr(loop, "validate", told)


def test_patience_ends_a_phase_but_not_before_its_least_looks(
    tmp_path, small_set, small_settings, monkeypatch
):
    both = {"steps": 8, "patience": 1}
    settings = small_settings(phase=[both, both | {"at_least": 3}], validation={"interval": 2})
    looks(monkeypatch, (0.9, 0.5), (0.8, 0.5), (0.7, 0.5), (0.6, 0.5), (0.5, 0.5))
    train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    lines = read_log(tmp_path / "run" / "log.jsonl")
    assert [line["step"] for line in lines if "phase" in line] == [4]
    assert max(line["step"] for line in lines) == 4 + 6
    assert read_model_file(tmp_path / "run" / "model.safetensors").info.training["step"] == 2


def test_the_rate_is_divided_where_the_cross_entropy_no_longer_falls(
    tmp_path, small_set, small_settings, monkeypatch
):
    rule = {
        "schedule": "plateau",
        "plateau_looks": 2,
        "plateau_factor": 4.0,
        "warmup": 0,
        "optimizer": "adam",
    }
    settings = small_settings(
        optimisation=rule, validation={"interval": 1, "best": "cross-entropy"}, checkpoint_interval=2
    )
    values = [(0.5, e) for e in (0.9, 0.8, 0.8, 0.79999, 0.7, 0.7, 0.75, 0.7)]
    looks(monkeypatch, *values)
    train(*small_set, tmp_path / "whole", settings=settings, device="cpu")
    lines = read_log(tmp_path / "whole" / "log.jsonl")
    rates = [line["learning_rate"] / 1e-3 for line in lines if "loss" in line]
    assert rates == pytest.approx([1, 1, 1, 1, 1 / 4, 1 / 4, 1 / 4, 1 / 16])
    assert read_model_file(tmp_path / "whole" / "model.safetensors").info.training["step"] == 5
    looks(monkeypatch, *values[:5])
    killed_at(6, *small_set, tmp_path / "parts", settings=settings, device="cpu")
    looks(monkeypatch, *values[4:])  # from the checkpoint of step 4 on
    train(*small_set, tmp_path / "parts", settings=settings, device="cpu", resume=True)
    assert equal(checkpoint(tmp_path / "whole", 8), checkpoint(tmp_path / "parts", 8))
    assert read_log(tmp_path / "parts" / "log.jsonl") == lines


def test_a_plateau_by_hand():
    rule = load_settings(None, {"optimisation": {"schedule": "plateau", "plateau_looks": 2}}).optimisation
    plateau = Plateau()
    said = [plateau.look(rule, entropy) for entropy in (1.0, 1.0, 0.99995, 0.5, 0.6, 0.7, 0.7, 0.7, 0.4)]
    assert said == [False, False, True, False, False, True, False, True, False]
    assert learning_rate(rule, 1000, cuts=2) == learning_rate(rule, 1000) / 100


@pytest.mark.parametrize(
    ("pages", "batch", "processes", "expected"), [(10, 1, 1, 30), (10, 4, 1, 8), (10, 4, 2, 4), (1, 8, 1, 1)]
)
def test_an_epoch_is_a_round_through_the_training_pages(pages, batch, processes, expected):
    given = {"optimisation": {"epochs": 3, "batch": batch}, "validation": {"epochs": 3}}
    (part,) = parts_of(load_settings(None, given), pages, processes)
    assert part.optimisation.steps == part.validation.interval == expected
    assert part.optimisation.epochs is None


def test_validations_are_counted_as_they_come():
    for steps, interval in ((7, 3), (400, 130), (120, 120), (300, 1)):
        settings = load_settings(
            None, {"optimisation": {"steps": steps, "warmup": 0}, "validation": {"interval": interval}}
        )
        for first in (True, False):
            seen = 0
            for step in range(1, steps + 1):
                seen += is_validation_step(settings, step, first)
                assert validations(settings, step, first) == seen


def test_settings_without_phases_are_written_as_before_and_those_with_phases_are_read_again():
    plain = TrainingSettings().model_dump(mode="json")
    assert "phase" not in plain
    assert not {"epochs", "plateau_looks", "plateau_factor", "focal_gamma"} & plain["optimisation"].keys()
    settings = load_settings(None, {"phase": PHASES, "augmentation": {"flips": 0.75}})
    assert TrainingSettings.model_validate_json(settings.model_dump_json()) == settings
    assert settings.model_dump(mode="json")["phase"][0] == PHASES[0]


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ([{"steps": 2}, {"learning_rate": 1e-3}], r"phase\.2.*needs steps or epochs, .* has no steps"),
        ([{"steps": 2, "epochs": 2}], r"phase\.1.*has steps and epochs"),
        ([{"steps": 0}], r"phase\.1\.steps = 0"),
        ([{"steps": 2, "release": ["head"]}], "release names modules that freeze would freeze"),
        ([{"steps": 2, "lerning_rate": 1}], r"phase\.1\.lerning_rate: no such .*mean 'learning_rate'"),
        ([{"steps": 2, "augmentation": {"flop": 1}}], r"phase\.1\.augmentation\.flop: no such setting"),
        ([{"steps": 2, "optimizer": "adm"}], r"phase\.1\.optimizer = 'adm'.*did you mean 'adam'"),
    ],
)
def test_a_phase_that_cannot_be_is_refused_by_its_number(phases, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(None, {"phase": phases})


def test_options_do_not_contradict_phases_and_steps_take_the_place_of_epochs(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[optimisation]\nepochs = 3\n")
    rule = load_settings(path, {"optimisation": {"steps": 7}}).optimisation
    assert (rule.steps, rule.epochs) == (7, None)
    path.write_text("[[phase]]\nsteps = 3\nlearning_rate = 1e-3\n")
    for given in ({"steps": 7}, {"learning_rate": 1.0}):
        with pytest.raises(SettingsError, match="these settings have phases, each with its own"):
            load_settings(path, {"optimisation": given})
    assert load_settings(path, {"optimisation": {"batch": 2}}).optimisation.batch == 2


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        (["encoder"], r"phase 1: 'encoder' names no module of the network; .*contract"),
        (["*"], "phase 1 freezes every weight"),
    ],
)
def test_names_of_modules_are_checked_before_the_first_step(
    tmp_path, small_set, small_settings, freeze, message
):
    settings = small_settings(phase=[{"steps": 2, "freeze": freeze}])
    with pytest.raises(SettingsError, match=message):
        train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_running_means_of_frozen_modules_stay_and_those_of_released_ones_move(
    tmp_path, small_set, small_settings
):
    settings = small_settings(
        network={"kind": "padded", "width": 2, "depth": 1},
        optimisation={"tile": 32, "optimizer": "adam"},
        phase=[{"steps": 2}, {"steps": 2, "freeze": ["*"], "release": ["contract.0.4", "head"]}],
        checkpoint_interval=2,
    )
    train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    before, after = (checkpoint(tmp_path / "run", step) for step in (2, 4))
    moved = {key for key in after if key.startswith("network.") and not torch.equal(before[key], after[key])}
    released = {key for key in after if key.startswith(("network.contract.0.4.", "network.head."))}
    assert any("running_mean" in key for key in released)
    assert moved == released
