"""How the shipped model stands other scales: what is measured, and that documents say it of today's model."""

import json

import numpy as np
import pytest
import tifffile

from pipelines import em_scales
from pipelines.em.tables import scales
from tests.docs.markdown import ROOT
from unet2015 import load_model
from unet2015.metrics import v_rand
from unet2015.synthetic import em_stack

RESULT = json.loads((ROOT / "pipelines" / "results" / "em-membrane" / "result.json").read_text())


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder as that of the challenge, with tiny slices; two of them are measured, at one scale."""
    monkeypatch.setattr(em_scales, "SLICES", (0, 2))
    monkeypatch.setattr(em_scales, "ZOOMS", (1.25,))
    images, membranes = em_stack(pages=3, height=64, width=72, seed=0)
    (tmp_path / "isbi2012").mkdir()
    for name, pages in (("train-volume", images), ("train-labels", membranes), ("test-volume", images)):
        tifffile.imwrite(tmp_path / "isbi2012" / f"{name}.tif", pages, photometric="minisblack")
    return tmp_path


def test_model_and_blur_are_measured_on_the_same_zoomed_slices(data, capsys):
    assert em_scales.main(["--data", str(data), "--out", str(data / "out")]) == 0
    found = json.loads((data / "out" / "result.json").read_text())
    assert found["slices"] == [0, 2]
    assert found["model_sha256"] == load_model("em-membrane").sha256
    (row,) = found["rows"]
    assert row["zoom"] == 1.25
    assert row["model"].keys() == row["blur"].keys() - {"sigma"}
    assert 0 < row["model"]["pixel_error"] < row["blur"]["pixel_error"]
    assert str(data / "out") in capsys.readouterr().out


def test_the_best_blur_is_the_best_of_all_widths_over_all_quantiles():
    random = np.random.default_rng(0)
    labels = np.full((1, 40, 40), 255, np.uint8)
    labels[:, ::10] = labels[:, :, ::10] = 0
    # What the gray values are is of no matter, only which is brighter: all lie in a narrow band.
    images = 1000 + (labels / 255 + random.normal(0, 0.7, labels.shape)) / 1000
    found = em_scales.best_blur(images.astype(np.float32), labels)
    assert found["sigma"] == 1
    noise = images.ravel().argsort().argsort().reshape(images.shape) / (images.size - 1)
    assert found["v_rand"] > v_rand(labels, noise.astype(np.float32)).value


def test_missing_data_are_told(tmp_path, capsys):
    assert em_scales.main(["--data", str(tmp_path)]) != 0
    assert "train-volume.tif" in capsys.readouterr().err


def test_the_result_is_of_the_model_that_is_shipped():
    assert RESULT["model_sha256"] == load_model("em-membrane").sha256, "measure again: pipelines.em_scales"
    assert len(RESULT["rows"]) == 3
    assert scales(RESULT).count("\n") == 4


def test_the_model_card_says_what_was_measured_and_what_the_model_records():
    text = " ".join((ROOT / "docs" / "em-membrane.md").read_text(encoding="utf-8").split())
    low, same, high = (f"{row['model']['v_rand']:.3f}" for row in RESULT["rows"])
    assert f"its V_rand is {low}, {same} and {high}" in text
    blurs = sorted(f"{row['blur']['v_rand']:.3f}" for row in RESULT["rows"])
    assert f"gets {blurs[0]} to {blurs[-1]}" in text
    info = load_model("em-membrane").info
    assert f"its pixel error is {info.training['validation']['pixel_error']:.4f}" in text
    assert f"{info.training['step']:,} steps" in text
    assert f"{info.thresholds['rand']:g} for closed cells" in text
    assert f"{info.thresholds['f1']:g} for the highest F1" in text
