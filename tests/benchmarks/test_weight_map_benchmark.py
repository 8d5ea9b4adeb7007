"""The benchmark of the weight map still runs, and refuses to time a wrong result."""

import json

import numpy as np
import pytest

from benchmarks import machine, weight_map


def test_quick_run_writes_times_and_machine(tmp_path, capsys, benchmark):
    out = tmp_path / "results" / "weight_map.json"
    assert benchmark.pedantic(weight_map.main, args=(["--quick", "--out", str(out)],), rounds=1) == 0
    result = json.loads(out.read_text())
    assert result["machine"]["versions"]["numpy"] == np.__version__
    assert result["against_one_transform_per_cell"]["largest_relative_difference"] <= 1e-6
    for row in result["against_one_transform"]:
        assert row["ratio"] == row["weight_map"]["median"] / row["one_transform"]["median"]
        assert row["weight_map"]["least"] <= row["weight_map"]["median"] <= row["weight_map"]["most"]
    assert [row["aim"] for row in result["table"]] == [150, 3]
    assert result["table"][1]["figure"] == max(row["ratio"] for row in result["against_one_transform"])
    assert str(out) in capsys.readouterr().out


def test_quick_run_leaves_the_results_alone(monkeypatch):
    monkeypatch.setattr(machine, "write_result", None)
    assert weight_map.main(["--quick"]) == 0


def test_a_wrong_result_is_not_timed(monkeypatch):
    monkeypatch.setattr(weight_map, "weight_map", lambda labels, *_, **__: np.ones(labels.shape))
    with pytest.raises(RuntimeError, match="off by"):
        weight_map.main(["--quick"])


def test_a_wrong_window_is_not_timed(monkeypatch):
    monkeypatch.setattr(weight_map, "one_transform_per_window", lambda labels: np.ones(labels.shape))
    with pytest.raises(RuntimeError, match="by windows is off by"):
        weight_map.main(["--quick"])


def test_cells_are_drawn_as_asked():
    labels = weight_map.cell_labels(200, 20)
    assert np.unique(labels).size == 21
    assert 0.6 < np.mean(labels > 0) < 0.95
