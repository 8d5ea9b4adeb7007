"""The table of settings: which trainings there are, and what is measured of their maps."""

import json
from concurrent.futures import Future
from itertools import combinations, permutations
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipelines import settings_table
from pipelines.on_device.measures import auc, measure_cells
from pipelines.settings_table import SETTINGS, WIDE, Table
from unet2015.settings import load_settings, merged, read_toml


def test_auc_is_the_share_of_pairs_in_order():
    random = np.random.default_rng(0)
    truth, levels = random.integers(0, 3, (2, 6, 7)), random.integers(0, 5, (2, 6, 7)).astype(np.uint8)
    inside, outside = levels[truth > 0].astype(int), levels[truth == 0].astype(int)
    order = np.sign(inside[:, None] - outside[None])
    assert auc(truth, levels) == pytest.approx(((order + 1) / 2).mean())
    assert np.isnan(auc(np.zeros((2, 2)), np.zeros((2, 2), np.uint8)))


def test_cells_are_measured_at_one_half_and_at_the_best_threshold():
    truth = np.zeros((1, 130, 130), np.uint16)
    truth[0, 55:75, 55:75] = 1
    perfect = np.where(truth > 0, 255, 0).astype(np.uint8)
    assert measure_cells(truth, perfect) == {"seg": 1.0, "seg_best": 1.0}
    faint = measure_cells(truth, (perfect // 3).astype(np.uint8))
    assert faint == {"seg": 0.0, "seg_best": 1.0}


@pytest.fixture
def table(tmp_path):
    arrays = {key: np.zeros((30, 8, 8), np.uint8) for key in ("em/images", "em/labels")}
    for key in ("images", "labels", "truth"):
        arrays |= {
            f"DIC-C2DH-HeLa/{sequence}/{key}": np.zeros((2, 8, 8), np.uint8) for sequence in ("01", "02")
        }
    given = {
        "base": {"optimisation": {"steps": 10}},
        "only": {"em": {"optimisation": {"clip": 0.5}}},
        "rows": {
            "base": {},
            "more": {"seeds": 3, "splits": ["em-4"], "optimisation": {"optimizer": "adam"}},
        },
    }
    return Table(arrays, tmp_path, given, torch.device("cpu"))


def test_rows_are_run_seed_by_seed(table):
    jobs = list(table.jobs(range(2), ["em-4", "dic-01"]))
    names = [job.name for job in jobs]
    once = ["base, em-4", "base, dic-01", "more, em-4"]
    assert names == [f"{name}, seed {seed}" for seed in (0, 1) for name in once] + ["more, em-4, seed 2"]
    assert [job.settings.seed for job in jobs] == [0, 0, 0, 1, 1, 1, 2]
    assert [job.settings.optimisation.optimizer for job in jobs[:3]] == ["sgd", "sgd", "adam"]
    assert [job.settings.optimisation.clip for job in jobs[:2]] == [0.5, 1.0]
    assert [job.settings.labels.kind for job in jobs[:2]] == ["membrane", "instances"]


def test_a_measure_that_fails_does_not_cost_the_others(table, tmp_path, monkeypatch):
    measures = {"a": Future(), "b": Future(), "c": Future()}
    measures["a"].set_result({"seg": 0.5})
    measures["b"].set_exception(ValueError("no objects"))
    made = iter(measures.values())
    monkeypatch.setattr(table.measuring._pool, "submit", lambda *given: next(made))
    for name in measures:
        table.take({"row": name}, "cells", np.zeros((1, 8, 8)), np.zeros((1, 8, 8), np.uint8))
    assert table.measuring.close(0.0) == 1  # c is not there
    table.write()
    lines = json.loads((tmp_path / "settings_table.json").read_text())["trainings"]
    assert lines == [{"row": "a", "seg": 0.5}, {"row": "b", "error": "ValueError: no objects"}]


def shipped(path):
    """The settings of all rows of a file, by their names."""
    given = read_toml(path, str(path))
    rows = {}
    for name, row in given["rows"].items():
        change = {key: value for key, value in row.items() if key not in ("splits", "seeds")}
        rows[name] = load_settings(None, merged(given["base"], change))
    return rows


def test_all_rows_that_are_shipped_are_settings():
    assert len(shipped(SETTINGS)) > 30


def test_each_of_the_means_against_overfitting_is_in_half_of_the_rows_and_any_two_in_a_quarter():
    rows = shipped(WIDE)
    means = {
        "gray and blur": lambda s: s.augmentation.blur > 0 and s.augmentation.gray_shift > 0.3,
        "scale": lambda s: s.augmentation.scale > 0,
        "decay": lambda s: s.optimisation.weight_decay > 0,
        "drop-out": lambda s: s.network.dropout > 0,
    }
    has = {name: [mean(settings) for settings in rows.values()] for name, mean in means.items()}
    assert len(rows) == 8
    for name, found in has.items():
        assert found == [name in row for row in rows]  # a row is called what it is
        assert sum(found) == 4
    for one, other in combinations(has.values(), 2):
        assert sum(a and b for a, b in zip(one, other, strict=True)) == 2
    # What one mean does is not that of two others together; the first four rows tell three of them apart.
    for one, two, three in permutations(has.values(), 3):
        assert one != [a == b for a, b in zip(two, three, strict=True)]
        assert one != [a != b for a, b in zip(two, three, strict=True)]
    assert [sum(found[:4]) for found in has.values()] == [2, 2, 2, 0]


def test_maps_are_averaged_as_the_settings_say_for_their_kind(table, monkeypatch):
    table.given["averages"] = {"em": "rotations"}
    taken, asked = [], []
    training = SimpleNamespace(
        losses=torch.zeros(10), norms=torch.zeros(10), predict=lambda images, how: asked.append(how)
    )
    monkeypatch.setattr(table, "take", lambda line, *others: taken.append(line["split"]))
    for job in list(table.jobs(range(1), ["em-4", "dic-01"]))[:2]:
        job.finish(training)
    assert taken == ["em-4", "dic-01"]
    assert asked == ["rotations", "none"]


def test_what_is_measured_is_written_at_once_and_said(table, tmp_path, monkeypatch, capsys):
    measured = Future()
    monkeypatch.setattr(table.measuring._pool, "submit", lambda *given: measured)
    line = {"row": "base", "split": "em-4", "seed": 1}
    table.take(line, "em", np.zeros((1, 8, 8)), np.zeros((1, 8, 8), np.uint8))
    measured.set_result({"pixel_error": 0.25})

    def run_jobs(*given, meanwhile):
        meanwhile()
        found = json.loads((tmp_path / "settings_table.json").read_text())
        assert found["trainings"] == [line | {"pixel_error": 0.25}]
        return 0

    monkeypatch.setattr(settings_table, "run_jobs", run_jobs)
    assert table.run([], 1, 0.0, 0.0) == 0
    assert "base em-4 1 {'pixel_error': 0.25}" in capsys.readouterr().out


def test_steps_seeds_and_splits_are_those_of_the_command_or_of_the_settings(tmp_path, monkeypatch):
    given, asked = {"base": {"optimisation": {"steps": 7}}, "rows": {}, "seeds": 2, "splits": ["em-1"]}, []

    class Asked:
        def __init__(self, arrays, out, given, device):
            self.steps = given["base"]["optimisation"]["steps"]

        def jobs(self, seeds, splits):
            asked.append((self.steps, seeds, splits))
            return []

        def run(self, *given):
            return 0

    monkeypatch.setattr(settings_table, "Table", Asked)
    monkeypatch.setattr(settings_table, "load", lambda path: {})
    monkeypatch.setattr(settings_table, "read_toml", lambda *path: given)
    words = ["--data", "x.npz", "--out", str(tmp_path)]
    for more in ([], ["--steps", "9", "--seeds", "1", "--splits", "em-2", "dic-01"]):
        assert settings_table.main(words + more) == 0
    assert asked == [(7, range(2), ["em-1"]), (9, range(1), ["em-2", "dic-01"])]


def test_a_file_that_cannot_be_read_is_no_traceback(tmp_path, capsys):
    assert settings_table.main(["--data", str(tmp_path / "no.npz"), "--out", str(tmp_path)]) == 1
    assert "expected a file (.npz) that pipelines.device_sets writes" in capsys.readouterr().err
