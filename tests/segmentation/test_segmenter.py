"""The Python call and the files it writes: the same bytes, the same axes, whole or absent."""

import json
import logging

import numpy as np
import pytest
import tifffile
import torch

from unet2015 import segment
from unet2015.errors import (
    AxesError,
    GeometryError,
    ImageValueError,
    MemoryLimitError,
    ModelError,
    UsageError,
)
from unet2015.images.reader import open_image
from unet2015.models.model_file import Model, ModelInfo, read_model_file, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.segmentation import batch
from unet2015.segmentation.batch import plan_files, segment_files
from unet2015.segmentation.segmenter import Segmenter, SegmentOptions
from unet2015.settings import Mapping, NetworkSettings


def make_model(path, channels=1, classes=2, threshold=0.5, method="integer-range", seed=0):
    torch.manual_seed(seed)
    network = UNet(channels, classes, 2, 2)
    with torch.no_grad():  # so that classes differ over the image
        network.head.weight.mul_(3)
    info = ModelInfo(
        in_channels=channels,
        classes=classes,
        network=NetworkSettings(width=2, depth=2),
        mapping=Mapping(method=method, low=(1.0,), high=(99.0,))
        if method == "image-percentiles"
        else Mapping(method=method),
        class_names=tuple("abcd"[:classes]),
        threshold=threshold if classes == 2 else None,
    )
    save_model(path, network, info)
    return path


@pytest.fixture
def model(tmp_path):
    return make_model(tmp_path / "m.safetensors")


@pytest.fixture
def stack():
    return np.random.default_rng(0).integers(0, 256, (3, 61, 75)).astype(np.uint8)


@pytest.fixture
def stack_file(tmp_path, stack):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(
        path, stack, imagej=True, resolution=(4, 4), metadata={"axes": "ZYX", "spacing": 2, "unit": "um"}
    )
    return path


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


def test_the_model_s_threshold_is_used_unless_another_is_given(tmp_path, model, stack):
    value = threshold_within(model, stack)
    other = make_model(tmp_path / "other.safetensors", threshold=round(value, 3))
    assert np.array_equal(segment(stack, other), segment(stack, model, threshold=round(value, 3)))


def test_several_classes_are_the_most_probable(tmp_path, stack):
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


def test_channels_are_an_axis_that_goes(tmp_path):
    path = make_model(tmp_path / "m2.safetensors", channels=2)
    image = np.random.default_rng(0).integers(0, 255, (4, 2, 30, 33)).astype(np.uint8)
    assert segment(image, path, axes="ZCYX").shape == (4, 30, 33)
    assert segment(image[0], path, axes="CYX").shape == (30, 33)
    last = segment(np.moveaxis(image, 1, -1), path, axes="ZYXC", probabilities=True)
    assert np.array_equal(last, segment(image, path, axes="ZCYX", probabilities=True))


def test_the_wrong_number_of_channels_says_what_to_do(model, stack):
    with pytest.raises(ImageValueError, match=r"1 channel.*has 3.*--axes"):
        segment(stack, model, axes="CYX")


def test_axes_are_not_guessed(model):
    with pytest.raises(AxesError, match="needs axes"):
        segment(np.zeros((2, 3, 30, 30), np.uint8), model)


def test_nan_names_the_page(tmp_path):
    path = make_model(tmp_path / "p.safetensors", method="image-percentiles")
    image = np.zeros((2, 30, 30), np.float32)
    image[1, 3, 3] = np.nan
    with pytest.raises(ImageValueError, match="page 1"):
        segment(image, path)


def test_a_percentile_mapping_is_that_of_the_whole_image(tmp_path):
    path = make_model(tmp_path / "p.safetensors", method="image-percentiles")
    image = np.random.default_rng(0).integers(0, 60000, (2, 90, 90)).astype(np.uint16)
    image[0, :40] //= 10
    whole = segment(image, path, probabilities=True)
    assert np.abs(segment(image, path, probabilities=True, tile=60) - whole).max() <= 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("trained_on", ["uint8", "float32", None])
def test_a_standardised_scene_is_segmented_alike_in_any_type(tmp_path, trained_on):
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


def test_files_equal_the_python_call_and_keep_axes_and_calibration(tmp_path, model, stack, stack_file):
    value = threshold_within(model, stack)
    options = SegmentOptions(threshold=value, tile=60)
    (result,) = segment_files([stack_file], tmp_path / "out", model, options, probability=True)
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


def test_the_record_says_from_what_and_how(tmp_path, model, stack_file):
    segment_files([stack_file], tmp_path / "out", model, SegmentOptions(tile=60))
    record = json.loads((tmp_path / "out" / "stack.record.json").read_text())
    assert record["model_sha256"] == read_model_file(model).sha256
    assert record["plan"]["tile"] == [60, 60]
    assert record["plan"]["tiles"] == 3 * 4 * 4
    assert record["settings"]["threshold"] == 0.5
    assert set(record["versions"]) >= {"python", "torch", "unet2015"}
    assert set(record["seconds"]) == {"read", "map", "network", "write"}
    assert record["device"].startswith("cpu (") or torch.cuda.is_available()
    assert list(record["outputs"]) == ["stack.classes.tif"]


@pytest.mark.slow
def test_what_is_done_is_not_done_again_and_what_changed_is(tmp_path, model, stack_file, caplog):
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


def test_one_bad_file_does_not_stop_the_others(tmp_path, model, stack):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.tif", "c.tif"):
        tifffile.imwrite(folder / name, stack[0])
    tifffile.imwrite(folder / "b.tif", stack[0])
    cut = (folder / "b.tif").read_bytes()
    (folder / "b.tif").write_bytes(cut[: len(cut) // 2])
    results = segment_files([folder], tmp_path / "out", model)
    assert [result.error is None for result in results] == [True, False, True]
    assert "b.tif" in str(results[1].error)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a.classes.tif", "a.record.json", "c.classes.tif", "c.record.json", "failures.csv",
    ]  # fmt: skip


def test_a_failure_in_the_middle_leaves_nothing(tmp_path, model, stack_file, monkeypatch):
    calls = []

    def failing(self, probabilities):
        calls.append(1)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        return (probabilities[1] > 0.5).astype(np.uint8)

    monkeypatch.setattr(Segmenter, "classify", failing)
    (result,) = segment_files(
        [stack_file], tmp_path / "out", model, SegmentOptions(tile=60), probability=True
    )
    assert "No space left" in str(result.error)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["failures.csv"]


def test_colliding_names_are_refused_before_anything_is_written(tmp_path, model, stack):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "x.tif", stack[0])
    inputs = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(UsageError, match=r"x\.classes\.tif"):
        segment_files(inputs, tmp_path / "out", model)
    assert not (tmp_path / "out").exists()


def test_an_output_never_replaces_an_input(tmp_path, model, stack_file):
    with pytest.raises(UsageError, match="also an input"):
        segment_files([stack_file], stack_file, model)


def test_one_input_may_name_its_output(tmp_path, model, stack_file):
    (result,) = segment_files([stack_file], tmp_path / "result.tif", model, probability=True)
    assert [path.name for path in result.outputs] == ["result.tif", "result.probability.tif"]
    with pytest.raises(UsageError, match="give a folder"):
        segment_files([stack_file, model], tmp_path / "result.tif", model)


def test_the_plan_says_what_it_would_take_and_does_nothing(tmp_path, model, stack_file):
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"no image")
    good, refused = plan_files([stack_file, bad], tmp_path / "out", model, SegmentOptions(tile=60))
    assert good.plan.tiles == 48
    assert good.disk == 3 * 61 * 75
    assert "48 of 60 x 60 px" in good.describe()
    assert good.as_dict()["plan"]["tiles"] == 48
    assert refused.error is not None
    assert "refused" in refused.describe()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"tile": 61}, GeometryError),
        ({"max_memory": 2**20}, MemoryLimitError),
        ({"threshold": 1.5}, UsageError),
        ({"device": "abacus"}, UsageError),
        ({"batch": 0}, GeometryError),
    ],
)
def test_options_that_no_image_could_meet_stop_before_the_first(tmp_path, model, stack_file, options, error):
    with pytest.raises(error):
        segment_files([stack_file], tmp_path / "out", model, SegmentOptions(**options))
    assert not (tmp_path / "out").exists()


def test_a_threshold_with_more_than_two_classes_is_refused(tmp_path, stack):
    with pytest.raises(UsageError, match="two classes"):
        segment(stack, make_model(tmp_path / "m3.safetensors", classes=3), threshold=0.5)


def test_a_constant_prediction_warns(tmp_path, caplog):
    network = UNet(1, 2, 2, 2)
    with torch.no_grad():
        network.head.weight.zero_()
    info = read_model_file(make_model(tmp_path / "m.safetensors")).info
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((40, 40), np.uint8))
    with caplog.at_level(logging.WARNING, "unet2015"):
        segment_files([tmp_path / "a.tif"], tmp_path / "out", Model(network.eval(), info))
    assert "same probability" in caplog.text


def test_an_interrupted_run_goes_on_with_the_same_bytes(tmp_path, model, stack, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abc":
        tifffile.imwrite(folder / f"{name}.tif", stack[0])
    segment_files([folder], tmp_path / "whole", model)
    real, calls = Segmenter.to_files, []

    def interrupted(self, *arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, *arguments, **options)

    monkeypatch.setattr(Segmenter, "to_files", interrupted)
    with pytest.raises(KeyboardInterrupt):
        segment_files([folder], tmp_path / "parts", model)
    segment_files([folder], tmp_path / "parts", model)
    assert len(calls) == 1 + 1 + 2, "what was done must not be done again"
    for name in "abc":
        one, other = (tmp_path / where / f"{name}.classes.tif" for where in ("whole", "parts"))
        assert one.read_bytes() == other.read_bytes()


def test_is_done_needs_every_output(tmp_path, model, stack_file):
    segment_files([stack_file], tmp_path / "out", model)
    ((_, outputs),) = batch.plan_outputs([stack_file], tmp_path / "out", False)
    assert batch.is_done(outputs, {})
    outputs.classes.unlink()
    assert not batch.is_done(outputs, {})


def test_a_folder_may_hold_its_own_results(tmp_path, model, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack[0])
    for _ in range(2):
        results = segment_files([tmp_path / "*.tif"], tmp_path, model, probability=True)
        assert [result.input.name for result in results] == ["a.tif"]


def test_the_result_of_another_file_is_never_replaced(tmp_path, model, stack):
    for name, page in (("one", 0), ("two", 1)):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "x.tif", stack[page])
    segment_files([tmp_path / "one" / "x.tif"], tmp_path / "out", model)
    before = (tmp_path / "out" / "x.classes.tif").read_bytes()
    (result,) = segment_files([tmp_path / "two" / "x.tif"], tmp_path / "out", model)
    assert "another output folder" in str(result.error)
    assert (tmp_path / "out" / "x.classes.tif").read_bytes() == before


def test_a_name_that_is_no_tiff_is_refused(tmp_path, model, stack_file):
    with pytest.raises(UsageError, match="TIFF"):
        segment_files([stack_file], tmp_path / "x.png", model)


def test_an_integer_range_of_another_type_is_refused(tmp_path, stack):
    path = make_model(tmp_path / "m.safetensors")
    model = read_model_file(path)
    model = Model(model.network, model.info.model_copy(update={"dtype": "uint8"}))
    assert segment(stack, model).shape == stack.shape
    with pytest.raises(ImageValueError, match="trained on uint8"):
        segment(stack.astype(np.uint16), model)


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


def test_channels_last_are_not_taken_for_pages(model):
    with pytest.raises(AxesError, match="YXC"):
        segment(np.zeros((30, 40, 3), np.uint8), model)
