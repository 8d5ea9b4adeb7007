"""The benchmark of objects still runs, and refuses tools that find other objects."""

import json

import numpy as np
import pytest

from benchmarks import objects
from tests.forks import peak_of


def test_quick_run_writes_times_and_seams(tmp_path, monkeypatch):
    monkeypatch.setattr(objects, "peak_of", peak_of)
    out = tmp_path / "objects.json"
    assert objects.main(["--quick", "--large", "256", "--many", "128", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    assert all(tool["same"] for tool in result["tools"].values())
    assert result["large"]["objects"] > 10
    assert result["many"]["objects"] == 1024
    assert "scikit-image" in result["peers"]
    for case in result["seams"]:
        assert case["unet2015"] == case["true"]
        assert case["tiles alone"] != case["true"]


def test_the_same_parts_may_have_other_numbers_and_no_more():
    labels = objects.label_strips(objects.cells(200, 200))
    assert objects.same_parts(labels, np.where(labels > 0, labels.max() + 1 - labels, 0))
    merged = np.where(labels == 2, 1, labels)
    assert not objects.same_parts(labels, merged)
    assert not objects.same_parts(merged, labels)


def test_tools_that_differ_are_an_error(monkeypatch):
    monkeypatch.setattr(
        objects, "against_others", lambda side: {"unet2015": {"same": True}, "x": {"same": False}}
    )
    with pytest.raises(RuntimeError, match="do not find the same objects"):
        objects.main(["--quick", "--large", "0", "--many", "0"])


@pytest.mark.parametrize(("theirs", "said"), [(0.25, True), (0.6, False)])
def test_the_row_next_to_cc3d_says_why_it_is_missed(theirs, said):
    took = {"peak_mib": 1.0, "objects": 9}
    tools = {"unet2015": {"cpu": 0.5, **took}, "cc3d": {"cpu": theirs, **took}}
    (row,) = objects.table({"side": 8, "tools": tools})
    assert row["met"] is not said
    assert ("one compiled pass" in row["note"]) is said
