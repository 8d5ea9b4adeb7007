import json

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    lines = [{"step": 1, "loss": 0.7, "learning_rate": 0.1}, {"step": 2, "loss": 0.5, "learning_rate": 0.1}]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_the_report_is_written_and_named(cli, run, tmp_path):
    assert cli("report", run) == (0, f"{run / 'report.html'}\n", "")
    assert cli("report", run, "-o", tmp_path / "r.html").out == f"{tmp_path / 'r.html'}\n"
    assert "2 steps" in (tmp_path / "r.html").read_text()


def test_mistakes_are_one_line(cli, refused, run, tmp_path):
    refused(cli("report", tmp_path / "none"), 1, "none", "no such folder")
    refused(cli("report", tmp_path), 1, tmp_path, "lacks log.jsonl")
    refused(cli("report", run, "-o", tmp_path / "none" / "r.html"), 1, "none", "does not exist")
    refused(cli("report"), 2, "RUN_DIR")
