"""The benchmark of the measures still runs, on what it says it runs on."""

import json

import numpy as np
import pytest
import tifffile

from benchmarks import metrics, naive_metrics
from unet2015.metrics.components import components


@pytest.mark.slow
def test_quick_run_writes_times_and_machine(tmp_path, capsys, benchmark):
    out = tmp_path / "results" / "metrics.json"
    assert benchmark.pedantic(metrics.main, args=(["--quick", "--out", str(out)],), rounds=1) == 0
    result = json.loads(out.read_text())
    assert result["machine"]["versions"]["numpy"] == np.__version__
    assert list(result["measures"]) == list(metrics.MEASURES)
    assert [(row["against"], row["aim"]) for row in result["table"]] == [("plain Python", 20)] * 2
    assert str(out) in capsys.readouterr().out


def test_the_proposal_leaves_many_components():
    labels, proposal = metrics.noisy_cells(2, 128)
    assert set(np.unique(labels)) == {0, 255}
    assert components(proposal[0] > 0.5).max() > 3 * components(labels[0] > 0).max() > 15


@pytest.mark.parametrize("name", ["rand_error", "warping_error"])
def test_a_wrong_result_is_not_timed(name, monkeypatch):
    monkeypatch.setattr(naive_metrics, name, lambda labels, proposal, thresholds, components=None: [7])
    with pytest.raises(RuntimeError, match=f"{name}: plain Python gives"):
        metrics.against_python(12, 1)


def test_plain_python_finds_splits_and_mergers_too():
    labels, proposal = metrics.noisy_cells(1, 64)
    rows = metrics.warping_error(labels, proposal).by_threshold
    found = naive_metrics.warping_error(labels[0], proposal[0], [row.threshold for row in rows])
    assert found == [(row.splits, row.mergers) for row in rows]
    assert min(map(max, zip(*found, strict=True))) > 0


def test_java_is_compared_where_its_results_are_ours(tmp_path, capsys):
    cases = {}
    for case in ("p3_detector", "p4_blur_noise"):
        stacks = dict(zip(("labels", "proposal"), metrics.noisy_cells(2, 32), strict=True))
        for kind, stack in stacks.items():
            tifffile.imwrite(tmp_path / f"{case}_{kind}.tif", stack)
        values = {
            "foreground_restricted_rand_maximal_fscore": 1 - metrics.rand_error(*stacks.values()).value,
            "minimum_splits_and_mergers_warping_error_radius20": metrics.warping_error(
                *stacks.values()
            ).value,
        }
        cases[case] = {
            "inputs": {kind: {"file": f"{case}_{kind}.tif"} for kind in stacks},
            "metrics": {metric: {"value": value} for metric, value in values.items()},
        }
    (tmp_path / "expected.json").write_text(json.dumps({"cases": cases}))
    java = metrics.against_java(tmp_path, 1)
    assert java["warping_error"]["speedup"] > 0
    rows = metrics.table(metrics.against_python(12, 1), java)
    assert [row["against"] for row in rows] == ["plain Python", "the organisers' Java"] * 2

    cases["p4_blur_noise"]["metrics"]["foreground_restricted_rand_maximal_fscore"]["value"] += 0.1
    (tmp_path / "expected.json").write_text(json.dumps({"cases": cases}))
    with pytest.raises(RuntimeError, match=r"p4_blur_noise: rand_error is .*, but Java gives"):
        metrics.against_java(tmp_path, 1)
