"""The benchmark of time to quality still runs, goes on where it was stopped, and invents no figure."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import plots, quality_curves, time_to_quality
from benchmarks.machine import result_of_kind
from benchmarks.peers import peer


def run(*curve):
    """A run whose checkpoints are (seconds, pixel error, V_rand)."""
    return {"points": [dict(zip(("seconds", "pixel_error", "v_rand"), p, strict=True)) for p in curve]}


GOOD, POOR = (0.05, 0.95), (0.06, 0.95)


def test_quick_run_writes_curves_and_a_picture(tmp_path, monkeypatch, benchmark):
    out = tmp_path / "out"
    arguments = ["--quick", "--out", str(out)]
    assert benchmark.pedantic(time_to_quality.main, args=(arguments,), rounds=1) == 0
    written = out / f"{result_of_kind('time_to_quality')}.json"
    result = json.loads(written.read_text())
    here = ["ours"] if peer("monai.networks.nets") is None else ["ours", "monai", "nnunet"]
    assert list(result["sides"]) == here
    for side in result["sides"].values():
        (one,) = side["runs"]
        seconds = [point["seconds"] for point in one["points"]]
        assert len(seconds) == 2
        assert 0 < seconds[0] < seconds[1]
        assert all(0 <= point[key] <= 1 for point in one["points"] for key in ("pixel_error", "v_rand"))
    assert result["sides"]["ours"]["runs"][0]["steps"] == 4
    (plot,) = (plot for plot in plots.PLOTS if plot.name == "time_to_quality")
    figures = plot.figures({"time_to_quality": result})
    assert plots.digest(figures) in plots.svg(plot, figures).decode()

    monkeypatch.setattr(time_to_quality, "run_one", None)  # what is there is not done again
    assert time_to_quality.main(arguments) == 0
    again = json.loads(written.read_text())
    assert again["sides"] == result["sides"]

    other = json.loads((out / "ours-0.json").read_text())
    (out / "ours-0.json").write_text(json.dumps(other | {"asked": {}}))
    with pytest.raises(RuntimeError, match="another budget"):
        time_to_quality.main(arguments)


def test_without_the_data_it_says_where_it_looked(tmp_path, capsys):
    assert time_to_quality.main(["--data", str(tmp_path)]) == 1
    assert f"train-volume.tif and train-labels.tif of ISBI 2012 in {tmp_path}" in capsys.readouterr().err


def test_a_run_that_fails_in_its_own_process_leaves_no_curve(tmp_path, monkeypatch, loaded_processes):
    monkeypatch.setattr(time_to_quality, "multiprocessing", SimpleNamespace(get_context=loaded_processes))
    task = replace(quality_curves.tiny_task(), tiny=False)  # the process trains nothing: its seed is refused
    with pytest.raises(RuntimeError, match="ours, seed -1: ended with status 1"):
        time_to_quality.run_all(["ours"], [-1], task, tmp_path)
    assert not list(tmp_path.iterdir())


def test_our_curve_is_of_the_weights_at_its_marks(tmp_path, monkeypatch):
    """The last but one copy is of another network than the model that is kept."""
    seen = []
    right = quality_curves.unet2015.segment
    monkeypatch.setattr(
        quality_curves.unet2015,
        "segment",
        lambda *a, **k: (seen.append(right(*a, **k)), seen[-1])[1],
        raising=False,
    )
    found = quality_curves.train_ours(quality_curves.tiny_task(), 0, tmp_path)
    assert [point["step"] for point in found["points"]] == [2, 4]
    assert len(seen) == 2
    assert not np.array_equal(seen[0], seen[1])
    kept = quality_curves.unet2015.load_model(tmp_path / "run" / "model.safetensors")
    images = quality_curves.tiny_task().test
    assert np.array_equal(seen[0], right(images, kept, probabilities=True, device="cpu"))


def test_time_is_that_of_the_first_checkpoint_with_both():
    points = run((10, *POOR), (20, 0.05, 0.92), (30, *GOOD), (40, *POOR))["points"]
    assert time_to_quality.time_of(points) == 30
    assert time_to_quality.time_of(points[:2]) == float("inf")


def test_a_ratio_is_of_the_median_seeds():
    times = {
        "ours": time_to_quality.times_of([run((100, *GOOD)), run((120, *GOOD)), run((90, *POOR))]),
        "monai": time_to_quality.times_of([run((200, *GOOD)), run((360, *GOOD)), run((480, *POOR))]),
    }
    assert times["ours"] == {"seeds": [100, 120, None], "median": 120, "bound": 100, "ends": [100, 120, 90]}
    (row,) = time_to_quality.table(times)
    assert row["figure"] == 3
    assert row["met"]
    assert plots.in_words(row) == "3x"


def test_a_side_that_never_gets_there_has_a_bound():
    times = {
        "ours": time_to_quality.times_of([run((100, *GOOD))] * 3),
        "nnunet": time_to_quality.times_of([run((300, *GOOD)), run((480, *POOR)), run((470, *POOR))]),
    }
    (row,) = time_to_quality.table(times)
    assert times["nnunet"]["median"] is None
    assert row["figure"] == 4.7
    assert plots.in_words(row) == "> 4.7x"
    assert "300, never, never s by seed within 470 s" in row["note"]


def test_there_is_no_row_where_ours_does_not_get_there():
    times = {side: time_to_quality.times_of([run((100, *POOR))]) for side in ("ours", "monai")}
    assert time_to_quality.table(times) == []


def test_a_paused_clock_stands():
    clock = quality_curves.Clock()
    with clock.paused():
        begun = quality_curves.time.process_time()
        while quality_curves.time.process_time() < begun + 0.2:
            pass
    assert clock.seconds < 0.1
