"""Caffe networks with the layers of the release that are joined otherwise, or have others between them."""

import pytest
import torch

from tests.exchange.caffe_files import encoded, layers_of
from tests.exchange.test_caffe import FIRST, LAYERS, SMALL, changed, network, written
from unet2015.errors import ModelError
from unet2015.exchange.caffe import import_caffe
from unet2015.settings import Mapping


def with_layer(after, kind, bottoms, top, name="extra"):
    """Return the layers with one more after another, or in front of all."""
    at = 0 if after is None else [layer["name"] for layer in LAYERS].index(after) + 1
    return [*LAYERS[:at], {"name": name, "type": kind, "bottom": bottoms, "top": [top]}, *LAYERS[at:]]


OTHERS = {
    f"{kind} between": (
        with_layer("relu_d0b", kind, ["d0b"], "d0b"),
        f"the layer extra is a {kind}, expected none",
    )
    for kind in ("TanH", "LRN", "BatchNorm", "Sigmoid", "Unknown")
}
OTHERS |= {
    f"{kind} in front": (
        with_layer(None, kind, ["d0a"], "d0a"),
        f"the layer extra is a {kind}, expected none",
    )
    for kind in ("MVN", "Power")
}
OTHERS |= {
    "Eltwise at the end": (
        with_layer(LAYERS[-1]["name"], "Eltwise", ["score", "score"], "sum"),
        "the layer extra is a Eltwise, expected none",
    ),
    "skip of the first map": (
        changed("crop_d0c", bottom=["d0b", "u0a"]),
        r"conv_u0b-c reads .*\(ReLU of conv_d0a-b, cropped to .*, expected .*\(ReLU of conv_d0b-c, cropped",
    ),
    "skip of another level": (
        changed("crop_d0c", bottom=["d1b", "u0a"]),
        "conv_u0b-c reads .* conv_d1a-b, cropped",
    ),
    "crop to another size": (
        changed("crop_d0c", bottom=["d0c", "u1a"]),
        "conv_u0b-c reads .* to upconv_d2c_u1a",
    ),
    "no crop": (
        changed("concat_u0", bottom=["u0a", "d0c"]),
        "conv_u0b-c reads ReLU of upconv_u1d_u0a beside ReLU of",
    ),
    "pooling of another map": (
        changed("pool_d0c-1a", bottom=["d0b"]),
        "conv_d1a-b reads the pooling of ReLU of conv_d0a-b, expected the pooling of ReLU of conv_d0b-c",
    ),
    "a map of no layer": (
        changed("concat_u0", bottom=["u0a", "garbage"]),
        "beside the input 'garbage', expected",
    ),
    "a layer left out": (
        changed("conv_d0b-c", bottom=["d0a"]),
        "conv_d0b-c reads the input 'd0a', expected ReLU of",
    ),
    "two inputs": (changed(FIRST, bottom=["d0a", "x"]), "conv_d0a-b reads the input 'd0a' and the input 'x'"),
}


@pytest.mark.parametrize(("layers", "words"), OTHERS.values(), ids=OTHERS)
def test_a_network_that_is_joined_otherwise_is_refused(layers, words, tmp_path):
    with pytest.raises(ModelError, match=f"not the network of the authors' release .*: .*{words}"):
        import_caffe(written(tmp_path, encoded(layers)))


def fed(kind="ImageData", name="data", **parts):
    return {"name": name, "type": kind, "bottom": [], "top": ["d0a", "label"], **parts}


PREPARED = {
    "as the release": (fed("HDF5Data"), None),
    "0 to 1": (fed(transform={"scale": 1 / 255}), None),
    "raw pixels": (fed(), (0.0, 1.0)),
    "by 256": (fed(transform={"scale": 1 / 256}), (0.0, 256.0)),
    "with a mean": (fed("Data", transform={"scale": 1 / 128, "mean_value": [96.0]}), (96.0, 224.0)),
    "a mean alone": (fed("MemoryData", transform={"mean_value": [127.5]}), (127.5, 128.5)),
    "as it was first": (fed(image_data={"source": "list.txt", "scale": 1 / 64}), (0.0, 64.0)),
}


@pytest.mark.parametrize("form", ["Layer", "V1"])
@pytest.mark.parametrize(("source", "ends"), PREPARED.values(), ids=PREPARED)
def test_what_the_layer_of_data_does_to_pixels_becomes_the_mapping(source, ends, form, tmp_path):
    info = import_caffe(written(tmp_path, encoded([source, *LAYERS], form))).info
    if ends is None:
        assert (info.mapping, info.dtype) == (Mapping(method="integer-range"), None)
    else:
        assert (info.mapping.method, info.dtype) == ("fixed", "uint8")
        assert (*info.mapping.low, *info.mapping.high) == pytest.approx(ends)


@pytest.mark.parametrize(
    ("kind", "turned", "said"),
    [
        ("ImageData", True, "the model takes red, green and blue"),
        ("WindowData", True, "the model takes red, green and blue"),
        ("Data", False, "if Caffe's convert_imageset made it, the three channels are blue, green and red"),
        ("HDF5Data", False, ""),
    ],
)
def test_colours_that_caffe_reads_as_blue_green_red(kind, turned, said, tmp_path, caplog):
    means = {} if kind == "HDF5Data" else {"transform": {"mean_value": [104.0, 117.0, 123.0]}}
    three = network(in_channels=3)
    model = import_caffe(written(tmp_path, encoded([fed(kind, **means), *layers_of(three)])))
    colours = torch.rand(1, 3, 60, 44)
    with torch.inference_mode():
        expected = three(colours.flip(1) if turned else colours)
        torch.testing.assert_close(model.network(colours), expected, rtol=1e-5, atol=1e-6)
    if means:
        assert model.info.mapping.low == ((123.0, 117.0, 104.0) if turned else (104.0, 117.0, 123.0))
    assert (said in caplog.text, said in model.info.summary) == (True, True)
    assert bool(caplog.text) == bool(said)


UNPREPARED = {
    "a mean image": (
        [fed(transform={"mean_file": "mean.binaryproto"})],
        "subtracts the mean image 'mean.binaryproto'",
    ),
    "means of other channels": ([fed(transform={"mean_value": [1, 2, 3]})], "of other channels"),
    "no scale": ([fed(transform={"scale": 0.0})], "impossible"),
    "a mean that is no number": ([fed(transform={"mean_value": [float("nan")]})], "impossible"),
    "HDF5, transformed": ([fed("HDF5Data", transform={"scale": 0.5})], "has the scale 0.5 .* expected none"),
    "two ways": (
        [fed(), fed(name="test", transform={"scale": 0.5})],
        "data and test prepare images differently",
    ),
}


@pytest.mark.parametrize(("sources", "words"), UNPREPARED.values(), ids=UNPREPARED)
def test_images_that_cannot_be_prepared_so_are_refused(sources, words, tmp_path):
    with pytest.raises(ModelError, match=words):
        import_caffe(written(tmp_path, encoded([*sources, *LAYERS])))


@pytest.mark.parametrize(
    ("crop", "words"),
    [
        ({"axis": 2, "offset": [16]}, None),
        ({"offset": [16, 16]}, None),
        ({"offset": [4]}, "crops at the offset 4, expected the middle, 16"),
        ({"offset": [16, 15]}, "the offset 16, 15, expected the middle, 16"),
        ({}, "the offset 0, expected the middle, 16"),
        ({"axis": 1, "offset": [16]}, "crops from axis 1 on, expected 2"),
    ],
)
def test_a_crop_that_is_not_the_middle_is_refused(crop, words, tmp_path):
    path = written(tmp_path, encoded(changed("crop_d0c", crop=crop)))
    if words is None:
        import_caffe(path)
        return
    with pytest.raises(ModelError, match=f"the layer crop_d0c .*{words}"):
        import_caffe(path)


@pytest.mark.parametrize("form", ["Layer", "V1"])
def test_layers_that_change_no_score_are_passed_over(form, tmp_path):
    more = [
        {"name": "data", "type": "HDF5Data", "bottom": [], "top": ["d0a", "label"]},
        *LAYERS,
        {"name": "loss", "type": "SoftmaxWithLoss", "bottom": ["score", "label"], "top": ["loss"]},
        {"name": "seen", "type": "Softmax", "bottom": ["score"], "top": ["seen"]},
    ]
    at = [layer["name"] for layer in more].index("relu_d0c") + 1
    split = {"name": "split", "type": "Split", "bottom": ["d0c"], "top": ["d0c_0", "d0c_1"]}
    drop = {"name": "drop", "type": "Dropout", "bottom": ["d0c_0"], "top": ["d0c_0"]}
    renamed = {"pool_d0c-1a": ["d0c_0"], "crop_d0c": ["d0c_1", "u0a"]}
    rest = [layer | {"bottom": renamed.get(layer["name"], layer["bottom"])} for layer in more[at:]]
    model = import_caffe(written(tmp_path, encoded([*more[:at], split, drop, *rest], form)))
    image = torch.randn(1, 1, 60, 44)
    with torch.inference_mode():
        assert torch.equal(model.network(image), SMALL(image))
