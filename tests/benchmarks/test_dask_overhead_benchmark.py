"""The benchmark of Dask's overhead still runs."""

import json

from benchmarks import dask_overhead
from unet2015.tiling import plan as plan_module


def test_quick_run_writes_times_and_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(plan_module, "PART_PIXELS", plan_module.PART_PIXELS)  # put back afterwards
    out = tmp_path / "dask.json"
    assert dask_overhead.main(["--quick", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    assert [(row["tiles_a_task"], row["tasks"]) for row in result["sizes"]] == [(1, 2)]
    assert result["machine"]["cores"]
