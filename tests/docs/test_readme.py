"""The README's table of results says what the result file says."""

import json
import re

import pytest

from tests.docs.markdown import ROOT

RESULT = ROOT / "pipelines" / "results" / "one_gpu" / "result.json"
PLACES = {
    "EM, pixel error": ("em", "rows", "rotations", "at_training_threshold", "pixel_error"),
    "EM, Rand error": ("em", "rows", "rotations", "at_training_threshold", "rand_error"),
    "EM, warping error": ("em", "rows", "rotations", "at_training_threshold", "warping_error"),
    "EM, V_rand": ("em", "rows", "rotations", "at_training_threshold", "v_rand"),
    "EM, V_info": ("em", "rows", "rotations", "at_training_threshold", "v_info"),
    "PhC-U373, SEG": ("cells", "mean", "PhC-C2DH-U373", "flips", "seg_at_training_threshold"),
    "DIC-HeLa, SEG": ("cells", "mean", "DIC-C2DH-HeLa", "flips", "seg_at_training_threshold"),
}


@pytest.mark.parametrize("measure", PLACES)
def test_a_row_says_what_was_measured(measure):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (said,) = re.findall(rf"^\| {measure} \([a-z ]+\) \| [0-9.]+ \| ([0-9.]+) \|$", text, re.MULTILINE)
    value = json.loads(RESULT.read_text())
    for key in PLACES[measure]:
        value = value[key]
    assert said == f"{value:.{len(said) - 2}f}"


def test_date_and_device_are_those_of_the_result():
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    result = json.loads(RESULT.read_text())
    steps = [count for name, count in result["steps"].items() if name != "em-membrane"]
    assert f"one {result['device']}, {result['date']}" in text
    assert f"{min(steps):,} to {max(steps):,} steps" in text
