"""The Python call and the files it writes: the same bytes, the same axes, whole or absent."""

import numpy as np
import pytest

from unet2015 import segment
from unet2015.errors import (
    AxesError,
    ImageValueError,
    UsageError,
)
from unet2015.images.array_image import ArrayImage
from unet2015.models.model_file import Model, read_model_file, save_model
from unet2015.segmentation import segmenter as segmenter_file
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.segmenter import Segmenter


def threshold_within(path, stack):
    """A threshold that splits the pixels, whatever the random weights."""
    return float(np.median(segment(stack, path, probabilities=True)))


def test_classes_are_what_exceeds_the_threshold(model, stack):
    shown = segment(stack, model, probabilities=True)
    assert shown.shape == stack.shape
    assert shown.dtype == np.float32
    value = float(np.median(shown))
    classes = segment(stack, model, threshold=value)
    assert classes.dtype == np.uint8
    assert np.array_equal(classes, shown > np.float32(value))
    assert 0.3 < classes.mean() < 0.7


def test_the_model_s_threshold_is_used_unless_another_is_given(make_model, tmp_path, model, stack):
    value = threshold_within(model, stack)
    other = make_model(tmp_path / "other.safetensors", threshold=round(value, 3))
    assert np.array_equal(segment(stack, other), segment(stack, model, threshold=round(value, 3)))


def test_several_classes_are_the_most_probable(make_model, tmp_path, stack):
    path = make_model(tmp_path / "m3.safetensors", classes=4)
    shown = segment(stack, path, probabilities=True)
    assert shown.shape == (3, 4, 61, 75)
    assert np.allclose(shown.sum(axis=1), 1, atol=1e-6)
    assert np.array_equal(segment(stack, path), shown.argmax(axis=1))


@pytest.mark.parametrize(
    "options", [{"tile": 60}, {"tile": 76, "batch": 3}, {"average": "rotations", "tile": 60}]
)
def test_the_result_does_not_depend_on_the_tiles(model, stack, options):
    whole = segment(stack, model, probabilities=True, average=options.get("average", "none"))
    tiled = segment(stack, model, probabilities=True, **options)
    assert np.abs(tiled - whole).max() <= 1e-6


def test_channels_are_an_axis_that_goes(make_model, tmp_path):
    path = make_model(tmp_path / "m2.safetensors", channels=2)
    image = np.random.default_rng(0).integers(0, 255, (4, 2, 30, 33)).astype(np.uint8)
    assert segment(image, path, axes="ZCYX").shape == (4, 30, 33)
    assert segment(image[0], path, axes="CYX").shape == (30, 33)
    last = segment(np.moveaxis(image, 1, -1), path, axes="ZYXC", probabilities=True)
    assert np.array_equal(last, segment(image, path, axes="ZCYX", probabilities=True))
    inside = segment(np.moveaxis(image, 0, 2), path, axes="CYZX", probabilities=True)
    assert np.array_equal(np.moveaxis(inside, 1, 0), last)


def test_the_wrong_number_of_channels_says_what_to_do(model, stack):
    with pytest.raises(ImageValueError, match=r"1 channel.*has 3.*--axes"):
        segment(stack, model, axes="CYX")


def test_axes_are_not_guessed(model):
    with pytest.raises(AxesError, match="needs axes"):
        segment(np.zeros((2, 3, 30, 30), np.uint8), model)


def test_nan_names_the_page(make_model, tmp_path):
    path = make_model(tmp_path / "p.safetensors", method="image-percentiles")
    image = np.zeros((2, 30, 30), np.float32)
    image[1, 3, 3] = np.nan
    with pytest.raises(ImageValueError, match="page 1"):
        segment(image, path)


def test_a_percentile_mapping_is_that_of_the_whole_image(make_model, tmp_path):
    path = make_model(tmp_path / "p.safetensors", method="image-percentiles")
    image = np.random.default_rng(0).integers(0, 60000, (2, 90, 90)).astype(np.uint16)
    image[0, :40] //= 10
    whole = segment(image, path, probabilities=True)
    assert np.abs(segment(image, path, probabilities=True, tile=60) - whole).max() <= 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("trained_on", ["uint8", "float32", None])
def test_a_standardised_scene_is_segmented_alike_in_any_type(make_model, tmp_path, trained_on):
    path = make_model(tmp_path / "s.safetensors", method="standardise")
    loaded = read_model_file(path)
    save_model(path, loaded.network, loaded.info.model_copy(update={"dtype": trained_on}))
    scene = np.random.default_rng(0).integers(0, 256, (2, 61, 75)).astype(np.uint8)
    scene[1] //= 3
    expected = segment(scene, path, probabilities=True)
    assert np.ptp(expected) > 0
    others = [
        scene * np.uint16(257),
        scene.astype(np.uint16) + np.uint16(3000),
        scene.astype(np.int32) * 1000 - 70000,
        scene / np.float32(255),
        scene * 1e200,
    ]
    for other in others:
        assert np.abs(segment(other, path, probabilities=True, tile=60) - expected).max() <= 1e-5
    assert np.abs(segment(scene[1], path, probabilities=True) - expected[1]).max() > 1e-4  # a file of its own


def test_a_threshold_with_more_than_two_classes_is_refused(make_model, tmp_path, stack):
    with pytest.raises(UsageError, match="two classes"):
        segment(stack, make_model(tmp_path / "m3.safetensors", classes=3), threshold=0.5)


def test_an_integer_range_of_another_type_is_refused(make_model, tmp_path, stack):
    path = make_model(tmp_path / "m.safetensors")
    model = read_model_file(path)
    model = Model(model.network, model.info.model_copy(update={"dtype": "uint8"}))
    assert segment(stack, model).shape == stack.shape
    with pytest.raises(ImageValueError, match="trained on uint8"):
        segment(stack.astype(np.uint16), model)


def test_channels_last_are_not_taken_for_pages(model):
    with pytest.raises(AxesError, match="YXC"):
        segment(np.zeros((30, 40, 3), np.uint8), model)


def test_a_segmenter_says_what_it_does_in_one_line(model):
    shown = repr(Segmenter(model, SegmentOptions(device="cpu", tile=60, threshold=0.25)))
    assert shown.startswith("<Segmenter <Model ")
    assert "> on cpu " in shown
    assert {"tile=60", "threshold=0.25", "device='cpu'"} <= set(shown.removesuffix(">").split())
    assert "\n" not in shown
    assert "max_memory" not in shown


def test_images_of_one_size_are_planned_once_and_those_of_another_anew(model, monkeypatch):
    chosen = []

    def choose(network, shape, *more, **options):
        chosen.append(shape)
        return original(network, shape, *more, **options)

    original = segmenter_file.choose_plan
    monkeypatch.setattr(segmenter_file, "choose_plan", choose)
    segmenter = Segmenter(model, SegmentOptions(device="cpu", max_memory=2**31))
    chosen.clear()
    plans = [
        segmenter.plan(ArrayImage(np.zeros(shape, np.uint8), "YX")) for shape in [(30, 40)] * 3 + [(30, 44)]
    ]
    assert [plan.width for plan in plans] == [40, 40, 40, 44]
    assert chosen == [(1, 30, 40), (1, 30, 44)]


def test_a_wide_pixel_type_is_counted(model):
    segmenter = Segmenter(read_model_file(model), SegmentOptions(device="cpu"))
    images = [ArrayImage(np.zeros((300, 300), dtype)) for dtype in ("uint8", "float32", "float64")]
    plans = [segmenter.plan(image) for image in images]
    assert plans[0].as_dict() == plans[1].as_dict() == plans[2].as_dict()
    byte, single, double = (segmenter.memory(image, plans[0]) for image in images)
    assert byte <= single < double
    assert segmenter.own_memory(images[2], plans[2]) > segmenter.own_memory(images[1], plans[1])
