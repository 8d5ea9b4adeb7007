"""Thresholds by name: the same classes as the number gives, in Python, files, workers and replays."""

import json

import numpy as np
import pytest
import tifffile
import torch

from unet2015 import segment
from unet2015.cli.sizes import parse_threshold
from unet2015.errors import UsageError
from unet2015.models.model_file import Model, ModelInfo, build_network, save_model
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.replay import replay
from unet2015.segmentation.threshold import choose_threshold
from unet2015.settings import Mapping, NetworkSettings


def model_of(threshold=None, classes=2, **thresholds):
    torch.manual_seed(0)
    info = ModelInfo(
        classes=classes,
        network=NetworkSettings(width=2, depth=1),
        mapping=Mapping(method="integer-range"),
        class_names=tuple("abc"[:classes]),
        threshold=threshold,
        thresholds=thresholds,
    )
    return Model(build_network(info).eval(), info)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)


@pytest.fixture
def shown(pixels):
    return segment(pixels, model_of(), probabilities=True)


@pytest.fixture
def file(tmp_path, pixels):
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    return tmp_path / "a.tif"


@pytest.fixture
def model(tmp_path, shown):
    """A model file with two thresholds that split the pixels, the default being rand."""
    low, high = (round(float(value), 4) for value in np.quantile(shown, [0.3, 0.7]))
    made = model_of(high, f1=low, rand=high)
    save_model(tmp_path / "m.safetensors", made.network, made.info)
    return tmp_path / "m.safetensors", {"f1": low, "rand": high}


def test_a_name_gives_what_its_number_gives(model, pixels, shown):
    path, values = model
    for name, value in values.items():
        assert np.array_equal(segment(pixels, path, threshold=name), shown > np.float32(value))
    assert np.array_equal(segment(pixels, path), segment(pixels, path, threshold="rand"))
    assert not np.array_equal(segment(pixels, path, threshold="f1"), segment(pixels, path))


@pytest.mark.parametrize(
    ("model", "asked", "found"),
    [
        (model_of(0.6, f1=0.4, rand=0.6), None, (0.6, "rand")),
        (model_of(0.4, f1=0.4), None, (0.4, "f1")),
        (model_of(0.4, f1=0.4), 0.4, (0.4, "given")),
        (model_of(0.4, f1=0.4), 0, (0.0, "given")),
        (model_of(0.25), None, (0.25, "model")),
        (model_of(), None, (0.5, "default")),
        (model_of(classes=3), None, (None, None)),
    ],
)
def test_which_threshold_is_meant(model, asked, found):
    assert choose_threshold(model, asked) == found


@pytest.mark.parametrize(
    ("model", "asked", "words"),
    [
        (model_of(0.4, f1=0.4), "rand", ["no threshold rand", "f1 (0.4)", "number"]),
        (model_of(0.25), "f1", ["no threshold f1", "it stores 0.25 without a name"]),
        (model_of(), "rand", ["no threshold rand", "it stores none"]),
        (model_of(0.4, f1=0.4), "dice", ["f1, rand or a probability", "dice"]),
        (model_of(), 1.5, ["f1, rand or a probability", "1.5"]),
        (model_of(), float("nan"), ["probability", "nan"]),
        (model_of(classes=3), "f1", ["two classes", "3"]),
        (model_of(classes=3), 0.5, ["two classes", "3"]),
    ],
)
def test_a_threshold_that_there_is_not(model, asked, words, pixels):
    with pytest.raises(UsageError) as raised:
        segment(pixels, model, threshold=asked)
    for word in words:
        assert word in str(raised.value)


def test_records_hold_name_and_number_and_can_be_replayed(model, file, tmp_path):
    path, values = model
    for asked, name in (("f1", "f1"), ("rand", "rand"), (None, "rand"), (values["f1"], "given")):
        out = tmp_path / str(asked)
        (result,) = segment_files([file], out, path, SegmentOptions(threshold=asked))
        assert result.error is None
        record = json.loads((out / "a.record.json").read_text())
        value = values.get(asked, values["f1"] if name == "given" else values["rand"])
        assert record["threshold"] == {"name": name, "value": value}
        assert record["settings"]["threshold"] == value
        assert replay(out / "a.record.json").same


def test_what_is_done_is_done_whatever_its_threshold_is_called(model, file, tmp_path, caplog):
    path, values = model
    caplog.set_level("INFO", logger="unet2015")
    segment_files([file], tmp_path / "out", path, SegmentOptions(threshold="f1"))
    segment_files([file], tmp_path / "out", path, SegmentOptions(threshold=values["f1"]))
    assert "done before" in caplog.text
    caplog.clear()
    segment_files([file], tmp_path / "out", path, SegmentOptions(threshold="rand"))
    assert "done before" not in caplog.text


def test_workers_use_the_same(model, file, tmp_path):
    pytest.importorskip("distributed")
    from unet2015.segmentation.worker import ModelOnWorkers

    path, values = model
    import hashlib

    from unet2015.segmentation.segmenter import Segmenter

    here = Segmenter(path, SegmentOptions(threshold="f1", device="cpu"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    model = ModelOnWorkers(path, digest, here.device_name(), torch.get_num_threads(), None)
    there = model.load(here.options)
    assert (there.threshold, there.threshold_name) == (values["f1"], "f1")


@pytest.mark.parametrize(("text", "value"), [("f1", "f1"), (" RAND ", "rand"), ("0.25", 0.25), ("1", 1.0)])
def test_thresholds_as_people_write_them(text, value):
    assert parse_threshold(text) == value


@pytest.mark.parametrize("text", ["", "best", "0,5", "f2", "50 %"])
def test_what_is_no_threshold(text):
    with pytest.raises(UsageError, match="write f1, rand or a probability"):
        parse_threshold(text)
