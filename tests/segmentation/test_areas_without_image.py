"""Areas without image are said, and left out of the mapping where their value is named."""

import json
import logging

import numpy as np
import pytest
import tifffile

from unet2015 import load_model, segment
from unet2015.errors import UsageError
from unet2015.segmentation import run
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.replay import replay
from unet2015.settings import TrainingSettings
from unet2015.settings.objects import ObjectSettings
from unet2015.training.checks.training_set import inspect_set

DRAWN = np.random.default_rng(0).integers(30, 200, (60, 70), np.uint8)
BORDER = 16
FRAMED = np.pad(DRAWN, BORDER)
SAID = "% of the pixels are 0, in areas at the border or whole pages"
FAR = (slice(24, -24), slice(24, -24))


@pytest.fixture
def standard(make_model, tmp_path):
    return make_model(tmp_path / "s.safetensors", method="standardise")


def test_with_the_fill_value_what_is_far_from_the_border_is_as_without_it(standard):
    alone = segment(DRAWN, standard, probabilities=True)
    inside = (slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    left_out = segment(FRAMED, standard, probabilities=True, fill_value=0)[inside]
    counted = segment(FRAMED, standard, probabilities=True)[inside]
    np.testing.assert_allclose(left_out[FAR], alone[FAR], rtol=0, atol=1e-6)
    assert abs(counted[FAR] - alone[FAR]).max() > 0.01


def test_list_and_record_say_areas_also_when_it_is_done(standard, tmp_path, caplog):
    file, out = tmp_path / "a.tif", tmp_path / "out"
    tifffile.imwrite(file, FRAMED)
    for _ in (False, True):
        with caplog.at_level(logging.WARNING, "unet2015"):
            (result,) = segment_files([file], out, standard)
        (note,) = [note for note in result.notes if SAID in note]
        assert "--fill-value 0 (fill_value=0 in Python)" in note
        assert note in caplog.text
        (record,) = [json.loads(path.read_text()) for path in out.glob("*.json")]
        assert note in record["notes"]
        assert "fill_value" not in record["settings"]
        caplog.clear()
    with caplog.at_level(logging.WARNING, "unet2015"):
        segment(FRAMED, standard)
    assert SAID in caplog.text


@pytest.mark.parametrize(("value", "said"), [(0, False), (-1, True), (0.5, True), (256, True), (201, False)])
def test_a_fill_value_that_no_pixel_can_have_is_said(standard, caplog, value, said):
    segment(DRAWN, standard, fill_value=value)
    note = f"no pixel of type uint8 can be {value}, which was to be left out, so nothing is left out"
    assert (note in caplog.text) == said
    caplog.clear()
    segment(DRAWN.astype(np.float32), standard, fill_value=value)
    assert "can be" not in caplog.text


def test_the_fill_value_is_recorded_and_replayed(standard, tmp_path):
    file, out = tmp_path / "a.tif", tmp_path / "out"
    tifffile.imwrite(file, FRAMED)
    (before,) = segment_files([file], out, standard)
    (result,) = segment_files([file], out, standard, SegmentOptions(fill_value=0))  # done again
    assert (SAID in "".join(before.notes), SAID in "".join(result.notes)) == (True, False)
    (record,) = out.glob("*.json")
    said = json.loads(record.read_text())
    assert (said["settings"]["fill_value"], said["mapping"]["fill_value"]) == (0, 0)
    assert said["mapping"]["offset"] == [DRAWN.mean()]
    assert replay(record).same


def test_a_run_that_is_resumed_says_what_the_first_one_found(standard, tmp_path, monkeypatch):
    file, out = tmp_path / "a.tif", tmp_path / "out"
    tifffile.imwrite(file, np.stack([FRAMED] * 4), photometric="minisblack", metadata={"axes": "TYX"})
    options = SegmentOptions(objects=ObjectSettings())

    def stopped(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run, "write_products", stopped)
        with pytest.raises(KeyboardInterrupt):
            segment_files([file], out, standard, options)
    assert list(out.glob(".*"))
    with monkeypatch.context() as patched:
        patched.setattr("unet2015.images.mapped_image.intensity_scale", None)  # it is not measured again
        (result,) = segment_files([file], out, standard, options)
    assert sum(SAID in note for note in result.notes) == 1


def test_a_model_uses_the_value_that_it_was_trained_with(standard, tmp_path):
    model = load_model(standard)
    mapping = model.info.mapping.model_copy(update={"fill_value": 0.0})
    trained = type(model)(model.network, model.info.model_copy(update={"mapping": mapping}))
    np.testing.assert_array_equal(
        segment(FRAMED, trained, probabilities=True),
        segment(FRAMED, standard, probabilities=True, fill_value=0),
    )


def test_a_model_that_maps_all_images_alike_refuses_it(model):
    with pytest.raises(UsageError, match="maps all images alike"):
        segment(FRAMED, model, fill_value=0)


@pytest.mark.parametrize(
    ("mapping", "advice"),
    [
        ({}, "[mapping] fill_value = 0;"),
        ({"method": "training-percentiles"}, '[mapping] method = "standardise", fill_value = 0;'),
        ({"fill_value": 0}, None),
        ({"method": "integer-range"}, None),
        ({"method": "auto"}, None),
    ],
)
def test_the_check_of_a_training_set_says_them(mapping, advice, tmp_path):
    tifffile.imwrite(tmp_path / "i.tif", np.stack([FRAMED, FRAMED[::-1]]), metadata={"axes": "TYX"})
    labels = np.zeros((2, *FRAMED.shape), np.uint8)
    labels[:, 30:40, 30:40] = 1
    tifffile.imwrite(tmp_path / "l.tif", labels, metadata={"axes": "TYX"})
    settings = TrainingSettings.model_validate({"mapping": mapping})
    found = inspect_set([(tmp_path / "i.tif", tmp_path / "l.tif")], settings).problems
    said = [problem.message for problem in found if SAID in problem.message]
    assert len(said) == (advice is not None)
    assert all(advice in message for message in said)
