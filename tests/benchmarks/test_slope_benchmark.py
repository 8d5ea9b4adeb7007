"""The benchmark of the slope still runs, and neither a constant nor a slow machine is a bend."""

import json
import logging
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import slope

GIVEN = Namespace(width=8, depth=4)


def page(side, cost, speed=1.0):
    """Return a page of four tiles that costs so many bare tiles, on a machine of this speed."""
    return slope.Page(side, Path("a.tif"), [cost / speed] * 2, [1 / speed] * 8)


@pytest.mark.slow
def test_quick_run_says_what_it_took(tmp_path):
    out, level = tmp_path / "slope.json", logging.getLogger("unet2015").level
    assert slope.main(["--quick", "--out", str(out), "--folder", str(tmp_path)]) == 0
    assert logging.getLogger("unet2015").level == level, "what follows would say nothing"
    result = json.loads(out.read_text())
    assert [(size["side"], size["times"]) for size in result["sizes"]] == [(128, 16), (256, 4), (512, 1)]
    for size in result["sizes"]:
        assert size["bare_tiles"] == size["times"], "pages of one tile"
        assert size["cost"] == pytest.approx(size["seconds"] / size["bare_seconds"])
        assert size["cost"] > 1, "a page is a tile and more"
    assert [path.name for path in tmp_path.iterdir()] == [out.name], "images are left"


def test_neither_a_constant_nor_the_speed_of_the_machine_is_a_bend():
    pages = [page(512, 0.3 + 1), page(1024, 0.3 + 4, 0.5), page(2048, 0.3 + 16, 2.0)]
    found = slope.answer(pages, GIVEN)
    assert found["deviation_percent"] == pytest.approx(0, abs=1e-9)
    assert found["bare_tiles_per_megapixel"] == pytest.approx(1e6 / 512**2)
    assert found["table"][0]["met"]


def test_a_bend_is_seen():
    found = slope.answer([page(512, 1), page(1024, 4), page(2048, 17)], GIVEN)
    assert found["deviation_percent"] == pytest.approx(100 * (1 - 3 / (16 / 5)))
    assert not found["table"][0]["met"]


def test_one_size_is_no_line(capsys):
    with pytest.raises(SystemExit):
        slope.main(["--largest", "2048"])
    assert "--largest must be 4096 or more" in capsys.readouterr().err
