import json

import numpy as np
import pytest
import tifffile

from tests.exchange.conftest import small_model
from unet2015.models.model_file import save_model
from unet2015.settings import Mapping


@pytest.fixture
def model_file(tmp_path):
    """The file of a small model that standardises."""
    model = small_model(mapping=Mapping(method="standardise"))
    save_model(tmp_path / "m.safetensors", model.network, model.info)
    return tmp_path / "m.safetensors"


def test_on_the_command_line(cli, refused, model_file, tmp_path):
    tifffile.imwrite(tmp_path / "i.tif", np.arange(64, dtype=np.uint8).reshape(8, 8))
    words = (
        "export",
        model_file,
        "-o",
        tmp_path / "out",
        "--format",
        "torchscript",
        "--format",
        "safetensors",
    )
    done = cli(*words, "--image", tmp_path / "i.tif")
    assert done.status == 0
    first, second = done.out.splitlines()
    assert first.startswith(
        f"{tmp_path / 'out' / 'model.torchscript.pt'}: differs from the model by at most "
    )
    assert second.endswith("on the test tiles")
    assert "the graphs take raw intensities, from which 31.5 is taken" in done.err
    refused(cli(*words), 1, "holds an export that takes other intensities")
    refused(cli(*words, "--mean", "a"), 2, "--mean: numbers with commas between them are needed, not 'a'")
    said = cli("export", model_file, "-o", tmp_path / "new", "--format", "torchscript", "--json")
    assert json.loads(said.out)["formats"]["torchscript"]["largest_difference"] < 1e-6
    assert "the program that runs the graph must map the whole image first" in said.err


def test_a_test_that_says_little_is_a_note(cli, tmp_path):
    model = small_model(mapping=Mapping(method="standardise"))
    for one in model.network.parameters():
        one.data.zero_()  # both classes are as likely everywhere
    save_model(tmp_path / "m.safetensors", model.network, model.info)
    done = cli(
        "export", tmp_path / "m.safetensors", "-o", tmp_path / "out", "--format", "torchscript", "--json"
    )
    assert done.status == 0
    (note,) = json.loads(done.out)["notes"]
    assert "the model's probabilities vary" in note
    assert f"{tmp_path / 'out'}: {note}" in done.err
