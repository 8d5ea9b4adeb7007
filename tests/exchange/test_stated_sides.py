"""ONNX for OpenCV 4: every side of every map is a number, and other sizes still give the model's answer."""

import numpy as np
import onnx
import pytest

from tests.exchange.conftest import small_model
from unet2015.errors import ModelError
from unet2015.exchange import ExportOptions, export_model
from unet2015.exchange.formats import run_onnx
from unet2015.exchange.intensities import choose_intensities
from unet2015.exchange.samples import answer
from unet2015.exchange.stated_sides import run_stated_sides, stated_side
from unet2015.geometry import unet_geometry
from unet2015.settings.network import PaddedSettings

OPENCV = ExportOptions(formats=("opencv",))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A small model and its file for OpenCV."""
    model, folder = small_model(), tmp_path_factory.mktemp("out")
    report = export_model(model, folder, OPENCV)
    assert report.differences["opencv"] < 1e-5
    return model, folder / "model-opencv.onnx"


def test_no_side_varies_anywhere_in_the_graph(exported):
    model, path = exported
    graph = onnx.load(path).graph
    side = stated_side(model.network.geometry)
    kept = side - 2 * model.network.geometry.margin
    shapes = [
        [one.dim_value for one in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output, *graph.value_info)
    ]
    assert shapes[:2] == [[1, 1, side, side], [1, 2, kept, kept]]
    assert len(shapes) > 10
    assert min(map(min, shapes)) > 0


def test_the_stated_size_of_the_papers_network_is_its_tile():
    assert stated_side(unet_geometry(4)) == 572


def test_it_runs_as_it_is_and_with_other_sizes_as_opencv_has_them(exported):
    model, path = exported
    side = stated_side(model.network.geometry)
    for height, width, run in ((side, side, run_onnx), (18, 30, run_stated_sides)):
        image = np.random.default_rng(0).integers(0, 255, (1, 1, height, width)).astype(np.float32)
        (found,) = run(path, [image])
        assert np.abs(found - answer(model, choose_intensities(model.info), image)).max() < 1e-5
    assert [one.name for one in path.parent.iterdir() if "opencv" in one.name] == [path.name]


def test_a_graph_that_opencv_does_not_read_is_not_written(tmp_path):
    padded = small_model(PaddedSettings(width=2, depth=1))
    with pytest.raises(ModelError, match=r"model-opencv.onnx: OpenCV 4 does not read the graph"):
        export_model(padded, tmp_path, OPENCV)
    assert list(tmp_path.iterdir()) == []
