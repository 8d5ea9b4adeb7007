"""The package for bioimage.io: its description is the stored one, and says what lies in the zip."""

import hashlib
import io
import zipfile
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exchange.conftest import small_model
from unet2015.errors import ModelError
from unet2015.exchange import ExportOptions, bioimageio, export_model
from unet2015.exchange.formats import run_torchscript, write_torchscript
from unet2015.exchange.graph import ModelGraph, halo_of
from unet2015.exchange.intensities import choose_intensities
from unet2015.exchange.rdf import describe_model, to_yaml
from unet2015.settings import Mapping, NetworkSettings

STORED = Path(__file__).parent / "stored"
DEEP = NetworkSettings(width=1, depth=4)
FILES = ("model.onnx", "model.torchscript.pt", "test-input.npy", "test-output.npy")
MEMBERS = {*FILES, "README.md", "cover.png", "rdf.yaml"}


def described(halo=False, **changes):
    about = {"mapping": Mapping(method="standardise"), "name": "em-membrane", "pixel_size_nm": 4.0}
    about |= {"summary": 'cells: dark "edges"', "modality": "TEM", "terms": "MIT licence for the weights"}
    about |= {"citation": "One 2015, doi:10.1007/978-3-319-24574-4_28 (network); a page"}
    model = small_model(DEEP, **(about | changes))
    digests = {name: name[-1] * 64 for name in FILES}
    return describe_model(
        model, choose_intensities(model.info), digests, halo_of(model.network.geometry) if halo else None
    )


@pytest.mark.parametrize("halo", [False, True], ids=["valid", "halo"])
def test_the_description_is_the_stored_one(halo):
    # The stored files were validated with bioimageio.spec, and such packages run with bioimageio.core:
    # python -m benchmarks.conformance
    found = described(halo)
    del found["weights"]["torchscript"]["pytorch_version"]
    name = "halo.yaml" if halo else "valid.yaml"
    assert to_yaml(found) == (STORED / name).read_text()
    assert yaml.safe_load(to_yaml(found)) == found


def test_height_and_width_of_a_pixel_are_told_apart():
    axes = described(training={"pixel_height_nm": 9.0})["inputs"][0]["axes"]
    assert {axis["id"]: axis["scale"] for axis in axes if "scale" in axis} == {"y": 9.0, "x": 4.0}


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"mapping": Mapping(method="fixed", low=(0,), high=(9,))}, []),
        (
            {"mapping": Mapping(method="image-percentiles", low=(1.5,), high=(99,))},
            [
                {
                    "id": "scale_range",
                    "kwargs": {
                        "axes": ["y", "x"],
                        "eps": 1e-12,
                        "min_percentile": 1.5,
                        "max_percentile": 99.0,
                    },
                }
            ],
        ),
    ],
)
def test_what_needs_the_whole_image_is_declared(changes, steps):
    (image,) = described(**changes)["inputs"]
    assert image["preprocessing"] == [{"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}, *steps]


@pytest.mark.parametrize(
    "about",
    [
        {"mapping": Mapping(method="integer-range"), "dtype": None},
        {"mapping": Mapping(method="image-percentiles", low=(0.1,), high=(0.9,))},
    ],
)
def test_a_mapping_that_the_format_lacks_is_refused(about, tmp_path):
    with pytest.raises(ModelError, match=r"bioimage.io has no pre-processing for .*; --image FILE puts"):
        export_model(small_model(**about), tmp_path, ExportOptions(formats=("bioimageio",)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("abc", "unet2015 abc"),
        ("", "unet2015 model"),
        ("zellen/größe:1", "zellen-gr--e-1"),
        ("n" * 99, "n" * 64),
    ],
)
def test_names_have_the_letters_of_the_format(title, name):
    assert described(name=title)["name"] == name


def test_terms_that_name_no_licence_give_none():
    assert "license" not in described(terms="ask the LIMITED company")
    assert described(terms="Apache-2.0")["license"] == "Apache-2.0"


VALUES = st.recursive(
    st.text() | st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=9,
)


@settings(max_examples=30)
@given(st.dictionaries(st.sampled_from("abcd"), VALUES, min_size=1))
def test_yaml_is_read_as_it_was(value):
    assert yaml.safe_load(to_yaml(value)) == value


@pytest.fixture
def scripted(monkeypatch):
    """Write TorchScript where ONNX belongs, which takes seconds less."""
    monkeypatch.setattr(bioimageio, "write_onnx", write_torchscript)
    monkeypatch.setattr(bioimageio, "run_onnx", run_torchscript)


def test_both_packages_hold_what_they_say(scripted, tmp_path):
    model = small_model(DEEP, mapping=Mapping(method="standardise"))
    export_model(model, tmp_path, ExportOptions(formats=("bioimageio",)))
    for name, offset, halo in (("model.bioimageio.zip", -184, None), ("model-halo.bioimageio.zip", 0, 96)):
        with zipfile.ZipFile(tmp_path / name) as package:
            assert set(package.namelist()) == MEMBERS
            rdf = yaml.safe_load(package.read("rdf.yaml"))
            (image,), (made,) = rdf["inputs"], rdf["outputs"]
            for said in (image["test_tensor"], made["test_tensor"], *rdf["weights"].values()):
                assert hashlib.sha256(package.read(said["source"])).hexdigest() == said["sha256"]
            tile, answer = (
                np.load(io.BytesIO(package.read(one))) for one in ("test-input.npy", "test-output.npy")
            )
            assert imagecodecs.png_decode(package.read("cover.png")).shape == (256, 512)
            assert "## Validation" in package.read("README.md").decode()
        for axis in (2, 3):
            assert (tile.shape[axis] - image["axes"][axis]["size"]["min"]) % 16 == 0
            assert made["axes"][axis]["size"]["offset"] == offset
            assert made["axes"][axis].get("halo") == halo
            assert answer.shape[axis] == tile.shape[axis] + offset
        assert tile.max() > 100  # raw, as the declared pre-processing wants it


def test_a_halo_that_keeps_something_wrong_is_found(scripted, monkeypatch, tmp_path):
    other = small_model(DEEP).network
    other.head.bias.data += torch.tensor([0.1, 0.0])
    monkeypatch.setattr(bioimageio, "ModelGraph", lambda _, scale, halo: ModelGraph(other, scale, halo))
    model = small_model(DEEP)
    with pytest.raises(
        ModelError, match="what is kept of a block of 272 x 288 px is not what the model gives"
    ):
        export_model(model, tmp_path, ExportOptions(formats=("bioimageio",)))
    assert list(tmp_path.iterdir()) == []
