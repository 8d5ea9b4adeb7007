"""Promise 1 for every network of the table: tiled equals whole, up to rounding and nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks.others import EXACT, trained
from tests.reference import TOLERANCE, ArraySource, whole
from unet2015 import segment
from unet2015.models.model_file import Model, ModelInfo
from unet2015.settings import Mapping
from unet2015.tiling.engine import run
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.predictor import Predictor
from unet2015.tiling.sinks import ArraySink

pytestmark = pytest.mark.usefixtures("others")


@st.composite
def jobs(draw, geometry, channels=()):
    height, width = draw(st.integers(1, 75)), draw(st.integers(1, 75))
    least = geometry.input_for(geometry.factor)
    # Tiles of a few pixels on a large image make thousands of passes.
    smallest = max(0, max(height, width) // 6 // geometry.factor)
    most = max(smallest, -(-max(height, width) // geometry.factor) + 1)
    return {
        "shape": (draw(st.integers(1, 2)), draw(st.sampled_from(channels or (1, 2))), height, width),
        "classes": draw(st.integers(2, 3)),
        "tile": [least + geometry.factor * draw(st.integers(smallest, most)) for _ in range(2)],
        "batch": draw(st.integers(1, 5)),
        "average": draw(st.sampled_from(["none", "none", "flips", "symmetries", "rotations"])),
        "seed": draw(st.integers(0, 99)),
    }


def page_of(job):
    """Two pixel types away from what a training saw would be no harder: noise, in a range about 1."""
    return np.random.default_rng(job["seed"]).normal(0, 1, job["shape"])


@pytest.mark.parametrize(("entry", "chosen"), EXACT)
@settings(max_examples=12)
@given(data=st.data())
def test_tiled_equals_whole_in_float64(entry, chosen, data):
    job = data.draw(jobs(entry.geometry(chosen), entry.channels(chosen)))
    array, tile, batch = page_of(job), tuple(job["tile"]), job["batch"]
    network = trained(entry, chosen, array.shape[1], job["classes"], job["seed"]).double()
    expected, scale = whole(network, array, job["average"])
    plan = TilePlan(len(array), *array.shape[-2:], tile, batch, network.geometry)
    sink = ArraySink(plan, network.classes, np.float64)
    run(plan, ArraySource(array), Predictor(network, average=job["average"]), sink)
    assert np.abs(sink.array - expected).max() <= TOLERANCE[torch.float64] * scale


@pytest.mark.slow
@pytest.mark.parametrize(("entry", "chosen"), EXACT)
@settings(max_examples=12)
@given(data=st.data())
def test_segmented_equals_whole_in_float32(entry, chosen, data):
    job = data.draw(jobs(entry.geometry(chosen), entry.channels(chosen)))
    array = page_of(job).astype(np.float32)
    network = trained(entry, chosen, array.shape[1], job["classes"], job["seed"])
    info = ModelInfo(
        in_channels=network.in_channels,
        classes=network.classes,
        network=chosen,
        mapping=Mapping(method="fixed", low=(0.0,) * network.in_channels, high=(1.0,) * network.in_channels),
        class_names=tuple(map(str, range(network.classes))),
        axes="YX" if network.in_channels == 1 else "CYX",
    )
    expected, scale = whole(network, array, job["average"])
    came = segment(
        array,
        Model(network, info),
        axes="ZCYX",
        probabilities=True,
        tile=data.draw(st.sampled_from([None, job["tile"][0]])),
        batch=job["batch"],
        device="cpu",
        average=job["average"],
    )
    if network.classes == 2:
        expected = expected[:, 1]
    assert came.shape == expected.shape
    assert np.abs(came - expected).max() <= TOLERANCE[torch.float32] * scale
