"""A new product is a class and a line of the table: its TIFF, its map in OME-Zarr, its line in a record."""

import json

import numpy as np
import pytest
import tifffile

from unet2015.images import result_names
from unet2015.images.reader import read_pages
from unet2015.images.zarr_layout import ZarrMap
from unet2015.segmentation import products
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.file_plan import plan_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.products import Product
from unet2015.tiling import plan as plan_module


class Certainty(Product):
    """How certain the class of a pixel is, 0 to 255."""

    name = "certainty"
    ending = ".certainty.tif"
    dtype = np.uint8

    def render(self, probabilities, threshold):
        return (probabilities.max(axis=0) * 255).astype(np.uint8)

    def zarr_map(self, info):
        return ZarrMap(self.name, "certainty", "uint8", None, label=True, names=())


@pytest.fixture
def parts(monkeypatch):
    monkeypatch.setattr(plan_module, "PART_PIXELS", 5000)


def test_all_endings_are_known_as_those_of_results():
    made = products.PRODUCTS | products.OBJECT_PRODUCTS
    assert {product.ending for product in made.values()} < set(result_names.ENDINGS)


def test_a_product_more(tmp_path, monkeypatch, model, stack_file, parts):
    monkeypatch.setitem(products.PRODUCTS, "certainty", Certainty())
    options = SegmentOptions(tile=60, products=("probability", "certainty"))
    assert options.products == ("classes", "probability", "certainty")
    (result,) = segment_files([stack_file], tmp_path / "out", model, options)
    assert [path.name for path in result.outputs] == [
        "stack.classes.tif", "stack.probability.tif", "stack.certainty.tif",
    ]  # fmt: skip
    probability, certainty = (tifffile.imread(path) for path in result.outputs[1:])
    least = np.maximum(probability, 1 - probability) * 255
    assert np.abs(certainty - least).max() <= 1
    record = json.loads((tmp_path / "out" / "stack.record.json").read_text())
    assert record["settings"]["certainty"] is True
    (zarr,) = segment_files([stack_file], tmp_path / "out.zarr", model, options)
    assert zarr.error is None
    assert np.array_equal(read_pages(tmp_path / "out.zarr" / "labels" / "certainty"), certainty)
    (plan,) = plan_files([stack_file], tmp_path / "plan", model, options)
    assert plan.disk == 2 * 3 * 61 * 75 * (1 + 4 + 1)  # the maps and, to go on from, the parts
