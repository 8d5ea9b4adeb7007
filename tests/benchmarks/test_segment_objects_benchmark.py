"""The benchmark of a whole segmentation with objects still runs, and finds all cells."""

import json

from benchmarks import segment_objects


def test_quick_run_counts_every_cell(tmp_path):
    out = tmp_path / "found.json"
    assert segment_objects.main(["--side", "448", "--folder", str(tmp_path), "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    assert result["objects"] == (448 // segment_objects.PITCH) ** 2  # those that touch are divided
    assert result["cap"] == "2G"
