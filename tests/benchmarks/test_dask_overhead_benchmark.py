"""The benchmark of Dask's overhead still runs."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from benchmarks import dask_overhead, plots
from unet2015.tiling import plan as plan_module


def test_quick_run_writes_times_and_machine(tmp_path, benchmark):
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
        assert row["efficiency"] == row["process"]["median"] / (2 * row["two_workers"]["median"])
        assert row["efficiency_bare"] == row["process"]["median"] / (2 * row["two_processes"]["median"])
    assert result["machine"]["cores"]
    assert plots.of_dask({"dask_overhead": result})


def test_tasks_from_1_to_64_tiles_are_asked_for():
    assert min(dask_overhead.SIZES) == 1
    assert max(dask_overhead.SIZES) == 64
    assert set(dask_overhead.SHOWN) <= set(dask_overhead.SIZES)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_one_process_has_one_core_for_as_long_as_it_is_timed():
    before = os.sched_getaffinity(0)
    with dask_overhead._one_core():
        assert len(os.sched_getaffinity(0)) == 1
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(os.sched_getaffinity, 0).result() == os.sched_getaffinity(0)
    assert os.sched_getaffinity(0) == before


def test_the_line_tells_what_a_run_and_what_a_task_costs():
    rows = [{"tasks": tasks, "longer_seconds": 0.5 + 0.02 * tasks} for tasks in (32, 16, 8, 4, 2)]
    assert dask_overhead.overhead(rows) == pytest.approx({"seconds_a_run": 0.5, "seconds_a_task": 0.02})


def test_the_table_shows_the_smallest_task_the_usual_and_the_largest():
    line = {"seconds_a_run": 0.1, "seconds_a_task": 0.02}
    shares = {1: 0.9, 2: 0.951, 16: 0.96, 32: 0.97, 64: 0.98}
    rows = [
        {"tiles_a_task": size, "efficiency": share, "efficiency_bare": 0.97, "two_workers": {"median": 3.0}}
        for size, share in shares.items()
    ]
    table = dask_overhead.table(rows, line)
    assert [each["figure"] for each in table] == [90, 96, 98]
    assert [each["met"] for each in table] == [False, True, True]
    assert [each["question"].rpartition(" ")[2] for each in table] == ["1", "16", "64"]


def test_outputs_that_differ_are_not_timed(tmp_path):
    runs = dask_overhead.Runs(tmp_path, 1)
    place = runs.images(2)
    for which in ("whole", *dask_overhead.HALVES):
        for number in range(2):
            (place / f"{which}-{number}.zarr").write_text("the same")
    runs.check(2)
    (place / "lower-2.zarr").write_text("another")
    with pytest.raises(RuntimeError, match="lower of 2 tiles differ"):
        runs.check(2)
