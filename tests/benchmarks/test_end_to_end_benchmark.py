"""The benchmark of TIFF to TIFF still runs, and refuses to time other pixels than the network's."""

import json

import numpy as np
import pytest

from benchmarks import end_to_end
from unet2015.tiling.predictor import Predictor


@pytest.mark.slow
def test_quick_run_writes_times_and_a_row(tmp_path, benchmark):
    out = tmp_path / "end_to_end.json"
    assert benchmark.pedantic(end_to_end.main, args=(["--quick", "--out", str(out)],), rounds=1) == 0
    result = json.loads(out.read_text())
    assert result["plan"]["pages"] == 2
    (row,) = result["table"]
    assert row["figure"] == 100 * result["network_alone"]["median"] / result["end_to_end"]["median"]
    rest = result["end_to_end"]["median"] - result["network_alone"]["median"]
    assert sum(result["rest"].values()) == pytest.approx(rest)
    assert len(result["stages"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["class", "probability"])
def test_other_pixels_are_not_timed(monkeypatch, changed):
    name = f"{changed}_map"
    right = getattr(end_to_end, name)

    def wrong(*arguments):
        """One pixel of one map is another than in the file."""
        found = right(*arguments).copy()
        found.flat[-1] += 1
        return found

    monkeypatch.setattr(end_to_end, name, wrong)
    with pytest.raises(RuntimeError, match=f"the {changed} map is not"):
        end_to_end.main(["--quick"])


def test_the_network_alone_sees_each_tile_of_the_file_once(monkeypatch):
    seen = []
    right = Predictor.__call__
    monkeypatch.setattr(
        Predictor, "__call__", lambda self, tiles: (seen.append(np.array(tiles)), right(self, tiles))[1]
    )
    end_to_end.main(["--quick"])
    # Checked once, timed once: the network alone and the file, on two pages of one tile each.
    assert len(seen) == 2 * 2 * 2
    assert np.array_equal(seen[0], seen[2])
    assert np.array_equal(seen[1], seen[3])
