"""The benchmark of Dask's overhead still runs."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from benchmarks import dask_overhead, dask_runs, plots
from unet2015.tiling import plan as plan_module


@pytest.mark.slow
def test_quick_run_writes_times_and_machine(tmp_path, benchmark, monkeypatch, loaded_processes):
    monkeypatch.setattr(dask_runs, "get_context", loaded_processes)
    before = plan_module.PART_PIXELS, torch.get_num_threads()
    out = tmp_path / "dask.json"
    assert benchmark.pedantic(dask_overhead.main, args=(["--quick", "--out", str(out)],), rounds=1) == 0
    assert (plan_module.PART_PIXELS, torch.get_num_threads()) == before
    result = json.loads(out.read_text())
    assert [(row["tiles"], row["tiles_a_task"], row["tasks"]) for row in result["sizes"]] == [
        (2, 1, 2),
        (4, 2, 2),
    ]
    for row in result["sizes"]:
        alone = row["process"]["median"]
        assert row["efficiency"] == alone / (2 * row["two_workers"]["median"])
        assert row["efficiency_bare"] == alone / (2 * row["two_processes"]["median"])
    assert result["machine"]["cores"]
    assert plots.of_dask({"dask_overhead": result})


def test_tasks_from_1_to_64_tiles_are_asked_for():
    assert min(dask_overhead.SIZES) == 1
    assert max(dask_overhead.SIZES) == 64


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_all_threads_of_one_process_have_one_core(tmp_path, monkeypatch, loaded_processes):
    monkeypatch.setattr(dask_runs, "get_context", loaded_processes)
    runs = dask_runs.Runs(tmp_path, 1)
    with runs.ready("process") as way:
        way(2, 1)
        pool = next(cell.cell_contents for cell in way.__closure__ if hasattr(cell.cell_contents, "submit"))
        cores = pool.submit(cores_of_threads).result()
    assert len(cores) > 1
    assert set(cores) == {1}


def cores_of_threads():
    return [len(os.sched_getaffinity(int(thread.name))) for thread in Path("/proc/self/task").iterdir()]


def test_the_line_tells_what_a_task_and_what_a_tile_costs():
    rows = [
        {"tasks": tasks, "tiles": tiles, "one_worker": {"median": 0.02 * tasks + 0.2 * tiles}}
        for tasks, tiles in ((64, 64), (16, 64), (4, 64), (2, 128))
    ]
    assert dask_overhead.overhead(rows) == pytest.approx({"seconds_a_task": 0.02, "seconds_a_tile": 0.2})


def test_the_table_shows_all_sizes():
    rows = [
        {
            "tiles_a_task": size,
            "efficiency": share,
            "gain": 1.9,
            "process": {"median": 5.4, "least": 5.0, "most": 7.0},
            "two_processes": {"median": 3.1, "least": 3.0, "most": 3.2},
            "one_worker": {"median": 5.7, "least": 5.0, "most": 7.0},
            "two_workers": {"median": 3.0, "least": 2.0, "most": 4.0, "cpu": 0.3},
        }
        for size, share in {1: 0.9, 4: 0.951, 16: 0.96, 64: 0.98}.items()
    ]
    table = dask_overhead.table(rows, {"seconds_a_task": 0.02})
    assert [each["figure"] for each in table] == [90, 95.1, 96, 98]
    assert [each["met"] for each in table] == [False, True, True, True]
    assert [each["question"].rpartition(" ")[2] for each in table] == ["1", "4", "16", "64"]
    assert table[0]["note"] == (
        "one process 5.4 s (5.0 to 7.0), two processes without Dask 3.1 s (3.0 to 3.2), one worker 5.7 s "
        "(5.0 to 7.0), two workers 3.0 s (2.0 to 4.0); two workers 1.90 times as fast as one, whose client "
        "has the other core; of the two cores, client and scheduler take 5.0 %; a task costs 20 ms"
    )


def test_two_processes_have_the_halves_of_the_image(tmp_path):
    runs = dask_runs.Runs(tmp_path, 1)
    place = runs.images(4)
    whole, upper, lower = (
        zarr.open_group(place / f"{name}.zarr", mode="r")["labels/classes/0"][:].squeeze()
        for name in ("image", "upper", "lower")
    )
    assert np.array_equal(np.concatenate([upper, lower]), whole)
    assert not np.array_equal(upper, lower)


def test_outputs_that_differ_are_not_timed(tmp_path):
    runs = dask_runs.Runs(tmp_path, 1)
    place = runs.images(2)
    for which in ("image", *dask_runs.HALVES):
        for number in range(2):
            (place / f"{which}-{number}.zarr").write_text("the same")
    runs.check(2)
    (place / "lower-2.zarr").write_text("another")
    with pytest.raises(RuntimeError, match="lower of 2 tiles differ"):
        runs.check(2)
