"""Every public function with odd arguments: the result of what is meant, or an error of this package."""

import datetime
import inspect
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

import unet2015
from unet2015 import metrics
from unet2015.errors import ArgumentError, LabelError, UNet2015Error, UsageError
from unet2015.models.model_file import ModelInfo, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.settings import Mapping, NetworkSettings


class Lazy:
    """Becomes an array with masked elements."""

    shape, ndim, dtype = (9, 8), 2, np.dtype(float)

    def __array__(self, dtype=None, copy=None):
        return np.ma.masked_array(np.ones((9, 8)), np.eye(9, 8))


class Broken:
    """An object that fails whatever is asked of it."""

    def __array__(self, *_, **__):
        raise RuntimeError("no array")

    def __float__(self):
        raise RuntimeError("no number")

    __index__ = __fspath__ = __iter__ = __len__ = __repr__ = __str__ = __bool__ = __float__


ODD = {
    "none": None,
    "empty text": "",
    "text": "no",
    "number as text": "1",
    "bytes": b"\xff",
    "null": "a\0b",
    "true": True,
    "zero": 0,
    "minus one": -1,
    "two": 2,
    "huge": 10**400,
    "half": 0.5,
    "fraction": Fraction(1, 3),
    "1.5": 1.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "1j": 1j,
    "np complex": np.complex64(1),
    "np text": np.str_("abc"),
    "list": [],
    "nested": [[]],
    "ragged": [[1], [1, 2]],
    "texts": ["a", "b"],
    "nones": [None, None],
    "dict": {"a": 1},
    "set": {1},
    "object": object(),
    "broken": Broken(),
    "class": int,
    "function": lambda *_: None,
    "date": datetime.date(2015, 10, 5),
    "path": Path("/no/such/file.tif"),
    "empty array": np.zeros(0),
    "empty page": np.zeros((0, 5)),
    "0-d": np.array(0.5),
    "0-d true": np.array(True),
    "one": np.array([1.0]),
    "4-d": np.ones((1, 1, 2, 2)),
    "5-d": np.ones((1, 1, 1, 2, 2)),
    "nan array": np.full((9, 8), np.nan),
    "masked": np.ma.masked_array(np.ones((9, 8)), np.eye(9, 8)),
    "masked pages": [np.ma.masked_array(np.ones((9, 8)), np.eye(9, 8)), np.ones((9, 8))],
    "masked later": Lazy(),
    "complex array": np.ones((9, 8), complex),
    "object array": np.full((9, 8), None),
    "text array": np.full((9, 8), "1"),
    "date array": np.full((9, 8), np.datetime64("2015-10-05")),
    "fractions": np.full((9, 8), 0.3),
    "negative": np.full((9, 8), -1),
    "large": np.full((9, 8), 2**64 - 1, np.uint64),
    "bytes of an image": np.full((9, 8), 255, np.uint8),
    "scalar tensor": torch.tensor(0.5),
    "true tensor": torch.tensor(True),
    "complex tensor": torch.ones(9, 8, dtype=torch.complex64),
    "sparse tensor": torch.eye(9).to_sparse(),
    "meta tensor": torch.ones(9, 8, device="meta"),
    "device": torch.device("cpu"),
    "network": torch.nn.Identity(),
}

TRUTH = np.kron(np.eye(3, 2, dtype=int), np.ones((3, 4), int))
GUESS = np.roll(TRUTH, 1, 0)
ODD_OF_NUMBERS = {"zero", "two", "half", "fraction", "1.5", "0-d", "scalar tensor"}
FLAG = {"true", "zero"}
SIZES = {"none", "two", "half", "fraction", "1.5", "0-d", "scalar tensor"}
MASKS = {"truth": TRUTH, "prediction": GUESS}
OBJECTS, LABELS = MASKS, {"bytes of an image"}
IOUS = {"half", "fraction", "0-d", "scalar tensor"}
TEXTS = {"none", "text", "empty text", "number as text", "null", "np text"}
"""Axes that fit no file are the failure of each file."""
STACKS = {"labels": TRUTH, "proposal": GUESS.astype(float)}
PROGRESS = {"none", "function"}
PICTURES = {"bytes of an image", "fractions", "negative", "large", "nan array"}
NUMBERS = {"zero", "minus one", "two", "half", "fraction", "1.5", "0-d", "scalar tensor", "inf"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model, images, labels, a record and a sequence of the Cell Tracking Challenge."""
    folder = tmp_path_factory.mktemp("arguments")
    torch.manual_seed(1)
    info = ModelInfo(
        mapping=Mapping(method="integer-range"),
        class_names=("a", "b"),
        network=NetworkSettings(width=1, depth=1),
    )
    save_model(folder / "m.safetensors", UNet(1, 2, width=1, depth=1), info)
    for name in ("image", "man_seg000", "mask000"):
        tifffile.imwrite(folder / f"{name}.tif", TRUTH.astype(np.uint8))
    for name in ("truth", "result"):
        (folder / name).mkdir()
        tifffile.imwrite(folder / name / "a.tif", TRUTH.astype(np.uint8))
    unet2015.segment_files([folder / "image.tif"], folder / "out", folder / "m.safetensors")
    return folder


def calls(place):
    """Return for each public function a plain call, and for its parameters which odd values are legal."""
    image, model = place / "image.tif", place / "m.safetensors"
    mask = (
        MASKS,
        {
            "label": {"none", "zero", "minus one", "two", "huge"},
            "truth": {"large", "bytes of an image"},
        },
    )
    mask[1]["prediction"] = mask[1]["truth"]
    options = {
        "axes": {"none"},
        "channel": {"none", "zero"},
        "scene": {"none"},
        "threshold": {"none", "zero", "half", "fraction", "0-d", "scalar tensor"},
        "tile": {"none", "huge"},
        "batch": {"none", "two", "huge"},
        "max_memory": {"none", "huge"},
        "device": {"device"},
        "precision": set(),
        "average": set(),
        "skip_empty": FLAG,
        "fill_value": {"none"},
        "map_each": {"none"},
    }
    return {
        "Markers": (
            unet2015.Markers,
            {},
            {
                "level": {"zero", "half", "fraction", "0-d", "scalar tensor"},
                "blur": {"zero", *NUMBERS} - {"minus one", "inf"},
            },
        ),
        "SegmentOptions": (
            unet2015.SegmentOptions,
            {},
            {
                **options,
                "axes": {"none", "text", "empty text", "number as text", "null", "np text"},
                "channel": {
                    *("none", "text", "empty text", "number as text", "null", "np text"),
                    *("zero", "two", "huge"),
                },
                "scene": {
                    *("none", "text", "empty text", "number as text", "null", "np text"),
                    *("zero", "two", "huge"),
                },
                "threshold": {
                    "nan",
                    *options["threshold"],
                    *NUMBERS,
                    "text",
                    "empty text",
                    "number as text",
                    "null",
                    "np text",
                },
                "tile": {"none", "zero", "minus one", "two", "huge"},
                "batch": {"none", "two", "huge"},
                "fill_value": {"none", *NUMBERS} - {"inf"},
                "max_memory": {"none", "two", "huge", "number as text"},
                "device": {"device", "text", "empty text", "number as text", "null", "np text"},
                "precision": {"text", "empty text", "number as text", "null", "np text"},
                "average": {"text", "empty text", "number as text", "null", "np text"},
                "pixel_size": SIZES,
                "replace_pixel_size": {"zero"},
                "objects": {"none"},
                "views": {"list", "empty array", "empty page"},
                "label_type": {"none"},
                "products": {"list", "empty array", "empty page"},
                "tiled": {"none", *FLAG},
                "pyramid": FLAG,
            },
        ),
        "UNet": (
            unet2015.UNet,
            {"width": 1, "depth": 1},
            {
                "in_channels": {"two"},
                "classes": {"two"},
                "width": {"two"},
                "depth": {"zero", "two"},
                "variant": set(),
                "dropout": {"zero", "half", "fraction", "0-d", "scalar tensor"},
            },
        ),
        "ObjectSettings": (
            unet2015.ObjectSettings,
            {},
            {
                "threshold": {"none", "zero", "half", "fraction", "0-d", "scalar tensor"},
                "of_class": {"none", "two"},
                "connectivity": {"two"},
                "fill_holes": FLAG,
                "smallest": {"zero", "two", "huge"},
                "frame": {"zero", "two", "huge"},
                "markers": {"none"},
            },
        ),
        "label_files": (
            unet2015.label_files,
            {"inputs": [place / "out"], "out": place / "labels"},
            {
                "inputs": set(),
                "objects": {"none"},
                "views": {"list", "empty array", "empty page"},
                "label_type": {"none"},
                "images": {"none"},
                "channel": {"none"},
                "scene": {"none"},
                "axes": TEXTS,
                "pixel_size": SIZES,
                "replace_pixel_size": {"zero"},
                "max_memory": {"none", "two", "huge", "number as text"},
                "progress": PROGRESS,
            },
        ),
        "measure_files": (
            unet2015.measure_files,
            {"labels": place / "man_seg000.tif", "out": place / "measured.csv"},
            {
                "labels": set(),
                "images": {"none"},
                "parquet": {"zero"},
                "pixel_size": SIZES,
                "replace_pixel_size": {"zero"},
                "channel": {"none"},
                "scene": {"none"},
                "axes": TEXTS,
                "progress": PROGRESS,
            },
        ),
        "label_objects": (
            unet2015.label_objects,
            {"probability": TRUTH / 2},
            {
                "probability": {"fractions"},
                "threshold": {"zero", "half", "fraction", "0-d", "scalar tensor"},
                "connectivity": {"two"},
                "fill_holes": FLAG,
                "smallest": {"zero", "two", "huge"},
                "frame": {"zero", "two", "huge"},
                "markers": {"none"},
            },
        ),
        "load_model": (unet2015.load_model, {"model": model}, {"model": set()}),
        "load_settings": (unet2015.load_settings, {}, {"path": {"none"}, "overrides": {"none"}}),
        "replay": (
            unet2015.replay,
            {"record": place / "out/image.record.json"},
            {"record": set(), "image": {"none"}, "model": {"none"}},
        ),
        "segment": (
            unet2015.segment,
            {"image": TRUTH.astype(np.uint8), "model": model},
            {
                **options,
                "image": PICTURES - {"nan array", "fractions", "negative", "large"},
                "model": set(),
                "probabilities": FLAG,
                "progress": PROGRESS,
            },
        ),
        "segment_files": (
            unet2015.segment_files,
            {"inputs": [image], "out": place / "out", "model": model},
            {"inputs": set(), "model": set(), "options": {"none"}, "dask": {"none"}, "progress": PROGRESS},
        ),
        "train": (
            unet2015.train,
            {"images": image, "labels": place / "mask000.tif", "out": place / "run"},
            {
                "images": set(),
                "labels": set(),
                "settings": {"none"},
                "device": {"device"},
                "resume": FLAG,
                "start": {"none"},
                "progress": PROGRESS,
                "axes": {"none"},
                "channel": {"none", "zero"},
                "scene": {"none"},
            },
        ),
        "weight_map": (
            unet2015.weight_map,
            {"labels": TRUTH},
            {
                "labels": {"large"},
                "w0": {*NUMBERS} - {"minus one", "inf"},
                "sigma": {*NUMBERS} - {"minus one", "inf", "zero"},
                "gaps": set(),
                "kind": set(),
                "class_weights": set(),
                "ignore": {"none", "zero", "minus one", "two", "huge"},
            },
        ),
        "contingency_table": (
            metrics.contingency_table,
            MASKS,
            {"truth": {"bytes of an image"}, "prediction": {"bytes of an image"}},
        ),
        "pixel_overlap": (metrics.pixel_overlap, *mask),
        "iou": (metrics.iou, *mask),
        "dice": (metrics.dice, *mask),
        "f1": (metrics.f1, *mask),
        "draw_failures": (
            metrics.draw_failures,
            {"path": place / "f.png", **STACKS, "threshold": 0.5},
            {
                "labels": {"large", "bytes of an image"},
                "proposal": {"fractions"},
                "threshold": NUMBERS,
                "image": {"none", *PICTURES},
                "radius": {"zero", "two"},
                "panels": {"two", "huge"},
                "path": set(),
            },
        ),
        "evaluate_em": (metrics.evaluate_em, STACKS, {"script_2016": FLAG, "progress": PROGRESS}),
        "evaluate_seg": (
            metrics.evaluate_seg,
            {"truth": place, "result": place},
            {
                "truth": set(),
                "result": set(),
                "ignore": {"none", "zero", "minus one", "two", "huge"},
                "progress": PROGRESS,
            },
        ),
        **{
            name: (
                getattr(metrics, name),
                STACKS,
                {
                    "labels": {"bytes of an image", "large"},
                    "proposal": {"fractions"},
                    "progress": PROGRESS,
                    "thresholds": {"one", "fractions"} - {"fractions"},
                },
            )
            for name in ("pixel_error", "rand_error", "v_rand", "v_info", "thinned_scores")
        },
        "warping_error": (
            metrics.warping_error,
            STACKS,
            {
                "labels": {"bytes of an image", "large"},
                "proposal": {"fractions"},
                "progress": PROGRESS,
                "thresholds": {"one"},
                "radius": {"zero", "two"},
            },
        ),
        "warping_mismatches": (
            metrics.warping_mismatches,
            {**STACKS, "threshold": 0.5},
            {
                "labels": {"bytes of an image", "large"},
                "proposal": {"fractions"},
                "threshold": NUMBERS,
                "radius": {"zero", "two"},
            },
        ),
        "warp": (
            metrics.warp,
            {**STACKS, "threshold": 0.5},
            {"labels": {"bytes of an image", "large"}, "proposal": {"fractions"}, "threshold": NUMBERS},
        ),
        **{
            name: (
                getattr(metrics, name),
                OBJECTS,
                {"truth": LABELS, "prediction": LABELS, "threshold": IOUS},
            )
            for name in ("match_objects", "object_f1", "average_precision", "panoptic_quality")
        },
        "mean_average_precision": (
            metrics.mean_average_precision,
            OBJECTS,
            {"truth": LABELS, "prediction": LABELS},
        ),
        "object_scores": (
            metrics.object_scores,
            OBJECTS,
            {"truth": LABELS, "prediction": LABELS, "thresholds": {"one"}},
        ),
        "evaluate_objects": (
            metrics.evaluate_objects,
            {"truth": place / "truth", "result": place / "result"},
            {
                "truth": set(),
                "result": set(),
                "threshold": IOUS,
                "ignore": {"none", "zero", "minus one", "two", "huge"},
                "axes": TEXTS,
                "progress": PROGRESS,
            },
        ),
        "evaluate_pixels": (
            metrics.evaluate_pixels,
            {"truth": place / "truth", "result": place / "result"},
            {
                "truth": set(),
                "result": set(),
                "foreground": FLAG,
                "ignore": {"none", "zero", "minus one", "two", "huge"},
                "axes": TEXTS,
                "progress": PROGRESS,
            },
        ),
        "seg_score": (metrics.seg_score, {"frames": [(0, TRUTH, GUESS)]}, {"frames": set()}),
        "thin": (metrics.thin, {"interior": GUESS}, {"interior": {"negative", "large", "bytes of an image"}}),
        "threshold_steps": (
            metrics.threshold_steps,
            {"lowest": 0, "upper": 0.9},
            {
                "lowest": {"zero", "minus one", "half", "fraction", "0-d", "scalar tensor"},
                "upper": NUMBERS - {"minus one", "inf"},
                "step": NUMBERS - {"zero", "minus one"},
            },
        ),
    }


NAMES = [*calls(Path())]


def test_the_table_has_every_public_function_and_parameter():
    public = [(module, name) for module in (unet2015, metrics) for name in module.__all__]
    called = {
        name
        for module, name in public
        if callable(getattr(module, name)) and name not in ("UNet2015Error", "Mismatch")
    }
    without = {
        name
        for name in called
        if not inspect.signature(getattr(metrics if name in metrics.__all__ else unet2015, name)).parameters
    }
    assert called - without == set(NAMES)
    for name, (function, plain, legal) in calls(Path()).items():
        assert {*plain, *legal} == set(inspect.signature(function).parameters) or name in (
            "evaluate_em",
            "train",
            "segment_files",
        ), name


def same(one, other):
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return one == other


@pytest.mark.parametrize("name", NAMES)
def test_an_odd_argument_is_refused_in_a_line_or_legal(place, name, monkeypatch):
    monkeypatch.chdir(place)
    function, plain, legal = calls(place)[name]
    wrong = []
    for parameter, allowed in legal.items():
        for odd, value in ODD.items():
            if name in ("segment_files", "train", "draw_failures") and odd in allowed:
                continue  # it would run, which takes long
            if parameter == "progress" and odd in ("class", "network"):
                continue  # they can be called, and fail by themselves
            try:
                function(**{**plain, parameter: value})
            except UNet2015Error as error:
                if odd in allowed:
                    wrong.append(f"{parameter} {odd}: refused: {error}")
                if "\n" in str(error) or len(str(error)) > 2000:
                    wrong.append(f"{parameter} {odd}: {error}")
            except BaseException as error:
                wrong.append(f"{parameter} {odd}: {type(error).__name__}: {error}"[:300])
            else:
                if odd not in allowed:
                    wrong.append(f"{parameter} {odd}: taken")
    assert not wrong, "\n".join(wrong)


EQUAL = {
    "a list": lambda array: array.tolist(),
    "a tensor": torch.tensor,
    "a tensor of bfloat16 that needs a gradient": lambda array: (
        torch.tensor(array).bfloat16().requires_grad_()
    ),
    "whole floats": lambda array: array.astype(np.float64),
    "float16": lambda array: array.astype(np.float16),
    "longdouble": lambda array: array.astype(np.longdouble),
    "another byte order": lambda array: array.astype(">i4"),
    "unsigned": lambda array: array.astype(np.uint8),
    "not contiguous": lambda array: np.repeat(array, 2, 1)[:, ::2],
    "read-only": lambda array: np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape),
    "masked nowhere": np.ma.masked_array,
}


@pytest.mark.parametrize("change", EQUAL.values(), ids=EQUAL)
def test_what_is_meant_gives_the_same(change, place):
    one, other = change(TRUTH), change(GUESS)
    for function in (metrics.dice, metrics.iou, metrics.f1, metrics.pixel_overlap):
        assert function(one, other) == function(TRUTH, GUESS)
    tables = [metrics.contingency_table(*pair) for pair in ((one, other), (TRUTH, GUESS))]
    assert [table.pixels.tolist() for table in tables] == [tables[1].pixels.tolist()] * 2
    assert metrics.seg_score([(0, one, other)]) == metrics.seg_score([(0, TRUTH, GUESS)])
    assert metrics.rand_error(one, other) == metrics.rand_error(TRUTH, GUESS)
    assert np.array_equal(unet2015.weight_map(one), unet2015.weight_map(TRUTH))
    assert np.array_equal(unet2015.label_objects(other), unet2015.label_objects(GUESS / 1))


def test_a_mask_of_bool_is_a_mask():
    assert metrics.dice(TRUTH > 0, GUESS > 0) == metrics.dice(TRUTH, GUESS)
    assert np.array_equal(unet2015.label_objects(GUESS > 0), unet2015.label_objects(GUESS / 1))


def test_a_probability_map_is_no_mask():
    with pytest.raises(LabelError, match=r"prediction: expected whole numbers .*, got 0\.3; compare"):
        metrics.dice(TRUTH, np.where(GUESS, 0.9, 0.3))


def test_options_as_people_write_them(place):
    image, model = TRUTH.astype(np.uint8), place / "m.safetensors"
    plain = unet2015.segment(
        image, model, tile=20, batch=1, max_memory=2 << 30, device="cpu", axes="YX", threshold=0.5
    )
    odd = unet2015.segment(
        torch.tensor(image),
        str(model).encode(),
        tile=20.0,
        batch=np.int8(1),
        max_memory="2G",
        device=torch.device("cpu"),
        axes="yx",
        threshold=np.float32(0.5),
        skip_empty=np.False_,
    )
    assert same(plain, odd)
    path = place / "image.tif"
    assert same(unet2015.segment(str(path), model), unet2015.segment(bytes(path), model))
    (result,) = unet2015.segment_files(path, str(place / "one"), model)
    assert result.error is None


@pytest.mark.parametrize("kind", [ValueError, TypeError, UsageError, UNet2015Error])
def test_an_argument_of_the_wrong_type_is_each_of_these(kind):
    with pytest.raises(kind, match=r"label: expected a whole number, got '1' \(str\)"):
        metrics.dice(TRUTH, GUESS, label="1")
    assert issubclass(ArgumentError, kind)


@pytest.mark.parametrize("mode", ["P", "PA"])
def test_a_picture_with_a_palette_is_no_image_and_its_colours_are(place, mode):
    from PIL import Image

    picture = Image.fromarray(np.arange(2500, dtype=np.uint8).reshape(50, 50)).convert(mode)
    gray = picture.convert("L")
    for given in (picture, [picture], [gray, picture]):
        with pytest.raises(
            ArgumentError, match=r"colour palette .* give image.convert\('RGB'\), or image.convert"
        ):
            unet2015.segment(given, place / "m.safetensors", device="cpu")
    assert unet2015.segment(picture.convert("L"), place / "m.safetensors", device="cpu").shape == (50, 50)


def test_a_picture_of_several_frames_is_not_taken_for_one(place, tmp_path):
    from PIL import Image

    first, second = (Image.fromarray(np.full((50, 50), value, np.uint8)) for value in (1, 2))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    with (
        Image.open(tmp_path / "a.tif") as picture,
        pytest.raises(ArgumentError, match="stands at one of its 2 frames; give the file, or a list"),
    ):
        unet2015.segment(picture, place / "m.safetensors", device="cpu")


@pytest.mark.parametrize("wrapped", [lambda array: array, lambda array: array[:4].rechunk(2)])
def test_masked_elements_of_a_dask_array_are_refused(wrapped):
    dask = pytest.importorskip("dask.array")
    masked = wrapped(dask.ma.masked_array(dask.from_array(TRUTH), np.eye(*TRUTH.shape, dtype=bool)))
    truth = np.asarray(wrapped(dask.from_array(TRUTH)))
    for call in (lambda: metrics.dice(masked, truth), lambda: unet2015.weight_map(masked)):
        with pytest.raises(ArgumentError, match=r"some elements are masked; fill them"):
            call()
    whole = wrapped(dask.ma.masked_array(dask.from_array(TRUTH), np.zeros(TRUTH.shape, bool)))
    assert metrics.dice(whole, truth) == 1
