"""The ONNX graph: its declared sizes, its opset, and what is said where it cannot be had."""

import json
import sys

import numpy as np
import onnx
import pytest
import torch

from tests.exchange.conftest import small_model
from unet2015.errors import ModelError, UsageError
from unet2015.exchange import ExportOptions, export_model
from unet2015.exchange.formats import run_onnx
from unet2015.exchange.graph import OPSET
from unet2015.exchange.intensities import choose_intensities
from unet2015.exchange.samples import answer


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A small model and the folder of its default export."""
    model, folder = small_model(), tmp_path_factory.mktemp("out")
    export_model(model, folder)
    return model, folder


def test_the_default_is_onnx_and_pytorchs_own(exported):
    record = json.loads((exported[1] / "export.record.json").read_text())
    assert list(record["formats"]) == ["onnx", "pt2", "safetensors"]
    assert all(one["largest_difference"] < 1e-5 for one in record["formats"].values())
    assert record["onnx_opset"] == OPSET == 18


def test_the_graph_declares_opset_and_sides(exported):
    graph = onnx.load(exported[1] / "model.onnx")
    assert [(one.domain, one.version) for one in graph.opset_import] == [("", OPSET)]
    sides = [
        [one.dim_param or one.dim_value for one in value.type.tensor_type.shape.dim]
        for value in (graph.graph.input[0], graph.graph.output[0])
    ]
    assert sides == [
        ["batch", 1, "2*height_steps", "2*width_steps"],
        ["batch", 2, "2*height_steps - 16", "2*width_steps - 16"],
    ]
    assert [one.name for one in (*graph.graph.input, *graph.graph.output)] == ["image", "probabilities"]


@pytest.mark.parametrize("shape", [(1, 1, 18, 18), (3, 1, 30, 54)])
def test_any_legal_size_and_batch_gives_the_models_answer(exported, shape):
    model, folder = exported
    images = np.random.default_rng(1).integers(0, 255, shape).astype(np.float32)
    (found,) = run_onnx(folder / "model.onnx", [images])
    taken = choose_intensities(model.info)
    expected = np.concatenate([answer(model, taken, image[None]) for image in images])
    assert np.abs(found - expected).max() < 1e-5
    program = torch.export.load(folder / "model.pt2").module()
    assert np.abs(program(torch.from_numpy(images)).numpy() - expected).max() < 1e-5


def test_a_runtime_without_the_opset_is_told(exported, tmp_path):
    graph = onnx.load(exported[1] / "model.onnx")
    graph.opset_import[0].version = 999
    (tmp_path / "later.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(
        ModelError, match=r"later.onnx: ONNX Runtime \d.* cannot run the graph, which has opset 18"
    ):
        run_onnx(tmp_path / "later.onnx", [np.zeros((1, 1, 18, 18), np.float32)])


@pytest.mark.parametrize("module", ["onnx", "onnxscript", "onnxruntime"])
def test_what_is_not_installed_is_named_before_any_work(module, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        UsageError, match=rf"--format onnx needs {module}, .*pip install 'unet2015\[export\]'"
    ):
        export_model("no model", tmp_path / "out", ExportOptions(formats=("onnx",)))
    assert not (tmp_path / "out").exists()
