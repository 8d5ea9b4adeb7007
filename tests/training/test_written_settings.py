"""What is written of the settings of a training by epochs: no steps that were not trained."""

import json
import logging

import pytest

from unet2015.models.model_file import read_model_file
from unet2015.models.tensors import load_tensors, save_tensors
from unet2015.report.measures import other_settings
from unet2015.settings import TrainingSettings, load_settings
from unet2015.training.loop import train


@pytest.fixture
def by_epochs(small_settings):
    """Settings of a small training that counts epochs."""
    settings = small_settings(validation={"epochs": 1})
    rule = settings.optimisation.model_copy(update={"epochs": 2})
    return settings.model_copy(update={"optimisation": rule})


def written(run):
    said = json.loads((run / "settings.json").read_text())
    recorded = read_model_file(run / "model.safetensors").info.training
    assert recorded["settings"] == said
    return said, recorded


def as_older(run):
    """Write what earlier versions wrote: steps and interval stood beside the epochs."""

    def older(settings):
        settings["optimisation"] = {"steps": 8, **settings["optimisation"]}
        settings["validation"] = {"interval": 500, **settings["validation"]}
        return settings

    path = run / "settings.json"
    path.write_text(json.dumps(older(json.loads(path.read_text()))))
    for path in (*run.glob("checkpoints/*.safetensors"), run / "model.safetensors"):
        tensors, text, *_ = load_tensors(path)
        said = json.loads(text)
        older(said["training"]["settings"] if "training" in said else said["settings"])
        save_tensors(path, tensors, json.dumps(said))


@pytest.mark.usefixtures("nothing_chosen")
def test_a_training_by_epochs_writes_no_steps(tmp_path, small_set, by_epochs):
    train(*small_set, tmp_path / "run", settings=by_epochs, device="cpu")
    said, recorded = written(tmp_path / "run")
    assert said["optimisation"]["epochs"] == 2
    assert "steps" not in said["optimisation"]
    assert "interval" not in said["validation"]
    assert recorded["epoch"] > 0, "the record says what was trained"


@pytest.mark.usefixtures("nothing_chosen")
def test_a_run_that_an_earlier_version_began_goes_on(tmp_path, small_set, by_epochs, caplog):
    run = tmp_path / "run"
    train(*small_set, run, settings=by_epochs, device="cpu")
    new, _ = written(run)
    as_older(run)
    older = read_model_file(run / "model.safetensors")
    assert older.info.training["settings"] != new
    assert other_settings(new, older) == "", "a report finds nothing changed"
    with caplog.at_level(logging.WARNING):
        train(*small_set, run, settings=by_epochs, device="cpu", resume=True)
    assert "settings" not in caplog.text
    assert json.loads((run / "settings.json").read_text()) == new
    (run / "model.safetensors").unlink()
    train(*small_set, run, settings=by_epochs, device="cpu", resume=True)
    assert written(run)[0] == new


def test_settings_of_steps_are_written_as_before():
    said = TrainingSettings().model_dump(mode="json")
    assert (said["optimisation"]["steps"], said["validation"]["interval"]) == (20_000, 500)
    own = load_settings(None, {"phase": [{"steps": 2}], "optimisation": {"steps": 90}})
    assert own.model_dump()["optimisation"]["steps"] == 90, "what somebody gave stays"


def test_settings_of_phases_are_written_without_the_default_number_of_steps():
    settings = load_settings(None, {"phase": [{"steps": 2}, {"epochs": 3}]})
    assert "steps" not in settings.model_dump(mode="json")["optimisation"]
    assert TrainingSettings.model_validate_json(settings.model_dump_json()) == settings
