"""A part of what ``python -m tests.fuzz`` does, in a process of limited memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def fuzz(keep, *arguments):
    command = [sys.executable, "-m", "tests.fuzz", "--keep", str(keep), *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    text, start, reports = done.stdout, 0, []
    while text[start:].strip():
        value, end = json.JSONDecoder().raw_decode(text[start:].lstrip())
        start = len(text) - len(text[start:].lstrip()) + end
        reports.append(value)
    return done, reports


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the memory limit is Linux's")
def test_damaged_files_are_read_or_refused_with_one_clear_error(tmp_path):
    done, (images, models) = fuzz(tmp_path / "kept", "--images", 150, "--models", 60, "--seed", 1)
    assert images["findings"] == models["findings"] == []
    assert done.returncode == 0, done.stderr
    assert (images["files"], models["files"]) == (150, 60)
    # Both outcomes occur, so that the damage is neither harmless nor hopeless.
    assert images["kinds"]["result"] > 15
    assert images["kinds"]["ImageReadError"] > 50
    assert models["kinds"]["ModelError"] > 20
    assert not (tmp_path / "kept").exists()
