"""What `--plan` and a run say of the memory for objects is one thing; runs stay within it, also in noise."""

import sys

import numpy as np
import pytest
import tifffile

from benchmarks.out_of_core import MIB, peak_of
from benchmarks.segment_objects import write_model
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.file_plan import plan_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import ObjectSettings

SIDE = 900


def drawn(name):
    """A mask of which nearly each pixel is a part of its own, or every eighth."""
    if name == "checkerboard":
        return (np.indices((SIDE, SIDE)).sum(axis=0) % 2 * 255).astype(np.uint8)
    return ((np.random.default_rng(0).random((SIDE, SIDE)) < 0.5) * 255).astype(np.uint8)


def planned(path, model, cap):
    options = SegmentOptions(device="cpu", max_memory=cap, objects=ObjectSettings())
    return plan_files([path], path.parent / "out", model, options)[0]


def named(message):
    """Return the cap that a refusal names, in bytes."""
    return int(message.split("--max-memory ")[1].split("M or more")[0]) * MIB


@pytest.fixture
def files(tmp_path):
    write_model(tmp_path / "model.safetensors")
    return tmp_path, tmp_path / "model.safetensors"


def test_plan_and_run_refuse_the_same_caps_and_the_named_one_does(files):
    folder, model = files
    path = folder / "a.tif"
    tifffile.imwrite(path, np.zeros((SIDE, SIDE), np.uint8))
    refused = planned(path, model, 645 * MIB)
    options = SegmentOptions(device="cpu", max_memory=645 * MIB, objects=ObjectSettings())
    (run,) = segment_files([path], folder / "out", model, options)
    assert str(run.error) == str(refused.error)
    enough = named(str(refused.error))
    good = planned(path, model, enough)
    assert good.error is None
    assert good.memory <= enough
    less = planned(path, model, enough - MIB)
    assert "finding and measuring objects needs" in str(less.error)
    assert planned(path, model, 2**30).memory <= 2**30


@pytest.mark.slow
def test_a_run_stays_within_a_cap_that_its_plan_accepts(files):
    folder, model = files
    path = folder / "a.tif"
    tifffile.imwrite(path, drawn("noise"))
    cap = named(str(planned(path, model, 645 * MIB).error))
    assert planned(path, model, cap).error is None
    words = ["segment", path, "-o", folder / "out", "--model", model, "--device", "cpu", "--objects"]
    command = [sys.executable, "-m", "unet2015", *words, "--max-memory"]
    assert peak_of([*command, f"{cap // MIB}M"])["peak_mib"] < cap / MIB


@pytest.mark.slow
def test_more_parts_than_a_cap_holds_are_refused_within_it(files):
    """Each pixel is a part: 1,440,000 of 400 bytes."""
    folder, model = files
    path = folder / "a.tif"
    tifffile.imwrite(path, np.tile(drawn("checkerboard"), (2, 2))[:1200, :1200])
    cap = named(str(planned(path, model, 645 * MIB).error))
    code = (
        "import sys; from unet2015.cli.app import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as ended: assert ended.code == 1, ended.code"
    )
    words = ["segment", path, "-o", folder / "out", "--model", model, "--device", "cpu", "--objects"]
    took = peak_of([sys.executable, "-c", code, *words, "--max-memory", f"{cap // MIB}M"])
    assert took["peak_mib"] < cap / MIB
    assert not (folder / "out" / "a.objects.csv").exists()
