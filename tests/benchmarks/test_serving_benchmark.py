"""The benchmark of a folder of images still runs, and class maps that differ are not timed."""

import json

import numpy as np
import pytest
import tifffile

from benchmarks import serving


@pytest.mark.slow
def test_quick_run_writes_rates_and_rows(tmp_path, monkeypatch, benchmark, loaded_processes):
    monkeypatch.setattr(serving, "PROCESSES", 1)
    monkeypatch.setattr(serving, "get_context", loaded_processes)
    out = tmp_path / "serving.json"
    assert benchmark.pedantic(serving.main, args=(["--quick", "--out", str(out)],), rounds=1) == 0
    result = json.loads(out.read_text())
    rates = result["images_a_second"]
    assert list(rates) == [serving.BARE, serving.OURS, serving.NNUNET, serving.CELLPOSE]
    assert all(rates[way] == result["images"] / result["times"][way]["median"] for way in rates)
    shares = [row["figure"] for row in result["table"]]
    ours = rates[serving.OURS]
    assert shares == [
        100 * ours / rates[serving.BARE],
        ours / rates[serving.NNUNET],
        ours / rates[serving.CELLPOSE],
    ]


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        ([[0, 1]], [[1, 1]], "a.tif: the class map of another is another than ours"),
        ([[1, 1]], [[1, 1]], "of one class"),
    ],
)
def test_maps_that_differ_or_say_nothing_are_not_timed(tmp_path, ours, theirs, message):
    folders = {serving.OURS: tmp_path / "ours", "another": tmp_path / "another"}
    for folder, pixels in zip(folders.values(), (ours, theirs), strict=True):
        folder.mkdir()
        tifffile.imwrite(serving.name(folder, tmp_path / "a.tif"), np.array(pixels, np.uint8))
    with pytest.raises(RuntimeError, match=message):
        serving.check(folders, [tmp_path / "a.tif"])
