"""The EM experiment at a tiny size, on drawn slices: every stage, what is held out, what a kill leaves."""

import hashlib
import json
import runpy
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("doit")
pytest.importorskip("numba")

from doit import cmd_run

from pipelines import ablation, isbi2012
from pipelines.base.paper import MEASURES
from pipelines.base.settings import FOLDER
from pipelines.em import data, measures
from pipelines.em.slices import held_out, trained_on
from tests.forks import loaded_context
from tests.pipelines.killed import run as run_to_kill
from unet2015.errors import SettingsError
from unet2015.geometry import unet_geometry
from unet2015.images.reader import read_pages
from unet2015.images.writer import write_image
from unet2015.metrics import evaluate_em
from unet2015.models.model_file import read_model_file
from unet2015.synthetic import em_stack
from unet2015.training.validation import Validation

ABLATION = """
[ablation]
fold = 4
[ablation.base.optimisation]
steps = 3
[ablation.rows]
"as above" = {}
"w0 = 0" = { weight_map = { w0 = 0.0 } }
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("isbi") / "isbi2012"
    folder.mkdir()
    images, labels = em_stack(pages=30, height=28, width=40, seed=3)
    for name, stack in (("train-volume", images), ("train-labels", labels), ("test-volume", images[:2])):
        write_image(folder / f"{name}.tif", stack, "IYX", data.PIXEL)
    return folder


@pytest.fixture
def known(drawn, monkeypatch):
    """Make the drawn pixels those that are expected."""
    hashes = {
        name: hashlib.sha256(read_pages(drawn / f"{name}.tif").tobytes()).hexdigest() for name in data.PIXELS
    }
    monkeypatch.setattr(data, "PIXELS", hashes)
    monkeypatch.setattr(ablation, "TILE", 44)
    return drawn.parent


def test_folds_hold_out_neighbours_and_every_slice_once():
    folds = [held_out(fold) for fold in range(5)]
    assert sorted(page for fold in folds for page in fold) == list(range(30))
    for fold, pages in enumerate(folds):
        assert pages == list(range(pages[0], pages[0] + 6))
        assert sorted(pages + trained_on(fold)) == list(range(30))


def test_a_threshold_is_chosen_on_the_training_part_and_applied_to_the_held_out():
    rng = np.random.default_rng(0)
    _, labels = em_stack(pages=2, height=64, width=64, seed=1)
    noise = rng.uniform(0, 0.25, labels.shape)
    unseen = np.where(labels > 0, 0.7 + noise, noise).astype(np.float32)
    training = np.where(labels > 0, 0.25 + noise, noise / 2).astype(np.float32)
    found = measures.measure_fold(labels, unseen, labels, training)
    for name in MEASURES:
        threshold = found["thresholds"]["of_training"][name]
        assert threshold == getattr(evaluate_em(labels, training), name).threshold
        rows = {row.threshold: row.value for row in getattr(evaluate_em(labels, unseen), name).by_threshold}
        assert found["at_training_threshold"][name] == rows[threshold]
    assert found["best_over_thresholds"]["pixel_error"] == 0
    assert found["at_training_threshold"]["pixel_error"] > 0


def assert_figures_are_of_the_maps(result, out, known):
    """Thresholds are of the slices trained on, and the best over thresholds of all held-out slices."""
    for fold in (1, 4):
        chosen = evaluate_em(
            read_pages(out / f"fold-{fold}/train-labels.tif"),
            read_pages(out / f"fold-{fold}/none/train.probability.tif"),
        )
        noted = result["folds"][f"fold-{fold}"]["none"]["thresholds"]["of_training"]
        assert noted == {name: getattr(chosen, name).best.threshold for name in MEASURES}
    for average in ("none", "flips"):
        found = np.concatenate(
            [read_pages(out / f"fold-{k}/{average}/held-out.probability.tif") for k in (1, 4)]
        )
        truth = read_pages(known / "isbi2012" / "train-labels.tif")[held_out(1) + held_out(4)]
        assert result["rows"][average]["best_over_thresholds"] == measures.values(evaluate_em(truth, found))


@pytest.mark.slow
def test_every_stage_leaves_its_files_and_runs_once(known, tiny_settings, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Validation, "why", ())  # all have learned
    settings, out = (
        tiny_settings('folds = [1, 4]\naverages = ["none", "flips"]\nship = "em-tiny"\n', tail=ABLATION),
        tmp_path / "out",
    )
    words = ["--data", str(known), "--out", str(out), "--settings", str(settings), "--device", "cpu"]
    status = isbi2012.main(words)
    result = json.loads((out / "result.json").read_text())
    assert (status, result["not_learned"]) == (0, {})
    printed, messages = capsys.readouterr()
    assert "has not learned" not in messages
    assert json.dumps(result["rows"], indent=2) in printed
    assert str(out / "report.html") in printed
    chain = isbi2012.EMExperiment(known, out, settings, "cpu").stages()
    before = {path: path.stat().st_mtime_ns for stage in chain for path in stage.outputs}
    assert result["folds_held_out"] == [1, 4]
    assert all(fold["none"] and fold["training"]["learned"] for fold in result["folds"].values())
    images = read_pages(known / "isbi2012" / "train-volume.tif")
    for fold in (1, 4):
        unseen, trained = (
            read_pages(out / f"fold-{fold}" / f"{which}.tif") for which in ("held-out", "train")
        )
        assert np.array_equal(unseen, images[held_out(fold)])
        assert np.array_equal(trained, images[trained_on(fold)])
        assert (
            read_model_file(out / f"fold-{fold}/run/model.safetensors").info.training["training_pages"] == 24
        )
    assert read_model_file(out / "all/run/model.safetensors").info.training["training_pages"] == 30
    shipped = read_model_file(out / "models/em-tiny.safetensors").info
    assert shipped.training["training_pages"] == 30
    assert shipped.training["twin"]["slices"] == held_out(4)
    assert shipped.training["twin"]["none"] == result["folds"]["fold-4"]["none"]["at_training_threshold"]
    assert_figures_are_of_the_maps(result, out, known)
    page = (out / "report.html").read_text()
    assert "has not learned" not in page
    assert "u-net (paper, Table 1)" in page
    assert "stride 388" in page
    assert page.count("data:image/png;base64") == 4
    # Nothing has changed, so nothing runs.
    assert isbi2012.main(words) == status
    assert {path: path.stat().st_mtime_ns for path in before} == before
    # Another row of the ablation trains that row and nothing else.
    settings.write_text(settings.read_text() + '"more" = { weight_map = { sigma = 3.0 } }\n')
    assert isbi2012.main(words) == status
    after = {path: path.stat().st_mtime_ns for path in before}
    changed = {path.name for path in before if before[path] != after[path]}
    assert changed == {"ablation.json", "result.json", "report.html"}
    assert (out / "ablation-2" / "run" / "model.safetensors").exists()


@pytest.mark.slow
def test_a_killed_pipeline_goes_on_to_the_same_table(known, tiny_settings, tmp_path):
    settings = tiny_settings('folds = [4]\naverages = ["none"]\n')

    def words(out):
        return ["--data", str(known), "--out", str(out), "--settings", str(settings), "--device", "cpu"]

    straight, killed = tmp_path / "straight", tmp_path / "killed"
    done: dict[Path, int] = {}
    for mark in ("fold-4/run/log.jsonl", "fold-4/none/train.probability.tif", "result.json"):
        process = loaded_context().Process(target=run_to_kill, args=(words(killed), data.PIXELS))
        process.start()
        while process.is_alive() and not (killed / mark).exists():
            time.sleep(0.005)
        assert process.is_alive()
        process.kill()
        process.join()
        # What was finished before is not done again: the stages before the training, the training, the rest.
        assert all(path.stat().st_mtime_ns == when for path, when in done.items())
        chain = isbi2012.EMExperiment(known, killed, settings, "cpu").stages()
        reached = next(k for k, stage in enumerate(chain) if killed / mark in stage.outputs)
        done = {path: path.stat().st_mtime_ns for stage in chain[:reached] for path in stage.outputs}
    statuses = [isbi2012.main(words(out)) for out in (straight, killed)]
    results = [json.loads((out / "result.json").read_text()) for out in (straight, killed)]
    assert results[0]["rows"] == results[1]["rows"]
    assert statuses == [3 if result["not_learned"] else 0 for result in results]
    assert results[0]["not_learned"] == results[1]["not_learned"]


@pytest.mark.slow
def test_a_training_that_has_not_learned_is_measured_named_and_told(
    known, tiny_settings, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(Validation, "why", ("it guesses",))
    settings, out = tiny_settings('folds = [4]\naverages = ["none"]\n'), tmp_path / "out"
    words = ["--data", str(known), "--out", str(out), "--settings", str(settings), "--device", "cpu"]
    assert isbi2012.main(words) == 3
    result = json.loads((out / "result.json").read_text())
    assert result["not_learned"] == {"fold-4": "it guesses", "all": "it guesses"}
    assert result["folds"]["fold-4"]["training"]["learned"] is False
    said = "fold-4 has not learned, and its figures mean little: it guesses"
    assert said in capsys.readouterr().err
    assert "fold-4 has not learned: it guesses." in (out / "report.html").read_text()


@pytest.mark.slow
def test_other_pixels_are_refused(drawn, tiny_settings, tmp_path, monkeypatch, capsys):
    words = [
        "--data",
        str(drawn),
        "--out",
        str(tmp_path / "out"),
        "--settings",
        str(tiny_settings()),
        "verify",
    ]
    monkeypatch.setattr(sys, "argv", ["isbi2012", *words])
    monkeypatch.setitem(cmd_run.opt_outfile, "default", sys.stdout)  # which it keeps from when it is loaded
    with pytest.raises(SystemExit) as ended:  # as python -m does
        runpy.run_path(isbi2012.__file__, run_name="__main__")
    assert ended.value.code == 1
    said = "".join(capsys.readouterr())
    assert "train-volume.tif: its pixels are not those of the challenge's file" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folds = [5]", "folds"),
        ("folds = [1, 1]", "folds"),
        ("fold = [1]", "fold: no such setting"),
        ("[training.network]\nwide = 3", "training: .*network.wide: no such setting"),
        ("folds = [", "not a TOML file"),
        ("averages = []", "averages"),
        ('averages = ["none", "none"]', "there twice"),
        ('ship = "Bad Name"', "ship"),
        ("[ablation]", "rows"),
        ("[ablation.rows.one.optimisation]\nstep = 3", "training: .*step: no such setting"),
        ('[training.validation]\npages = "3"', "no place in an experiment"),
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path, drawn, text, message):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        isbi2012.EMExperiment(drawn, tmp_path, path)


@pytest.mark.parametrize("name", ["isbi2012.toml", "isbi2012-cpu.toml", "isbi2012-quick.toml"])
def test_the_settings_that_are_shipped_hold_nothing_out_to_choose_from(name, tmp_path):
    chain = isbi2012.EMExperiment(None, tmp_path, FOLDER / name).stages()
    trainings = [stage for stage in chain if stage.name.startswith("train-")]
    assert len(trainings) >= 3
    assert all(stage.settings["validation"]["fraction"] == 0 for stage in trainings)
    assert {stage.name for stage in chain} >= {"verify", "split", "weights", "train-4", "measure-4", "report"}


@pytest.mark.parametrize(
    ("stride", "outside", "differs"), [(16, "mirror", False), (20, "zeros", True), (18, "mirror", True)]
)
def test_a_stride_in_phase_and_a_mirrored_border_give_one_pass(stride, outside, differs):
    import torch

    from unet2015.networks.unet2015 import UNet
    from unet2015.tiling.predictor import Predictor

    torch.manual_seed(0)
    network = UNet(1, 2, width=2, depth=2, dropout=0.0).double()
    geometry = unet_geometry(2)
    pixels = np.random.default_rng(0).uniform(size=(1, 45, 50)).astype(np.float64)
    predict = Predictor(network)
    whole = ablation.tiled(pixels, predict, geometry, 50, "mirror", geometry.input_for(50))
    found = ablation.tiled(pixels, predict, geometry, stride, outside, geometry.input_for(20))
    assert (np.abs(found - whole).max() > 1e-4) == differs
