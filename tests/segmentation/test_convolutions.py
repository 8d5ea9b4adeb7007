"""How convolutions are computed stands in records, and stays the same where a run goes on or is repeated."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch

from tests.networks.cpu.networks import needs_bfloat16, winograd_from
from unet2015.errors import ImageReadError
from unet2015.networks.cpu.convolution_choice import VARIABLE
from unet2015.safe_files import RECORD, signed
from unet2015.segmentation import cluster, replay, worker
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.segmenter import Segmenter
from unet2015.segmentation.worker import ModelOnWorkers
from unet2015.tiling import plan
from unet2015.tiling.predictor import Predictor

WAYS = ("direct", "winograd from 1")
BOTH = SegmentOptions(tile=60, device="cpu", products=("classes", "probability"))
HALF = replace(BOTH, precision="bfloat16")


@pytest.fixture(autouse=True)
def narrow_networks_use_winograd():
    with winograd_from():
        yield


@pytest.fixture
def image(tmp_path, monkeypatch):
    """A page whose rows of tiles are parts of their own."""
    monkeypatch.setattr(plan, "PART_PIXELS", 60 * 60)
    array = np.random.default_rng(0).integers(0, 256, (70, 30)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array)
    return tmp_path / "a.tif"


def made(out, image, model, way, monkeypatch, options=BOTH):
    """Segment with one way fixed; return the record and the bytes of the probability map."""
    monkeypatch.setenv(VARIABLE, way)
    (result,) = segment_files([image], out, model, options)
    assert result.error is None
    record = json.loads((out / f"a{RECORD}").read_text())
    return record, (out / "a.probability.tif").read_bytes()


@pytest.mark.parametrize(
    ("options", "rounding"), [(BOTH, 1e-6), pytest.param(HALF, 0.02, marks=needs_bfloat16)]
)
def test_the_record_says_it_and_the_pixels_differ_by_rounding_alone(
    tmp_path, image, model, monkeypatch, options, rounding
):
    maps = []
    for way in WAYS:
        record, _ = made(tmp_path / way, image, model, way, monkeypatch, options)
        assert record["convolutions"] == way
        maps.append(tifffile.imread(tmp_path / way / "a.probability.tif"))
    assert not np.array_equal(*maps)
    assert np.abs(maps[0] - maps[1]).max() <= rounding


def test_there_is_nothing_to_say_where_there_is_one_way(tmp_path, image, model, monkeypatch):
    with winograd_from(10**9):
        assert "convolutions" not in made(tmp_path / "out", image, model, WAYS[0], monkeypatch, HALF)[0]


@pytest.mark.parametrize(
    ("ways", "options"),
    [(WAYS, BOTH), (WAYS[::-1], BOTH), pytest.param(WAYS[::-1], HALF, marks=needs_bfloat16)],
)
def test_a_run_that_goes_on_keeps_it(tmp_path, image, model, monkeypatch, ways, options):
    whole = made(tmp_path / "whole", image, model, ways[0], monkeypatch, options)[1]
    real, calls = Predictor.__call__, []

    def once(self, tiles):
        calls.append(self.convolutions)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, tiles)

    monkeypatch.setattr(Predictor, "__call__", once)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "out", image, model, ways[0], monkeypatch, options)
    record, probability = made(tmp_path / "out", image, model, ways[1], monkeypatch, options)
    assert len(calls) > 3
    assert set(calls) == {ways[0]}
    assert record["convolutions"] == ways[0]
    assert probability == whole


@pytest.mark.parametrize("options", [BOTH, pytest.param(HALF, marks=needs_bfloat16)])
def test_a_replay_computes_as_the_record_says(tmp_path, image, model, monkeypatch, options):
    made(tmp_path / "out", image, model, WAYS[1], monkeypatch, options)
    monkeypatch.setenv(VARIABLE, WAYS[0])
    found = replay.replay(tmp_path / "out" / f"a{RECORD}")
    assert found.same
    assert found.differences == {}


def test_a_replay_refuses_what_it_does_not_know(tmp_path, image, model, monkeypatch):
    made(tmp_path / "out", image, model, WAYS[1], monkeypatch)
    record = tmp_path / "out" / f"a{RECORD}"
    said = json.loads(record.read_text()) | {"convolutions": "by magic"}
    record.write_text(json.dumps(signed(said)))
    with pytest.raises(ImageReadError, match=r"a\.record\.json: cannot be repeated here: .* not 'by magic'"):
        replay.replay(record)


def test_workers_compute_as_the_client_does(tmp_path, image, model, monkeypatch):
    monkeypatch.setenv(VARIABLE, WAYS[1])
    here = Segmenter(model, BOTH)
    assert here.convolutions == WAYS[1]
    monkeypatch.setenv(VARIABLE, WAYS[0])
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    told = ModelOnWorkers(model, digest, here.device_name(), torch.get_num_threads(), here.convolutions)
    there = told.load(BOTH)
    assert there.convolutions == WAYS[1]
    assert replace(told, convolutions=WAYS[0]).load(BOTH).convolutions == WAYS[0]
    worker._loaded.clear()


def test_workers_go_on_as_the_run_that_is_resumed_did(tmp_path, model, monkeypatch):
    monkeypatch.setenv(VARIABLE, WAYS[1])
    here = Segmenter(model, BOTH)
    other = here.rounding_as(WAYS[0])
    assert (here.convolutions, other.convolutions) == WAYS[::-1]
    assert here.rounding_as(WAYS[1]) is here
    told = ModelOnWorkers(model, "", here.device_name(), 1, here.convolutions)
    assert cluster.model_for(told, other).convolutions == WAYS[0]
