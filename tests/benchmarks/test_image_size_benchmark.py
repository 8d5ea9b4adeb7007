"""The benchmark of cost against size still runs, and its line is a line."""

import json
import shutil
import sys
from types import SimpleNamespace

import pytest

from benchmarks import image_size, plots
from tests.forks import peak_of


def sizes(*costs, work=None):
    """Sizes from 512 px on, with these seconds and these pixels read for one."""
    work = work or [1.0] * len(costs)
    return [
        {
            "side": 512 << i,
            "seconds": {"least": cost, "cpu_least": cost, "median": 2 * cost, "cpu": 2 * cost, "repeats": 1},
            "read_per_pixel": read,
            "seconds_per_megapixel": 1e6 * cost / (512 << i) ** 2,
            "peak_mib": 100.0,
            "plan": {"tile": [572, 572]},
        }
        for i, (cost, read) in enumerate(zip(costs, work, strict=True))
    ]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_quick_run_says_what_it_took(tmp_path, benchmark, monkeypatch):
    monkeypatch.setattr(image_size, "peak_of", peak_of)
    out = tmp_path / "image_size.json"
    arguments = ["--quick", "--out", str(out), "--folder", str(tmp_path)]
    assert benchmark.pedantic(image_size.main, args=(arguments,), rounds=1) == 0
    result = json.loads(out.read_text())
    assert [size["side"] for size in result["sizes"]] == [512, 1024]
    for size in result["sizes"]:
        assert size["plan"]["kept"] == [size["side"]] * 2
        assert 100 < size["start_peak_mib"] <= size["peak_mib"] < result["cap_mib"] == 2048
        assert size["start_seconds"] > 0
    assert len(result["table"]) == 2
    assert plots.of_image_size({"image_size": result})
    assert [path.name for path in tmp_path.iterdir()] == [out.name], "images are left"


def test_a_line_with_a_constant_has_a_constant_slope():
    found = image_size.straight_line(sizes(0.3 + 1, 0.3 + 4, 0.3 + 16))
    assert found["deviation_percent"] == pytest.approx(0, abs=1e-9)
    assert found["seconds_per_megapixel"] == pytest.approx(1e6 / 512**2)


def test_a_bend_is_seen():
    found = image_size.straight_line(sizes(1, 4, 17))
    assert found["deviation_percent"] > 5


def test_sizes_with_more_margin_are_not_compared():
    found = image_size.straight_line(sizes(9, 4, 16, 64, work=[1.8, 1.04, 1.02, 1.0]))
    assert found["from_side"] == 1024
    assert found["deviation_percent"] == pytest.approx(0, abs=1e-9)
    assert image_size.straight_line(sizes(1, 4, 16, work=[1.0, 1.2, 1.0]))["from_side"] == 1024


def test_a_full_disk_is_said_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(RuntimeError, match="give another --folder"):
        image_size.main(["--quick", "--folder", str(tmp_path)])
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_class_maps_that_differ_are_not_timed(tmp_path, monkeypatch):
    model = image_size.write_model(tmp_path / "model.safetensors", 1, 1)
    image = tmp_path / "page.tif"
    image_size.draw_page(image, 64)
    digests = iter("abc")
    monkeypatch.setattr(image_size, "sha256", lambda path: next(digests))
    job = {"model": str(model), "warm": str(image), "image": str(image), "repeats": 2, "cap": 2**30}
    with pytest.raises(RuntimeError, match="differ"):
        image_size.in_child(json.dumps(job | {"folder": str(tmp_path)}), str(tmp_path / "out.json"))
