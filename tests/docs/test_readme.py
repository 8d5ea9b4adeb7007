"""The README's table of results says what the result file says."""

import json
import re

import pytest

from pipelines.one_gpu_measures.seeds import over_seeds
from tests.docs.markdown import ROOT
from unet2015.settings import merged

RESULT = ROOT / "pipelines" / "results" / "one_gpu-regular" / "result.json"
SEEDS = ROOT / "pipelines" / "results" / "one_gpu-cells" / "result.json"
"""Of the cells on gold truth, from three seeds."""
TWO_CORES = {
    kind: ROOT / "pipelines" / "results" / f"{name}-muon" / "result.json"
    for kind, name in (("em", "isbi2012"), ("cells", "cell_tracking"))
}
PLACES = {
    "EM, pixel error": ("em", "rows", "rotations", "at_training_threshold", "pixel_error"),
    "EM, Rand error": ("em", "rows", "rotations", "at_training_threshold", "rand_error"),
    "EM, warping error": ("em", "rows", "rotations", "at_training_threshold", "warping_error"),
    "EM, V_rand": ("em", "rows", "rotations", "at_training_threshold", "v_rand"),
    "EM, V_info": ("em", "rows", "rotations", "at_training_threshold", "v_info"),
    "PhC-U373, SEG": ("cells", "mean", "PhC-C2DH-U373", "flips", "seg_at_training_threshold"),
    "DIC-HeLa, SEG": ("cells", "mean", "DIC-C2DH-HeLa", "flips", "seg_at_training_threshold"),
}


def value_at(path, keys):
    value = json.loads(path.read_text())
    for key in keys:
        value = value[key]
    return value


def of_seeds(group, average, measure):
    """Return mean and range over the seeds of the cells on gold truth."""
    return over_seeds([json.loads(SEEDS.read_text())])["cells"][group][average][measure]


@pytest.mark.parametrize("measure", PLACES)
def test_a_row_says_what_was_measured(measure):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    row = rf"^\| {measure} \([a-z ]+\) \| [0-9.]+ \| ([0-9.]+) \| ([0-9.]+) \|$"
    ((gpu, cpu),) = re.findall(row, text, re.MULTILINE)
    kind, *keys = PLACES[measure]
    if kind == "em":
        expected = value_at(RESULT, [kind, *keys])
    else:
        found = of_seeds(*keys[1:])
        expected = found["mean"]
        name, count = measure.removesuffix(", SEG"), len(found["by_seed"])
        assert f"{name} ({found['smallest']:.4f} to {found['largest']:.4f})" in text
        assert count == 3
        assert "means of three seeds" in text
        keys = [*keys[:2], "seg"]  # on two cores there is one way of averaging, the 4 flips
    assert gpu == f"{expected:.{len(gpu) - 2}f}"
    assert cpu == f"{value_at(TWO_CORES[kind], keys):.{len(cpu) - 2}f}"


def test_what_is_not_the_papers_is_marked_and_measured():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"^\| \*not the paper's:\* DIC-HeLa, .*\| ([0-9.]+) \| \|$", text, re.MULTILINE)
    group = "DIC-C2DH-HeLa, gold and silver truth"
    keys = ("cells", "mean", group, "flips", "seg_markers_and_watershed")
    assert said == f"{value_at(RESULT, keys):.4f}"
    at_half = [
        of_seeds("DIC-C2DH-HeLa", "flips", "seg_at_0.5")["mean"],
        value_at(TWO_CORES["cells"], ("mean", "DIC-C2DH-HeLa", "seg_at_0.5")),
    ]
    assert " and ".join(f"{value:.4f}" for value in at_half) in text


def test_date_and_device_are_those_of_the_result():
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for path in (RESULT, SEEDS):
        result = json.loads(path.read_text())
        assert f"one {result['device'].removesuffix(' 80GB HBM3')}, {result['date']}" in text
        (steps,) = set(result["steps"].values())
        assert f"{steps:,} steps" in text
        assert not result.get("cut_short")


def test_the_seeds_of_cells_are_trained_as_the_run_beside_them_was():
    one, three = (json.loads(path.read_text())["settings"] for path in (RESULT, SEEDS))
    for split in ("dic-01", "dic-02", "phc-01"):
        alone = merged(one["base"], one["trainings"][split]["settings"])
        for seed in range(3):
            several = merged(three["base"], three["trainings"][f"{split}-{seed}"]["settings"])
            assert several == alone | {"seed": seed}
    assert one["recipes"] == three["recipes"]
