"""The demo at a tiny size: every stage, skipped when nothing has changed, begun again when something has."""

import json
import os
import time

import pytest

pytest.importorskip("doit")

from pipelines import demo
from unet2015.images.reader import open_image, read_pages
from unet2015.models.model_file import read_model_file
from unet2015.training.validation import Validation, advice


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    settings = tmp_path / "tiny.toml"
    settings.write_text(
        '[network]\nwidth = 2\ndepth = 2\n[labels]\nkind = "membrane"\n'
        "[optimisation]\nsteps = 6\nwarmup = 2\ntile = 76\n[validation]\ninterval = 3\n"
    )
    monkeypatch.setattr(demo, "SETTINGS", settings)
    monkeypatch.setattr(demo, "TRAINING", {"pages": 2, "height": 80, "width": 90, "seed": 1})
    monkeypatch.setattr(demo, "UNSEEN", {"pages": 1, "height": 700, "width": 710, "seed": 2})
    return settings


def times(out):
    return {path.name: path.stat().st_mtime_ns for path in out.iterdir() if path.suffix in (".tif", ".png")}


@pytest.mark.slow
def test_every_stage_leaves_its_files_and_runs_once(tiny, tmp_path, capfd):
    out = tmp_path / "demo"
    status = demo.main(["--out", str(out), "--device", "cpu"])
    model = read_model_file(out / "demo-run" / "model.safetensors").info
    assert status == (3 if model.learned is False else 0)
    printed = capfd.readouterr().out
    assert "pixel error on the unseen stack" in printed
    cells = json.loads((out / "cells.json").read_text())
    assert f"{cells['found']['objects']} found, {cells['true']} true" in printed
    assert cells["true"] > 50
    # What the training said of the model that was kept, and the threshold that the classes were made with.
    check = Validation.from_dict(model.training["validation"])
    assert check.describe() in printed
    assert "calling every pixel the same" in printed
    assert (advice(check) or "the network has learned") in printed
    assert f"threshold used on the unseen stack: f1 {model.thresholds['f1']:g}" in printed
    for stage in demo.stages(out):
        for path in stage.outputs:
            assert path.exists()
            assert str(path) in printed
    result = json.loads((out / "result.json").read_text())
    assert 0 < result["pixel_error"] < 1
    assert read_pages(out / "unseen-images.classes.tif").shape == (1, 700, 710)
    with open_image(out / "unseen-images.probability.tif") as shown:
        assert shown.calibration.pixel_size_x == pytest.approx(4)
    before = times(out)
    assert demo.main(["--out", str(out), "--device", "cpu"]) == status
    assert times(out) == before


@pytest.mark.slow
def test_what_is_removed_or_set_otherwise_is_made_again_and_the_last_word_is_whether_it_learned(
    tiny, tmp_path, monkeypatch, capfd
):
    out = tmp_path / "demo"
    words = ["--out", str(out), "--device", "cpu"]
    monkeypatch.setattr(Validation, "why", ())
    assert demo.main(words) == 0
    assert "\nthe network has learned" in capfd.readouterr().out
    (out / "training-weights.tif").unlink()
    model = (out / "demo-run" / "model.safetensors").stat().st_mtime_ns
    assert demo.main(words) == 0
    assert (out / "training-weights.tif").exists()
    assert (out / "demo-run" / "model.safetensors").stat().st_mtime_ns == model
    tiny.write_text(tiny.read_text().replace("steps = 6", "steps = 5"))
    os.utime(tiny, (time.time() + 5, time.time() + 5))
    monkeypatch.setattr(Validation, "why", ("it guesses",))
    assert demo.main(words) == 3
    assert "\nthe network has not learned: it guesses." in capfd.readouterr().out
    assert json.loads((out / "demo-run" / "settings.json").read_text())["optimisation"]["steps"] == 5


def test_an_unknown_stage_and_a_folder_that_cannot_be_made_are_said(tiny, tmp_path, capfd):
    assert demo.main(["--out", str(tmp_path / "demo"), "trian"]) == 2
    assert "trian" in capfd.readouterr().err
    (tmp_path / "file").write_text("")
    assert demo.main(["--out", str(tmp_path / "file" / "demo")]) == 1
    assert "error:" in capfd.readouterr().err


def test_help_lists_the_stages(capfd):
    with pytest.raises(SystemExit):
        demo.main(["--help"])
    printed = capfd.readouterr().out
    for stage in demo.stages(demo.Path()):
        assert stage.does in printed
