"""The search, in short: layouts of TIFF and of OME-Zarr are killed, and end as if they had not been."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYOUTS = "strips,pyramid,one part,objects,zarr,zarr with channels,zarr with objects,zarr over earlier"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_random_moments():
    # A process of its own: children of one that has threads cannot use them.
    ended = subprocess.run(
        [sys.executable, "-m", "tests.kills", "--kills", "12", "--layouts", LAYOUTS],
        capture_output=True, text=True, check=False, timeout=500, cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ended.returncode in (0, 1), ended.stderr
    said = json.loads(ended.stdout)
    assert said["problems"] == []
    assert ended.returncode == 0
    assert said["kills"] >= 12
    assert all(found["rounds"] for found in said["layouts"].values())
