"""Runs that differ in their seeds, measured together: each seed, the mean, the smallest and the largest."""

import json
import re

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("matplotlib")

from pipelines.one_gpu_measures import cells as cell_measures
from pipelines.one_gpu_measures.seeds import over_seeds
from pipelines.seed_tables import seeds
from tests.pipelines.test_one_gpu_measures import cells, levels, pack, run

TRAININGS = {
    "em-3": {"split": "em-3"},
    "em-4": {"split": "em-4"},
    "dic-01": {"split": "dic-01"},
    "dic-02": {"split": "dic-02"},
    "dic-01-silver": {"split": "dic-01", "silver": True},
}
WRONG = {0: 2, 1: 8, 2: 5}
"""Rows of each held-out slice that a seed has as membrane."""
BRIDGE = {0: 150, 1: 220, 2: 180}
"""How strongly a seed joins two cells, of 255."""


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    return pack(tmp_path_factory.mktemp("sets"))


@pytest.fixture(autouse=True)
def few_markers(monkeypatch):
    monkeypatch.setattr(cell_measures, "LEVELS", (0.5, 0.8))
    monkeypatch.setattr(cell_measures, "BLURS", (2.0,))


def save(folder, seed, sets, name, training):
    """Write the maps that a training of a seed left."""
    if training["split"].startswith("em-"):
        inside = np.where(sets[1]["em/labels"] > 0, 250, 5).astype(np.uint8)
        first = 6 * int(training["split"][-1])
        held = inside[first : first + 6].copy()
        held[:, : WRONG[seed]] = 5
        trained = np.concatenate([inside[:first], inside[first + 6 :]])
        maps = {"test/rotations": held, "train/rotations": trained}
    else:
        page = levels(cells())
        found = np.stack([np.where(page == 150, BRIDGE[seed], page).astype(np.uint8)] * 2)
        maps = {"test/flips": found} | ({} if training.get("silver") else {"train/flips": found})
    np.savez(folder / f"{name}.npz", **maps)


def left_by(folder, seed, sets, trainings, given=True):
    """Return the folder of a run; its seed stands in the settings of the run if it was given."""
    folder.mkdir()
    settings = {"trainings": trainings} | ({"base": {"seed": seed}} if given else {})
    notes = {"settings": settings, "device": "a GPU", "training": {"seconds": 9.0}, "seconds": 10.0 + seed}
    notes |= {"date": f"2026-01-0{1 + seed // 2}", "steps": dict.fromkeys(trainings, 1800)}
    (folder / "one_gpu.json").write_text(json.dumps(notes))
    for name, training in trainings.items():
        save(folder, training.get("settings", {}).get("seed", seed), sets, name, training)
    return folder


@pytest.fixture
def runs(tmp_path, sets):
    """Three runs, of which the first was not given a seed."""
    return [left_by(tmp_path / f"run{seed}", seed, sets, TRAININGS, seed > 0) for seed in (0, 1, 2)]


def measure(folders, sets, tmp_path):
    status = run(folders[0], sets, tmp_path / "out", "--maps", *folders)  # the last --maps counts
    path = tmp_path / "out" / "result.json"
    return status, json.loads(path.read_text()) if path.exists() else None


def test_each_seed_stands_beside_the_mean_the_smallest_and_the_largest(runs, sets, tmp_path, capsys):
    status, result = measure(runs, sets, tmp_path)
    assert status == 0
    em = result["seeds"]["em"]["rotations"]["at_training_threshold"]
    of_each = [one["em"]["rows"]["rotations"]["at_training_threshold"] for one in result["runs"]]
    assert [one["em"]["seed"] for one in result["runs"]] == [0, 1, 2]
    for name in ("pixel_error", "rand_error", "warping_error", "v_rand", "v_info"):
        values = [one[name] for one in of_each]
        assert list(em[name]["by_seed"].values()) == values
        assert em[name]["mean"] == pytest.approx(sum(values) / 3)
        assert (em[name]["smallest"], em[name]["largest"]) == (min(values), max(values))
    least, most, middle = (one["pixel_error"] for one in of_each)
    assert 0 < least < middle < most

    flips = result["seeds"]["cells"]["DIC-C2DH-HeLa"]["flips"]["seg_at_training_threshold"]
    for seed, one in enumerate(result["runs"]):
        rows = [one["cells"]["trainings"][name]["rows"]["flips"] for name in ("dic-01", "dic-02")]
        both = sum(row["seg_at_training_threshold"] for row in rows) / 2
        assert flips["by_seed"][f"{seed}"] == pytest.approx(both)
    assert result["seeds"]["left_out"] == []
    assert str(tmp_path) not in json.dumps(result)
    assert len((tmp_path / "out" / "em.png").read_bytes()) > 1000
    said = capsys.readouterr()
    assert (
        f"pixel_error: {em['pixel_error']['mean']:.4g} ({least:.4g} to {most:.4g}, seeds 0, 1, 2)" in said.out
    )


def test_a_table_has_each_seed_the_mean_and_the_range_and_marks_what_is_not_the_papers(runs, sets, tmp_path):
    _, result = measure(runs, sets, tmp_path)
    how, _, *lines = seeds(result).splitlines()
    assert how == (
        "a GPU, 2026-01-01, 2026-01-02: 3 runs of 5 trainings side by side, 1,800 steps each; "
        "the whole runs took 10, 11, 12 s."
    )
    assert lines[0] == "|  | seed 0 | seed 1 | seed 2 | mean | smallest | largest |"
    rows = {
        cells[1].strip(): [cell.strip() for cell in cells[2:-1]]
        for cells in (line.split("|") for line in lines)
    }
    error = result["seeds"]["em"]["rotations"]["at_training_threshold"]["pixel_error"]
    expected = [*error["by_seed"].values(), error["mean"], error["smallest"], error["largest"]]
    assert rows["EM, pixel error, 7 rotated versions averaged"] == [f"{value:.4f}" for value in expected]
    assert len(rows["EM, warping error, 7 rotated versions averaged"][0]) == len("0.001234")
    seg = result["seeds"]["cells"]["DIC-C2DH-HeLa"]["flips"]["seg_at_training_threshold"]
    title = "DIC-C2DH-HeLa, threshold of the training frames, 4 flips averaged"
    assert rows[title][3] == f"{seg['mean']:.4f}"
    marked = [title for title in rows if re.search("silver|watershed", title)]
    assert len(marked) == 1 + 4
    assert all(title.startswith("*not the paper's:*") for title in marked)


def test_silver_truth_takes_what_gold_truth_of_its_own_seed_chose(runs, sets, tmp_path):
    _, result = measure(runs, sets, tmp_path)
    chosen = [
        [one["cells"]["trainings"][name]["chosen_on_training_frames"] for one in result["runs"]]
        for name in ("dic-01", "dic-01-silver")
    ]
    assert chosen[0] == chosen[1]
    assert len({one["threshold"] for one in chosen[0]}) == 3


def test_seeds_of_cells_in_one_run_are_told_apart_and_silver_truth_takes_its_own(sets, tmp_path):
    trainings = {}
    for seed in (0, 1, 2):
        for name in ("dic-01", "dic-02", "dic-01-silver"):
            trainings[f"{name}-{seed}"] = TRAININGS[name] | {"settings": {"seed": seed}}
    folder = left_by(tmp_path / "run", 0, sets, trainings, given=False)
    assert run(folder, sets, tmp_path / "out") == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    measured = result["cells"]["trainings"]
    for seed in (0, 1, 2):
        gold, silver = (
            measured[f"{name}-{seed}"]["chosen_on_training_frames"] for name in ("dic-01", "dic-01-silver")
        )
        assert gold == silver
        assert gold["chosen_on"] == f"dic-01-{seed}"
    flips = over_seeds([result])["cells"]["DIC-C2DH-HeLa"]["flips"]
    assert list(flips["seg_at_0.5"]["by_seed"]) == ["0", "1", "2"]
    rows = [measured[f"{name}-1"]["rows"]["flips"] for name in ("dic-01", "dic-02")]
    both = sum(row["seg_at_training_threshold"] for row in rows) / 2
    assert flips["seg_at_training_threshold"]["by_seed"]["1"] == pytest.approx(both)


def test_a_seed_that_lacks_a_fold_or_a_direction_is_left_out_of_what_seeds_give_together(
    runs, sets, tmp_path, capsys
):
    (runs[1] / "em-3.npz").unlink()
    (runs[2] / "dic-02.npz").unlink()
    status, result = measure(runs, sets, tmp_path)
    assert status == 0
    em = result["seeds"]["em"]["rotations"]["best_over_thresholds"]["v_rand"]
    assert list(em["by_seed"]) == ["0", "2"]
    seg = result["seeds"]["cells"]["DIC-C2DH-HeLa"]["flips"]["seg_at_0.5"]
    assert list(seg["by_seed"]) == ["0", "1"]
    silver = result["seeds"]["cells"]["DIC-C2DH-HeLa, gold and silver truth"]["flips"]["seg_at_0.5"]
    assert list(silver["by_seed"]) == ["0", "1", "2"]
    said = capsys.readouterr().err
    assert "left out: em, rotations, at_training_threshold, seed 1: em-4 of em-3, em-4" in said
    assert "left out: cells, DIC-C2DH-HeLa, flips, seed 2: dic-01 of dic-01, dic-02" in said
    assert f"{runs[1] / 'em-3'}: no maps" in said


def test_a_seed_given_twice_is_an_error_before_anything_is_measured(runs, sets, tmp_path, capsys):
    (runs[1] / "one_gpu.json").write_text((runs[2] / "one_gpu.json").read_text())
    (runs[0] / "em-4.npz").unlink()  # would be said
    status, result = measure(runs, sets, tmp_path)
    assert (status, result) == (1, None)
    said = capsys.readouterr().err
    assert f"{runs[2]}: em-3 has seed 2, as em-3 of {runs[1]}; give each seed once" in said
    assert "no maps" not in said


def test_slices_held_out_by_two_trainings_of_a_run_are_not_mixed(sets, tmp_path, capsys):
    trainings = {f"em-4-{seed}": {"split": "em-4", "settings": {"seed": seed}} for seed in (0, 1)}
    folder = left_by(tmp_path / "run", 0, sets, trainings)
    assert run(folder, sets, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert f"{folder}: em-4-0 and em-4-1 hold out the same slices" in said
    assert not (tmp_path / "out" / "result.json").exists()
