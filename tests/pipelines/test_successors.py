"""The comparison of networks at a tiny size: equal cost, rows that go on after a stop, tables and a page."""

import json

import numpy as np
import pytest

pytest.importorskip("doit")
pytest.importorskip("jinja2")

from pipelines.base.settings import FOLDER
from pipelines.successors import __main__ as successors
from pipelines.successors import training
from pipelines.successors.settings import SuccessorSettings, Trial, training_settings, trials
from pipelines.successors.tables import successors as successors_table
from tests.pipelines.test_cell_tracking import draw
from unet2015.settings import PUBLISHED, load_settings, parse_settings, read_toml
from unet2015.training import loop

TINY = """
sets = ["phc-01"]
cpu_seconds = 0.05
steps = 3
looks = 1
cropped_tile = 44
whole_tile = 32
[networks.unet2015]
width = 2
depth = 1
[networks.padded]
width = 2
depth = 1
[own.unet2015.optimisation]
tile = 44
[own.padded.optimisation]
tile = 32
"""


@pytest.fixture
def drawn(tmp_path):
    draw(tmp_path / "data" / "ctc" / "PhC-C2DH-U373", "01", 5, range(5))
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


@pytest.mark.slow
def test_every_training_is_a_row_and_runs_once(drawn, monkeypatch, capsys):
    out, count = drawn / "out", []

    def counted(real):
        def train(*words, **more):
            count.append(str(words[2]))
            return real(*words, **more)

        return train

    for name in ("train", "go_on_or_begin_anew"):
        monkeypatch.setattr(training, name, counted(getattr(training, name)))
    monkeypatch.setattr(loop, "complete_model", lambda *_: None)  # it takes most of the time
    words = ["--data", str(drawn / "data"), "--out", str(out), "--settings", str(drawn / "tiny.toml")]
    assert successors.main(words) == 0
    assert len(count) == 4 + 6
    result = json.loads((out / "result.json").read_text())
    rows = {(row["network"], row["recipe"], row["equal"]): row for row in result["rows"]}
    assert len(rows) == 6
    assert result["missing"] == []
    for (network, recipe, equal), row in rows.items():
        step = json.loads((out / "timing" / f"{network}-{recipe}.json").read_text())["seconds_a_step"]
        assert row["steps"] == (3 if equal == "steps" else max(1, round(0.05 / step)))
        assert 0 <= row["measures"]["seg_best"] <= 1
        assert row["seconds_a_megapixel"] > 0
        assert row["exact"]
    about = result["networks"]["unet2015"]
    # Counted by hand for depth 1 and width 2: 3x3 from 1 to 2 channels, and so on.
    weights = [9 * 2, 9 * 4, 9 * 8, 9 * 16, 4 * 8, 9 * 8, 9 * 4, 4]
    assert about["parameters"] == sum(weights) + 2 + 2 + 4 + 4 + 2 + 2 + 2 + 2
    page = (out / "report.html").read_text()
    for text in ("padded, own recipe, equal CPU time", "operations a pixel", "SEG, best threshold"):
        assert text in page
    text = successors_table({**result, "missing": ["one"]})
    assert "1 of 7 trainings were not run for time" in text
    assert text.count("equal CPU time |") == 4
    assert text.count("equal steps |") == 2
    assert f"| {about['described']} | {about['parameters']:,} |" in text
    own = rows["padded", "own", "time"]
    note = " (not learned)" if own["learned"] is False else ""
    assert f"| padded{note} | own recipe, equal CPU time | {own['measures']['seg']:.4f} |" in text
    # Nothing has changed, so nothing runs; one row that is lost is made again, and no other.
    before = {path: path.stat().st_mtime_ns for path in out.rglob("row.json")}
    assert successors.main(words) == 0
    assert len(count) == 10
    lost = out / "phc-01-padded-own-time-0" / "row.json"
    lost.unlink()
    assert successors.main([*words, "--so-far"]) == 0
    assert json.loads((out / "result.json").read_text())["missing"] == [lost.parent.name]
    assert successors.main(words) == 0
    assert len(count) == 10
    assert {path for path in before if path.stat().st_mtime_ns != before[path]} == {lost}


@pytest.mark.parametrize("begun", [False, True])
def test_what_is_finished_so_far_may_be_nothing_and_is_then_a_line(tmp_path, capsys, begun):
    words = ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--quick", "--so-far"]
    if begun:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "networks.json").write_text("{}")
    assert successors.main(words) == 2
    assert "at least one training of this comparison that is finished" in capsys.readouterr().err
    assert not (tmp_path / "out" / "result.json").exists()


@pytest.mark.parametrize("name", ["successors", "successors-quick"])
def test_the_shipped_comparisons_have_every_network_with_its_own_recipe_and_the_common_one(name):
    path = FOLDER / f"{name}.toml"
    chosen = parse_settings(SuccessorSettings, read_toml(path, name), name)
    assert set(chosen.networks) == {"unet2015", *PUBLISHED}
    assert len(trials(chosen)) == 8 * 3 * 3 * len(chosen.seeds)
    for kind in chosen.networks:
        published = load_settings(kind if kind in PUBLISHED else "ronneberger2015")
        own = training_settings(chosen, Trial("em-4", kind, "own", "time", 3), 300)
        kept = ("optimizer", "loss", "schedule", "batch", "learning_rate")
        assert all(getattr(own.optimisation, key) == getattr(published.optimisation, key) for key in kept)
        assert own.augmentation == published.augmentation
        assert [part.freeze for part in own.phase] == [part.freeze for part in published.phase]
        assert sum(part.steps for part in own.phase) in (0, 300)
        common = training_settings(chosen, Trial("dic-01", kind, "common", "steps", 3), 300)
        quick = load_settings("quick")
        assert common.optimisation.optimizer == "muon"
        assert common.augmentation == quick.augmentation
        assert (own.seed, own.validation.patience, common.validation.patience) == (3, 0, 0)
        assert (own.labels.kind, common.labels.kind) == ("membrane", "instances")


def test_phases_share_the_length_as_they_share_the_published_one():
    path = FOLDER / "successors-quick.toml"
    chosen = parse_settings(SuccessorSettings, read_toml(path, "quick"), "quick")
    settings = training_settings(chosen, Trial("em-4", "vgg19", "own", "time", 0), 90)
    assert [phase.steps for phase in settings.phase] == [60, 30]


def test_a_training_that_was_stopped_counts_its_steps_before_with_the_mean_of_those_after(monkeypatch):
    def stopped(*words, progress, **more):
        for done in range(5, 11):
            progress(done, 10)

    ticks = iter(np.arange(100.0))
    monkeypatch.setattr(training, "go_on_or_begin_anew", stopped)
    monkeypatch.setattr(training.time, "process_time", lambda: next(ticks))
    found = training.run_trial(None, None, None, None)
    assert (found["steps"], found["seconds"], found["whole"]) == ([*range(5, 11)], [*range(5, 11)], False)
