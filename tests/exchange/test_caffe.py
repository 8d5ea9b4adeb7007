"""The authors' release weights: a file in their format becomes the network that it was, or is refused."""

import contextlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn

from tests.exchange.caffe_files import encoded, layers_of
from unet2015.errors import ModelError
from unet2015.exchange.caffe import import_caffe, net, release, wire
from unet2015.exchange.caffe.release import release_layers
from unet2015.models.shipped import load_model
from unet2015.networks.unet2015 import UNet


def network(**changes):
    torch.manual_seed(3)
    made = UNet(**{"width": 2, "depth": 2, "variant": "release"} | changes).eval()
    for name, parameter in made.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.3)
    return made


SMALL = network()
LAYERS = list(layers_of(SMALL))


def written(folder, data):
    path = folder / "phseg_v5.caffemodel"
    path.write_bytes(data)
    return path


def changed(name, /, **changes):
    """Return the layers with one of them changed."""
    assert name in {layer["name"] for layer in LAYERS}
    return [layer | changes if layer["name"] == name else layer for layer in LAYERS]


def convolution(name, **changes):
    (layer,) = [layer for layer in LAYERS if layer["name"] == name]
    return changed(name, convolution=layer["convolution"] | changes)


@pytest.mark.parametrize("form", ["Layer", "V1"])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_network_comes_back_as_it_was(form, legacy, tmp_path):
    model = import_caffe(written(tmp_path, encoded(LAYERS, form, legacy)))
    image = torch.randn(1, 1, 60, 44)
    with torch.inference_mode():
        assert torch.equal(model.network(image), SMALL(image))
    assert not model.network.training
    assert model.info.network.variant == "release"
    assert (model.info.mapping.method, model.info.class_names) == ("integer-range", ("background", "cell"))
    assert model.info.learned is None
    assert model.info.training["imported_from"]["net"] == "phseg_test"


def test_channels_and_classes_are_those_of_the_file(tmp_path):
    made = network(in_channels=3, classes=4, width=1, depth=1)
    model = import_caffe(written(tmp_path, encoded(layers_of(made))))
    assert (model.info.in_channels, model.info.classes, model.info.axes) == (3, 4, "CYX")
    assert model.info.class_names == ("class 0", "class 1", "class 2", "class 3")


def test_the_layers_are_those_of_the_release():
    wide = UNet(variant="release")
    names = [layer.ours for layer in release_layers(4)]
    shapes = {name: tuple(value.shape) for name, value in wide.state_dict().items()}
    assert sorted(shapes) == sorted(f"{name}.{part}" for name in names for part in ("weight", "bias"))
    assert sum(np.prod(shape) for shape in shapes.values()) == 31_100_354
    assert [layer.caffe for layer in release_layers(4)][8:13] == [
        "conv_d4a-b", "conv_d4b-c", "upconv_d4c_u3a", "conv_u3b-c", "conv_u3c-d",
    ]  # fmt: skip


def as_caffe(layers, image):
    """Run layers as Caffe defines them, sum by sum, in double precision."""
    maps = {"d0a": image}
    for layer in layers:
        x = maps[layer["bottom"][0]]
        (top,) = layer["top"]
        if layer["type"] == "Convolution":
            weight, bias = (blob.astype(np.float64) for blob in layer["blobs"])
            windows = sliding_window_view(x, weight.shape[2:], (1, 2))
            maps[top] = np.einsum("chwij,ocij->ohw", windows, weight) + bias[:, None, None]
        elif layer["type"] == "Deconvolution":
            weight, bias = (blob.astype(np.float64) for blob in layer["blobs"])
            made = np.zeros((weight.shape[1], 2 * x.shape[1], 2 * x.shape[2]))
            for i in range(2):
                for j in range(2):
                    made[:, i::2, j::2] = np.einsum("chw,co->ohw", x, weight[:, :, i, j])
            maps[top] = made + bias[:, None, None]
        elif layer["type"] == "ReLU":
            maps[top] = np.maximum(x, 0)
        elif layer["type"] == "Pooling":
            maps[top] = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2).max((2, 4))
        elif layer["type"] == "Crop":
            like = maps[layer["bottom"][1]]
            rows, columns = ((a - b) // 2 for a, b in zip(x.shape[1:], like.shape[1:], strict=True))
            maps[top] = x[:, rows : rows + like.shape[1], columns : columns + like.shape[2]]
        else:
            maps[top] = np.concatenate([maps[name] for name in layer["bottom"]])
    return maps["score"]


def test_what_it_computes_is_what_caffe_computes(tmp_path):
    model = import_caffe(written(tmp_path, encoded(LAYERS)))
    image = np.random.default_rng(0).normal(size=(1, 44, 48))
    with torch.inference_mode():
        found = model.network.double()(torch.from_numpy(image)[None])[0].numpy()
    assert np.abs(found - as_caffe(LAYERS, image)).max() < 1e-12


FIRST = "conv_d0a-b"
ZEROS = np.zeros
OTHERS = {
    "another name": (
        changed(FIRST, name="conv1_1"),
        "layer 1 with weights is 'conv1_1', expected conv_d0a-b",
    ),
    "another shape": (
        changed("conv_u1b-c", blobs=[ZEROS((4, 6, 3, 3)), ZEROS(4)]),
        r"the layer conv_u1b-c has weights of the shapes \[\(4, 6, 3, 3\), \(4,\)\], expected \(4, 8, 3, 3\)",
    ),
    "the paper's": (
        list(layers_of(network(variant="paper"))),
        "the layer upconv_u1d_u0a has weights of the shapes",
    ),
    "no bias": (
        changed("conv_u0c-d", blobs=[ZEROS((2, 2, 3, 3))]),
        "the layer conv_u0c-d has weights of the",
    ),
    "another type": (
        changed("upconv_d2c_u1a", type="Convolution"),
        "is a Convolution, expected a Deconvolution",
    ),
    "one less": (LAYERS[:-1], "the layer conv_u0d-score is missing"),
    "one more": ([*LAYERS, LAYERS[0] | {"name": "more"}], "the layer 'more' comes after the last one"),
    "padding": (convolution("conv_d1a-b", pad=[1]), "the layer conv_d1a-b has padding 1, expected 0"),
    "stride": (convolution(FIRST, stride=[2]), "the layer conv_d0a-b has stride 2, expected 1"),
    "no stride": (
        convolution("upconv_d2c_u1a", stride=[]),
        "the layer upconv_d2c_u1a has stride 1, expected 2",
    ),
    "dilation": (convolution(FIRST, dilation=[2]), "has dilation 2, expected 1"),
    "groups": (convolution(FIRST, group=2), "has groups 2, expected 1"),
    "no ReLU": (
        [one for one in LAYERS if one["name"] != "relu_u1a"],
        "no ReLU follows the layer upconv_d2c_u1a",
    ),
    "leaky": (
        changed("relu_d0b", relu={"negative_slope": 0.1}),
        "after the layer conv_d0a-b has the slope 0.1",
    ),
    "ReLU at the end": (
        [*LAYERS, {"name": "last", "type": "ReLU", "bottom": ["score"], "top": ["score"]}],
        "a ReLU follows the last layer, conv_u0d-score",
    ),
    "another order": (changed("concat_u0", bottom=["d0cc", "u0a"]), "the layer concat_u0 has 'd0cc' first"),
    "no skip": ([one for one in LAYERS if one["name"] != "concat_u0"], "conv_u0b-c does not read two maps"),
    "mean pooling": (
        changed("pool_d0c-1a", pooling={"pool": 1, "kernel_size": 2, "stride": 2}),
        "the layer pool_d0c-1a is another pooling than the largest of 2 x 2",
    ),
    "large pooling": (
        changed("pool_d0c-1a", pooling={"kernel_size": 3, "stride": 2}),
        "pool_d0c-1a is another",
    ),
    "no pooling": ([one for one in LAYERS if one["type"] != "Pooling"], "it has 0 poolings, expected 2"),
}


@pytest.mark.parametrize(("layers", "words"), OTHERS.values(), ids=OTHERS)
def test_another_network_is_refused_and_the_first_layer_that_differs_is_named(layers, words, tmp_path):
    path = written(tmp_path, encoded(layers))
    with pytest.raises(
        ModelError, match=rf"{path.name}: not the network of the authors' release .*: .*{words}"
    ):
        import_caffe(path)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"tensor contract.0.0.weight holds values that are not finite"):
        import_caffe(
            written(tmp_path, encoded(changed(FIRST, blobs=[np.full((2, 1, 3, 3), np.nan), ZEROS(2)])))
        )


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"classes": 1}, "2 poolings, 2 channels and 1 classes are no possible network"),
        ({"classes": 300, "width": 1, "depth": 1}, "300 classes are no possible network"),
    ],
)
def test_a_network_that_no_model_can_have_is_refused(made, words, tmp_path):
    with pytest.raises(ModelError, match=words):
        import_caffe(written(tmp_path, encoded(layers_of(network(**made)))))


WHOLE = encoded(LAYERS[:3])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a Caffe model with weights: 0 layers"),
        (encoded([layer for layer in LAYERS if "blobs" not in layer]), "layers, none of them with weights"),
        (WHOLE[:-5], "not a readable Caffe model: field 100 has .* bytes, but only .* are left"),
        (b"\x08" + b"\xff" * 20, "a number does not end"),
        (b"\x03\x00", "the number 0"),
        (b"\x0b\x00", "field 1 has the coding 3"),
        (b"PK\x03\x04" + bytes(90), "not a"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "not a"),
        (b"\x10\x05", "a layer is not a message"),
    ],
)
def test_a_damaged_file_is_refused_by_name(data, words, tmp_path):
    with pytest.raises(ModelError, match=rf"phseg_v5\.caffemodel: .*{words}"):
        import_caffe(written(tmp_path, data))


def test_a_blob_whose_shape_is_not_that_of_its_numbers_is_refused(tmp_path):
    small = {"name": "a", "type": "Convolution", "bottom": [], "top": [], "blobs": [ZEROS((2, 3))]}
    data = encoded([small]).replace(b"\x0a\x02\x02\x03", b"\x0a\x02\x02\x04")
    with pytest.raises(
        ModelError, match=r"a blob of layer 'a' says that its shape is \[2, 4\], but has 6 numbers"
    ):
        import_caffe(written(tmp_path, data))


def test_bounds(monkeypatch, tmp_path):
    monkeypatch.setattr(net, "MOST_LAYERS", 3)
    with pytest.raises(ModelError, match="more than 3 layers"):
        import_caffe(written(tmp_path, encoded(LAYERS)))
    monkeypatch.setattr(net, "MOST_BLOBS", 1)
    with pytest.raises(ModelError, match="layer 'conv_d0a-b' has more than 1 blobs"):
        import_caffe(written(tmp_path, encoded(LAYERS)))
    monkeypatch.setattr(release, "LARGEST", 100)
    with pytest.raises(ModelError, match="bytes, more than a Caffe model can have"):
        import_caffe(written(tmp_path, encoded(LAYERS)))


@settings(max_examples=150)
@given(st.data())
def test_no_change_of_a_file_gives_anything_but_a_model_error(tmp_path_factory, data):
    raw = bytearray(encoded(layers_of(TINY)))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = written(tmp_path_factory.getbasetemp(), raw[: data.draw(st.integers(len(raw) // 2, len(raw)))])
    with contextlib.suppress(ModelError):
        import_caffe(path)


TINY = network(width=1, depth=1)


def test_fields_are_views():
    (one,) = wire.fields(memoryview(b"\x0a\x03abc"))
    assert one[:2] == (1, wire.LENGTH)
    assert bytes(one[2]) == b"abc"
    assert wire.varints(memoryview(b"\x96\x01\x05")) == [150, 5]


def test_it_is_read_as_any_other_model(tmp_path):
    from unet2015.models.model_file import save_model

    model = import_caffe(written(tmp_path, encoded(LAYERS)))
    save_model(tmp_path / "m.safetensors", model.network, model.info)
    assert load_model(tmp_path / "m.safetensors").info == model.info
