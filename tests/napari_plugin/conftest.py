"""Models and stacks are those of the segmentation; layers are napari's or, without napari, alike."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.segmentation.conftest import make_model, model, stack, stack_file

__all__ = ["make_model", "model", "stack", "stack_file"]


class StandIn(SimpleNamespace):
    """What the plug-in uses of an image layer of napari, with napari's defaults."""

    def __init__(self, data, **given):
        dimensions = np.ndim(data[0] if given.get("multiscale") else data) - given.get("rgb", False)
        defaults = {
            "name": "layer",
            "rgb": False,
            "multiscale": False,
            "axis_labels": tuple(str(i) for i in range(-dimensions, 0)),
            "units": ("pixel",) * dimensions,
            "scale": np.ones(dimensions),
            "translate": np.zeros(dimensions),
            "rotate": np.eye(dimensions),
            "shear": np.zeros(dimensions * (dimensions - 1) // 2),
            "affine": SimpleNamespace(affine_matrix=np.eye(dimensions + 1)),
        }
        super().__init__(data=data, **(defaults | given))


@pytest.fixture
def layer():
    return StandIn
