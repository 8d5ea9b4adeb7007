"""Trainings of an experiment: gone on with, begun again, and with another seed where nothing was learned."""

import numpy as np
import pytest

from pipelines.base import trainings as runs
from unet2015.errors import ImageWriteError, SettingsError
from unet2015.images.writer import write_image
from unet2015.models.model_file import read_model_file
from unet2015.settings import load_settings
from unet2015.training import loop
from unet2015.training.log import read_log
from unet2015.training.run_folder import remove_training
from unet2015.training.validation import Validation

TINY = {
    "network": {"width": 2, "depth": 1, "dropout": 0.0},
    "labels": {"kind": "membrane"},
    "optimisation": {"steps": 4, "warmup": 1, "tile": 44},
    "validation": {"fraction": 0.0, "interval": 2},
}


@pytest.fixture
def pages(tmp_path):
    """Images, and labels of one cell each."""
    labels = np.zeros((2, 40, 40), np.uint8)
    labels[:, 5:30, 5:30] = 255
    images, truth = tmp_path / "images.tif", tmp_path / "labels.tif"
    write_image(images, labels // 3, "IYX")
    write_image(truth, labels, "IYX")
    return images, truth


def test_a_training_that_learns_nothing_is_tried_with_other_seeds_and_said_to_have_failed(
    pages, tmp_path, monkeypatch
):
    begun = []

    def nothing(*_):
        begun.append(read_log(tmp_path / "run" / "log.jsonl")[0]["seed"])
        return Validation(0.5, 0.5, 0.7, constant=True, baseline=0.5)

    monkeypatch.setattr(loop, "validate", nothing)
    settings = load_settings(None, TINY | {"seed": 3})
    runs.train_run(*pages, tmp_path / "run", settings, "cpu", seeds=3)
    assert begun == [3, 4, 5, 5]
    summary = runs.training_summary(tmp_path / "run")
    assert (summary["seed"], summary["learned"]) == (5, False)
    assert (summary["f1"], summary["f1_of_the_best_constant_answer"]) == (0.5, 0.5)
    failed = runs.not_learned({"this": summary, "that": summary | {"learned": None, "why_not_learned": []}})
    assert list(failed) == ["this"]
    assert failed["this"].startswith("every pixel is predicted alike; F1 0.500")
    assert runs.alert(failed) == f"this has not learned: {failed['this']}."
    assert runs.alert(runs.not_learned({"that": summary | {"learned": True}})) == ""
    # What is allowed to learn nothing ends and keeps its seed.
    monkeypatch.setattr(loop, "validate", lambda *_: Validation(0.5, 0.5, 0.7, constant=True, baseline=0.5))
    runs.train_run(*pages, tmp_path / "one", settings, "cpu", seeds=1)
    assert read_model_file(tmp_path / "one" / "model.safetensors").info.training["seed"] == 3


def test_an_unfinished_training_goes_on_and_another_begins_anew(pages, tmp_path, monkeypatch):
    run, settings = tmp_path / "run", load_settings(None, TINY | {"checkpoint_interval": 1})
    monkeypatch.setattr(Validation, "learned", True)
    step, steps = loop.Training._step, []

    def counted(self, *words):
        steps.append(self.state.step)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return step(self, *words)

    monkeypatch.setattr(loop.Training, "_step", counted)
    with pytest.raises(KeyboardInterrupt):
        runs.train_run(*pages, run, settings, "cpu")
    runs.train_run(*pages, run, settings, "cpu")
    assert steps == [0, 1, 2, 2, 3]
    before = (run / "log.jsonl").read_bytes()
    runs.train_run(*pages, run, settings, "cpu")
    assert (run / "log.jsonl").read_bytes() == before
    (run / "notes.txt").write_text("mine")
    phase = {"steps": 4, "freeze": ["contrakt"]}
    impossible = load_settings(None, TINY | {"phase": [phase]})
    files = contents(run)
    with pytest.raises(SettingsError, match="contrakt"):
        runs.train_run(*pages, run, impossible, "cpu")
    assert contents(run) == files
    other = load_settings(None, TINY | {"weight_map": {"w0": 1.0}, "seed": 7})
    runs.train_run(*pages, run, other, "cpu", seeds=1)
    assert read_model_file(run / "model.safetensors").info.training["settings"]["weight_map"]["w0"] == 1.0
    assert len([line for line in read_log(run / "log.jsonl") if "loss" in line]) == 4
    assert runs.training_summary(run)["seed"] == 7
    assert (run / "notes.txt").read_text() == "mine"


def test_nothing_is_removed_where_a_file_is_no_training_s(pages, tmp_path):
    run, settings = tmp_path / "run", load_settings(None, TINY)
    runs.train_run(*pages, run, settings, "cpu", seeds=1)
    (run / "curves.png").write_text("mine")
    files = contents(run)
    for remove in (lambda: remove_training(run), lambda: runs.train_run(*pages, run, settings, "cpu")):
        with pytest.raises(ImageWriteError, match=r"curves\.png"):
            remove()
    assert contents(run) == files
    (run / "curves.png").unlink()
    (run / "checkpoints" / "copy.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    remove_training(run)
    assert [path.name for path in contents(run)] == ["copy.safetensors"]


def contents(folder):
    """The bytes of all files below a folder, events aside."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and "tensorboard" not in path.parts)
    return {path: path.read_bytes() for path in found}
