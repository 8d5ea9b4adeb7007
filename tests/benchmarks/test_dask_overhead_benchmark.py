"""The benchmark of Dask's overhead still runs."""

import json

import pytest

from benchmarks import dask_overhead, plots
from unet2015.tiling import plan as plan_module
from unet2015.tiling.files import FileResult


def test_quick_run_writes_times_and_machine(tmp_path, monkeypatch, benchmark):
    monkeypatch.setattr(plan_module, "PART_PIXELS", plan_module.PART_PIXELS)  # put back afterwards
    out = tmp_path / "dask.json"
    assert benchmark.pedantic(dask_overhead.main, args=(["--quick", "--out", str(out)],), rounds=1) == 0
    result = json.loads(out.read_text())
    assert [(row["tiles"], row["tiles_a_task"], row["tasks"]) for row in result["sizes"]] == [
        (2, 1, 2),
        (4, 2, 2),
    ]
    assert ["process" in row for row in result["sizes"]] == [True, False]
    assert result["machine"]["cores"]
    assert plots.of_dask({"dask_overhead": result})


def test_every_size_from_1_to_64_tiles_is_asked_for():
    assert tuple(2**k for k in range(7)) == dask_overhead.SIZES


def test_the_line_tells_what_a_run_and_what_a_task_costs():
    rows = [{"tasks": tasks, "longer_seconds": 0.5 + 0.02 * tasks} for tasks in (32, 16, 8, 4, 2)]
    assert dask_overhead.overhead(rows) == pytest.approx({"seconds_a_run": 0.5, "seconds_a_task": 0.02})


def test_the_table_shows_the_best_task_and_the_smallest_good_one():
    line = {"seconds_a_run": 0.1, "seconds_a_task": 0.02}
    rows = [
        {"tiles_a_task": size, "efficiency": share}
        for size, share in ((1, 0.9), (2, 0.951), (4, 0.98), (8, 0.94))
    ]
    best, smallest = dask_overhead.table(rows, line)
    assert (best["figure"], smallest["figure"]) == (98, 95.1)
    assert "4 tiles" in best["question"]
    assert "2 tiles" in smallest["question"]
    assert len(dask_overhead.table(rows[:1], line)) == 1


def test_outputs_that_differ_are_not_timed(monkeypatch, tmp_path):
    count = iter(range(9))
    monkeypatch.setattr(
        dask_overhead, "segment_files", lambda images, out, *more: (_write(out, next(count)),)
    )
    dask_overhead.make_image(tmp_path / "image.zarr", 1, 384)
    model = dask_overhead.make_model(tmp_path / "model.safetensors", 1)
    segmenter = dask_overhead.Segmenter(model, dask_overhead.SegmentOptions(tile=572, device="cpu"))
    with pytest.raises(RuntimeError, match="differ"):
        dask_overhead._measure(tmp_path, segmenter, [None, None, None], 1, warm=False)


def _write(path, number):
    path.write_text(str(number))
    return FileResult(path, (), None)
