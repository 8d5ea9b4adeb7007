"""The benchmark of the measures still runs, on what it says it runs on."""

import json

import numpy as np

from benchmarks import metrics
from unet2015.metrics.rand import components


def test_quick_run_writes_times_and_machine(tmp_path, capsys, benchmark):
    out = tmp_path / "results" / "metrics.json"
    assert benchmark.pedantic(metrics.main, args=(["--quick", "--out", str(out)],), rounds=1) == 0
    result = json.loads(out.read_text())
    assert result["machine"]["versions"]["numpy"] == np.__version__
    assert list(result["measures"]) == list(metrics.MEASURES)
    assert str(out) in capsys.readouterr().out


def test_the_proposal_leaves_many_components():
    labels, proposal = metrics.noisy_cells(2, 128)
    assert set(np.unique(labels)) == {0, 255}
    assert components(proposal[0] > 0.5).max() > 3 * components(labels[0] > 0).max() > 15
