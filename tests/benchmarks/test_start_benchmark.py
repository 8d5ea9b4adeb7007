"""The benchmark of the start still runs, and what fails to start is not timed."""

import json
import sys

import pytest

from benchmarks import start


def test_quick_run_writes_times_and_machine(tmp_path, capsys, benchmark):
    out = tmp_path / "start.json"
    assert benchmark.pedantic(start.main, args=(["--quick", "--out", str(out)],), rounds=1) == 0
    result = json.loads(out.read_text())
    assert list(result["times"]) == [start.EMPTY, start.IMPORT, start.HELP]
    for row, name in zip(result["table"][:2], (start.IMPORT, start.HELP), strict=True):
        assert row["figure"] == result["times"][name]["median"] - result["times"][start.EMPTY]["median"]
        assert (row["aim"], row["at_least"]) == (0.2, False)
    whole, share = result["table"][2:]
    assert whole["figure"] == result["segment"]["median"] > result["segment_network"]["median"] > 0
    assert share["figure"] == 100 * result["segment_network"]["median"] / result["segment"]["median"]
    assert (whole["aim"], whole["at_least"], share["aim"], share["at_least"]) == (3, False, 50, True)
    assert str(out) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit('planted')", "status 1, planted"),
        ("import warnings; warnings.warn('x')", "UserWarning"),
        ("print('other')", "status 0"),
    ],
)
def test_what_fails_is_not_timed(code, message):
    with pytest.raises(RuntimeError, match=message):
        start.run([sys.executable, "-c", code], "segment")


def test_without_an_installed_command_the_module_is_run(monkeypatch, tmp_path):
    monkeypatch.setattr(start.sysconfig, "get_path", lambda name: str(tmp_path))
    assert start.commands()[start.HELP][1:] == ["-m", "unet2015", "--help"]
