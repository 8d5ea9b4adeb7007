"""The benchmark of large images still runs, and its peak is that of the command."""

import json
import sys

import pytest

from benchmarks import out_of_core
from benchmarks.peak import peak_of


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_quick_run_says_what_it_took(tmp_path, capsys, benchmark):
    out = tmp_path / "out_of_core.json"
    arguments = ["--quick", "--out", str(out), "--folder", str(tmp_path)]
    assert benchmark.pedantic(out_of_core.main, args=(arguments,), rounds=1) == 0
    result = json.loads(out.read_text())
    page, stack = result["images"]["page"], result["images"]["stack"]
    assert (page["shape"], stack["shape"]) == ([1100, 1100], [5, 512, 512])
    for row in (page, stack):
        assert 100 < row["peak_mib"] < 1024
        assert set(row["stages"]) == {"read", "map", "network", "write"}
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert str(out) in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_peak_is_that_of_all_processes_together():
    hold = "import subprocess, sys, time; held = bytearray(60 * 2**20); held[::4096] = bytes(15360)"
    child = f"[sys.executable, '-c', {hold + '; time.sleep(2)'!r}]"
    alone = f"{hold}; time.sleep(2)"
    both = f"{hold}; subprocess.run({child})"
    assert peak_of([sys.executable, "-c", alone])["peak_mib"] < 100
    assert peak_of([sys.executable, "-c", both])["peak_mib"] > 120
    with pytest.raises(RuntimeError, match="planted"):
        peak_of([sys.executable, "-c", "raise SystemExit('planted')"])
