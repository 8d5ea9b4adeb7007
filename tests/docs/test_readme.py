"""The README's table of results says what the result file says."""

import json
import re

import pytest

from pipelines.one_gpu_measures.seeds import over_seeds
from tests.docs.markdown import ROOT
from unet2015.settings import merged, read_toml

RESULT = ROOT / "pipelines" / "results" / "one_gpu-seeds" / "result.json"
EARLIER = ROOT / "pipelines" / "results" / "one_gpu-cells" / "result.json"
"""Three seeds of the cells on gold truth, trained before."""
TWO_CORES = {
    kind: ROOT / "pipelines" / "results" / f"{name}-muon" / "result.json"
    for kind, name in (("em", "isbi2012"), ("cells", "cell_tracking"))
}
EM, AT = ("em", "rotations", "at_training_threshold"), "seg_at_training_threshold"
PLACES = {
    "EM, pixel error": (*EM, "pixel_error"),
    "EM, Rand error": (*EM, "rand_error"),
    "EM, warping error": (*EM, "warping_error"),
    "EM, V_rand": (*EM, "v_rand"),
    "EM, V_info": (*EM, "v_info"),
    "PhC-U373, SEG": ("cells", "PhC-C2DH-U373", "flips", AT),
    "DIC-HeLa, SEG": ("cells", "DIC-C2DH-HeLa", "flips", AT),
}


def value_at(path, keys):
    value = json.loads(path.read_text())
    for key in keys:
        value = value[key]
    return value


def of_seeds(*keys):
    """Return what three seeds give of a measure."""
    found = value_at(RESULT, ("seeds", *keys))
    assert list(found["by_seed"]) == ["0", "1", "2"]
    return found


@pytest.mark.parametrize("measure", PLACES)
def test_a_row_says_what_was_measured(measure):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    row = rf"^\| {measure} \([a-z ]+\) \| [0-9.]+ \| ([0-9.]+) \| ([0-9.]+) \|$"
    ((gpu, cpu),) = re.findall(row, text, re.MULTILINE)
    kind, place, *keys = PLACES[measure]
    assert gpu == f"{of_seeds(kind, place, *keys)['mean']:.{len(gpu) - 2}f}"
    # On two cores there is one way of averaging for cells, the 4 flips.
    on_cpu = ("rows", place, *keys) if kind == "em" else ("mean", place, "seg")
    assert cpu == f"{value_at(TWO_CORES[kind], on_cpu):.{len(cpu) - 2}f}"


def test_the_text_says_how_seeds_differ():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "mean of three seeds" in text
    rand, dic = (of_seeds(*PLACES[name]) for name in ("EM, Rand error", "DIC-HeLa, SEG"))
    before = over_seeds([json.loads(EARLIER.read_text())])["cells"]["DIC-C2DH-HeLa"]["flips"][AT]
    said = f"Rand error ({rand['smallest']:.4f} to {rand['largest']:.4f}) and on DIC-HeLa ("
    said += (
        f"{dic['smallest']:.4f} to {dic['largest']:.4f}; three seeds trained before: {before['mean']:.4f})"
    )
    assert said in text
    assert list(before["by_seed"]) == ["0", "1", "2"]


def test_what_is_not_the_papers_is_marked_and_measured():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"^\| \*not the paper's:\* DIC-HeLa, .*\| ([0-9.]+) \| \|$", text, re.MULTILINE)
    group = "DIC-C2DH-HeLa, gold and silver truth"
    assert said == f"{of_seeds('cells', group, 'flips', 'seg_markers_and_watershed')['mean']:.4f}"
    at_half = [
        of_seeds("cells", "DIC-C2DH-HeLa", "flips", "seg_at_0.5")["mean"],
        value_at(TWO_CORES["cells"], ("mean", "DIC-C2DH-HeLa", "seg_at_0.5")),
    ]
    assert " and ".join(f"{value:.4f}" for value in at_half) in text


def test_date_and_device_are_those_of_the_result():
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    runs = value_at(RESULT, ["runs"])
    (device,) = {run["device"] for run in runs}
    dates = " and ".join(dict.fromkeys(run["date"] for run in runs))
    assert f"one {device.removesuffix(' 80GB HBM3')}, {dates}" in text
    (steps,) = {steps for run in runs for steps in run["steps"].values()}
    assert f"{steps:,} steps" in text
    assert not any(run.get("cut_short") or run["missing"] or run["failed"] for run in runs)


def test_the_runs_differ_in_nothing_but_their_seeds():
    path = ROOT / "pipelines" / "one_gpu-regular.toml"
    written = read_toml(path, str(path))
    for seed, run in enumerate(value_at(RESULT, ["runs"])):
        expected = written | {"base": written["base"] | ({"seed": seed} if seed else {})}
        assert run["settings"] == expected


def test_the_cells_trained_before_are_trained_as_these():
    one, three = value_at(RESULT, ["runs"])[0]["settings"], value_at(EARLIER, ["settings"])
    for split in ("dic-01", "dic-02", "phc-01"):
        alone = merged(one["base"], one["trainings"][split]["settings"])
        for seed in range(3):
            several = merged(three["base"], three["trainings"][f"{split}-{seed}"]["settings"])
            assert several == alone | {"seed": seed}
    assert one["recipes"] == three["recipes"]
