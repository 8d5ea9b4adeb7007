"""The benchmark of Dask's overhead still runs."""

import json

from benchmarks import dask_overhead, plots
from unet2015.tiling import plan as plan_module


def test_quick_run_writes_times_and_machine(tmp_path, monkeypatch, benchmark):
    monkeypatch.setattr(plan_module, "PART_PIXELS", plan_module.PART_PIXELS)  # put back afterwards
    out = tmp_path / "dask.json"
    assert benchmark.pedantic(dask_overhead.main, args=(["--quick", "--out", str(out)],), rounds=1) == 0
    result = json.loads(out.read_text())
    assert [(row["tiles_a_task"], row["tasks"]) for row in result["sizes"]] == [(1, 2)]
    assert result["machine"]["cores"]
    assert plots.of_dask({"dask_overhead": result})
