"""The table of settings: which trainings there are, and what is measured of their maps."""

import json
from concurrent.futures import Future

import numpy as np
import pytest
import torch

from pipelines import settings_table
from pipelines.on_device.measures import auc, measure_cells
from pipelines.settings_table import SETTINGS, Table
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


def test_all_rows_that_are_shipped_are_settings():
    given = read_toml(SETTINGS, str(SETTINGS))
    for row in given["rows"].values():
        change = {key: value for key, value in row.items() if key not in ("splits", "seeds")}
        load_settings(None, merged(given["base"], change))


def test_a_file_that_cannot_be_read_is_no_traceback(tmp_path, capsys):
    assert settings_table.main(["--data", str(tmp_path / "no.npz"), "--out", str(tmp_path)]) == 1
    assert "expected a file (.npz) that pipelines.device_sets writes" in capsys.readouterr().err
