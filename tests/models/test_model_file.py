import json
import pickle
import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from unet2015.errors import ImageWriteError, ModelError
from unet2015.models.model_file import Model, ModelInfo, read_model_file, save_model
from unet2015.models.shipped import find_model
from unet2015.models.tensors import load_tensors, save_tensors
from unet2015.networks.unet2015 import UNet
from unet2015.settings import Mapping, NetworkSettings


def info(**changes):
    fields = {
        "network": NetworkSettings(width=2, depth=1),
        "mapping": Mapping(method="fixed", low=(3.5,), high=(250.25,)),
        "class_names": ("membrane", "cell"),
        "threshold": 0.25,
        "training": {"steps": 7},
    }
    return ModelInfo(**(fields | changes))


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, UNet(width=2, depth=1), info())
    return path


def rewritten(path, change):
    """Write the model file again with its header changed, and without the digest that would tell."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    change(header)
    (header.get("__metadata__") or {}).pop("sha256", None)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size :])


def test_a_model_comes_back_as_it_was(tmp_path):
    network = UNet(width=2, depth=1)
    save_model(tmp_path / "m.safetensors", network, info())
    model = read_model_file(tmp_path / "m.safetensors")
    assert model.info == info()
    assert not model.network.training
    assert all(
        torch.equal(a, b)
        for a, b in zip(network.state_dict().values(), model.network.state_dict().values(), strict=True)
    )
    assert len(model.sha256) == 64


def test_half_precision_weights_are_read_as_float32(tmp_path):
    network = UNet(width=2, depth=1)
    save_model(tmp_path / "m.safetensors", network, info(), torch.float16)
    weights = read_model_file(tmp_path / "m.safetensors").network.head.weight
    assert weights.dtype == torch.float32
    assert torch.allclose(weights, network.head.weight, atol=1e-3)


def test_another_architecture_names_tensor_and_shapes(model_file):
    text = info(network=NetworkSettings(width=4, depth=1)).model_dump_json()
    rewritten(model_file, lambda header: header["__metadata__"].update(unet2015=text))
    with pytest.raises(
        ModelError, match=r"model\.safetensors.*contract\.0\.0.*\(2, 1, 3, 3\).*\(4, 1, 3, 3\)"
    ):
        read_model_file(model_file)


def test_a_deeper_architecture_names_the_missing_tensor(model_file):
    text = info(network=NetworkSettings(width=2, depth=2)).model_dump_json()
    rewritten(model_file, lambda header: header["__metadata__"].update(unet2015=text))
    with pytest.raises(ModelError, match=r"missing|shape"):
        read_model_file(model_file)


def test_a_huge_declared_network_takes_no_memory(model_file):
    text = info(network=NetworkSettings(width=65_536, depth=8)).model_dump_json()
    rewritten(model_file, lambda header: header["__metadata__"].update(unet2015=text))
    with pytest.raises(ModelError, match="shape"):
        read_model_file(model_file)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_weights_that_are_not_finite_are_refused(tmp_path, dtype, value):
    network = UNet(width=2, depth=1)
    with torch.no_grad():
        network.head.weight[1, 1] = float(value)
    save_model(tmp_path / "m.safetensors", network, info(), dtype)
    with pytest.raises(ModelError, match=r"head\.weight.*not finite"):
        read_model_file(tmp_path / "m.safetensors")


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_weights_in_a_quarter_of_the_bytes_are_read_and_checked(tmp_path, dtype):
    network = UNet(width=2, depth=1)
    save_model(tmp_path / "m.safetensors", network, info(), dtype)
    weight = read_model_file(tmp_path / "m.safetensors").network.head.weight
    assert torch.equal(weight, network.head.weight.to(dtype).float())
    network.head.weight.data[1, 1] = float("nan")
    save_model(tmp_path / "m.safetensors", network, info(), dtype)
    with pytest.raises(ModelError, match=r"head\.weight.*not finite"):
        read_model_file(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not a readable"),
        (b"II*\0 not a model", "not a readable"),
        (pickle.dumps({"a": torch.zeros(1)}), "not a readable"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, content, why):
    path = tmp_path / "other.bin"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"other.bin.*{why}"):
        read_model_file(path)


def test_a_pickle_is_never_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    path = tmp_path / "trap.pt"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelError):
        read_model_file(path)
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(ModelError):
        read_model_file(path)
    assert not (tmp_path / "sprung").exists()


def test_safetensors_of_others_are_refused(tmp_path):
    save_file({"x": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="not of unet2015"):
        read_model_file(tmp_path / "x.safetensors")


def test_a_missing_file_and_a_folder_are_said(tmp_path):
    with pytest.raises(ModelError, match="No such"):
        read_model_file(tmp_path / "none")
    with pytest.raises(ModelError, match="directory"):
        read_model_file(tmp_path)


def test_unknown_keys_in_the_description_are_refused(model_file):
    text = json.dumps(json.loads(info().model_dump_json()) | {"surprise": 1})
    rewritten(model_file, lambda header: header["__metadata__"].update(unet2015=text))
    with pytest.raises(ModelError, match="surprise"):
        read_model_file(model_file)


def test_nothing_is_left_where_a_model_cannot_be_written(tmp_path):
    with pytest.raises(ImageWriteError, match="does not exist"):
        save_model(tmp_path / "none" / "m.safetensors", UNet(width=1, depth=0), info())
    assert list(tmp_path.iterdir()) == []


def outcome_of(path):
    try:
        return read_model_file(path)
    except ModelError as error:
        return error


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_gives_one_clear_error_or_a_model(model_file, data):
    raw = bytearray(model_file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = model_file.with_name("damaged.safetensors")
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    outcome = outcome_of(path)
    if isinstance(outcome, ModelError):
        assert "damaged.safetensors" in str(outcome)
    else:
        model = outcome
        assert all(bool(torch.isfinite(tensor).all()) for tensor in model.network.state_dict().values())


def described(path, **changes):
    """A model file whose description is changed in ways that `ModelInfo` might not allow."""
    text = json.dumps(info().model_dump(mode="json") | changes)
    save_tensors(path, dict(UNet(1, 2, width=2, depth=1).state_dict()), text)
    return path


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"in_channels": 2**40, "mapping": {"method": "integer-range"}}, "no possible network"),
        ({"in_channels": 10**18, "mapping": {"method": "integer-range"}}, "no possible network"),
        ({"in_channels": 10**30, "mapping": {"method": "integer-range"}}, "no possible network"),
        ({"network": {"width": 10**15, "depth": 8}}, "no possible network"),
        ({"network": {"width": 10**4, "depth": 8}}, "missing|shape"),
        ({"mapping": {"method": "standardise", "low": [1], "high": [99]}}, "0 values of low and high"),
        ({"mapping": {"method": "standardised"}}, "mapping.method"),
        ({"mapping": {"method": "image-percentiles"}}, "1 values of low and high"),
        ({"mapping": {"method": "image-percentiles", "low": [50], "high": [20]}}, "percentiles"),
        ({"mapping": {"method": "image-percentiles", "low": [-1], "high": [200]}}, "percentiles"),
        ({"mapping": {"method": "fixed", "low": [0, 1], "high": [2, 3]}}, "1 values of low and high"),
        ({"mapping": {"method": "fixed", "low": [0], "high": [1e999]}}, "finite"),
        ({"class_names": "x" * 10**5}, "description"),
        ({"mapping": {"method": "fixed", "low": [0], "high": [1], "lo": 1}}, "mapping.lo: no such setting"),
        (
            {"objects": {"markers": {"blurr": 1}}},
            "objects.markers.blurr: no such setting.* did you mean 'blur'",
        ),
        ({"objects": {"smalest": 3}}, "objects.smalest: no such setting.* did you mean 'smallest'"),
    ],
)
def test_a_description_that_cannot_be_is_refused_in_one_line(tmp_path, changes, word):
    path = described(tmp_path / "m.safetensors", **changes)
    with pytest.raises(ModelError, match=word) as caught:
        read_model_file(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_description_nested_without_end_is_refused(tmp_path):
    network = UNet(1, 2, width=1, depth=1)
    save_tensors(tmp_path / "m.safetensors", dict(network.state_dict()), "[" * 100_000)
    with pytest.raises(ModelError, match="description"):
        read_model_file(tmp_path / "m.safetensors")


def test_the_same_tensors_and_words_give_the_same_bytes(tmp_path):
    """The library writes two metadata in an order of its own, another each time."""
    tensors = {"b": torch.arange(3.0), "a": torch.ones(2, 2, dtype=torch.float16)}
    files = [tmp_path / f"{number}.safetensors" for number in range(12)]
    for file in files:
        save_tensors(file, tensors, '{"word": "ä"}')
    assert len({file.read_bytes() for file in files}) == 1
    found, text, *_ = load_tensors(files[0])
    assert text == '{"word": "ä"}'
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_reading_a_model_does_not_load_the_compiler(model_file):
    """Weights drawn on the device ``meta`` would load it, which takes seconds."""
    code = (
        "import sys; from unet2015.models import load_model; load_model(sys.argv[1]); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(model_file)], check=True)


def test_a_model_says_what_it_is_in_one_line(tmp_path):
    known = read_model_file(find_model("em-membrane"))
    assert repr(known) == (
        "<Model em-membrane: U-Net (paper) of width 32 and depth 4, 1 channel, classes membrane, cell, "
        f"SHA-256 {known.sha256[:12]}>"
    )
    info = known.info.model_copy(update={"name": "", "learned": False})
    odd = Model(known.network, info, "", tmp_path / "a\nb")
    assert "\n" not in repr(odd)
    assert repr(odd).endswith(", has not learned>")
    assert "not in a file" in repr(Model(odd.network, odd.info))
