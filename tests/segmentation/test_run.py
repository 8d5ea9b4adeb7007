"""One job: the pixels of the Python call, done once, and nothing left where it fails."""

import logging

import numpy as np
import pytest
import tifffile
import torch

from unet2015 import segment
from unet2015.errors import ModelError
from unet2015.images.reader import open_image
from unet2015.models.model_file import Model, read_model_file
from unet2015.networks.unet2015 import UNet
from unet2015.segmentation import run
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.products import ClassMap

BOTH = ("classes", "probability")


def test_files_equal_the_python_call_and_keep_axes_and_calibration(tmp_path, model, stack, stack_file):
    value = float(np.median(segment(stack, model, probabilities=True)))
    options = SegmentOptions(threshold=value, tile=60, products=BOTH)
    (result,) = segment_files([stack_file], tmp_path / "out", model, options)
    assert [path.name for path in result.outputs] == ["stack.classes.tif", "stack.probability.tif"]
    expected = segment(stack, model, threshold=value, tile=60)
    assert tifffile.imread(result.outputs[0]).tobytes() == expected.tobytes()
    shown = segment(stack_file, model, probabilities=True, tile=60)
    assert tifffile.imread(result.outputs[1]).tobytes() == shown.tobytes()
    with open_image(stack_file) as one, open_image(result.outputs[0]) as other:
        assert (one.axes, one.calibration, one.axes_source) == (
            other.axes,
            other.calibration,
            other.axes_source,
        )


@pytest.mark.slow
def test_what_is_done_is_not_done_again_and_what_changed_is(make_model, tmp_path, model, stack_file, caplog):
    out = tmp_path / "out"
    runs = []

    def count(*arguments, **options):
        with caplog.at_level(logging.INFO, "unet2015"):
            caplog.clear()
            segment_files(*arguments, **options)
        runs.append("done before" not in caplog.text)

    options = SegmentOptions(tile=60)
    count([stack_file], out, model, options)
    count([stack_file], out, model, options)
    count([stack_file], out, model, SegmentOptions(tile=60, average="flips"))
    count([stack_file], out, make_model(tmp_path / "n.safetensors", seed=1), options)
    count([stack_file], out, model, options)
    (out / "stack.classes.tif").write_bytes(b"something else")
    count([stack_file], out, model, options)
    tifffile.imwrite(stack_file, np.zeros((2, 50, 50), np.uint8), imagej=True, metadata={"axes": "ZYX"})
    count([stack_file], out, model, options)
    (out / "stack.record.json").write_text("{")
    count([stack_file], out, model, options)
    assert runs == [True, False, True, True, True, True, True, True]


def test_a_failure_in_the_middle_leaves_nothing(tmp_path, model, stack_file, monkeypatch):
    calls = []

    def failing(self, probabilities, threshold):
        calls.append(1)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        return (probabilities[1] > 0.5).astype(np.uint8)

    monkeypatch.setattr(ClassMap, "render", failing)
    options = SegmentOptions(tile=60, products=BOTH)
    (result,) = segment_files([stack_file], tmp_path / "out", model, options)
    assert "No space left" in str(result.error)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["failures.csv"]


def test_a_constant_prediction_warns(make_model, tmp_path, caplog):
    network = UNet(1, 2, 2, 2)
    with torch.no_grad():
        network.head.weight.zero_()
    info = read_model_file(make_model(tmp_path / "m.safetensors")).info
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((40, 40), np.uint8))
    with caplog.at_level(logging.WARNING, "unet2015"):
        segment_files([tmp_path / "a.tif"], tmp_path / "out", Model(network.eval(), info))
        assert "same probability" in caplog.text
        caplog.clear()
        (again,) = segment_files([tmp_path / "a.tif"], tmp_path / "out", Model(network.eval(), info))
        assert sum("same probability" in note for note in again.notes) == 1
        assert "same probability" in caplog.text
        caplog.clear()
        segment(tmp_path / "a.tif", Model(network.eval(), info))
        assert f"{tmp_path / 'a.tif'}: all pixels got the same probability" in caplog.text
        caplog.clear()
        segment(np.zeros((40, 40), np.uint8), Model(network.eval(), info), skip_empty=True)
    assert "array: empty tiles were left out" in caplog.text


def test_an_interrupted_run_goes_on_with_the_same_bytes(tmp_path, model, stack, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abc":
        tifffile.imwrite(folder / f"{name}.tif", stack[0])
    segment_files([folder], tmp_path / "whole", model)
    real, calls = run.write_tiff, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(run, "write_tiff", interrupted)
    one_by_one = {"progress": lambda *_: None}  # else two are under way when it is interrupted
    with pytest.raises(KeyboardInterrupt):
        segment_files([folder], tmp_path / "parts", model, **one_by_one)
    segment_files([folder], tmp_path / "parts", model, **one_by_one)
    assert len(calls) == 1 + 1 + 2, "what was done must not be done again"
    for name in "abc":
        one, other = (tmp_path / where / f"{name}.classes.tif" for where in ("whole", "parts"))
        assert one.read_bytes() == other.read_bytes()


def test_a_network_that_gives_nan_is_an_error_that_names_the_file(tmp_path, model, stack_file):
    loaded = read_model_file(model)
    with torch.no_grad():
        loaded.network.head.weight.mul_(float("inf"))
    (result,) = segment_files([stack_file], tmp_path / "out", loaded)
    assert "stack.tif" in str(result.error)
    assert "not finite" in str(result.error)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["failures.csv"]
    with pytest.raises(ModelError, match="not finite"):
        segment(np.zeros((30, 30), np.uint8), loaded)
