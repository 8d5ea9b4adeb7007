"""The test tile of an export: the model's answers vary on it, so that a file that is wrong does not pass."""

import json

import numpy as np
import pytest
import torch

from tests.exchange.conftest import small_model
from tests.networks.others import PointwiseSettings
from unet2015.errors import ModelError
from unet2015.exchange import ExportOptions, export_model
from unet2015.exchange.graph import ModelGraph
from unet2015.exchange.samples import PICTURES, TELLING, spread_of
from unet2015.settings import Mapping

pytestmark = pytest.mark.usefixtures("others")
SCRIPT = ExportOptions(formats=("torchscript",))
DARK = {"mapping": Mapping(method="integer-range"), "dtype": "uint16", "training": {"bits": [16]}}
FIXED = {"mapping": Mapping(method="fixed", low=(0.0,), high=(65535.0,)), "dtype": "uint16"}
PERCENTILES = Mapping(method="image-percentiles", low=(1.0,), high=(99.0,))


def at(middle, steepness, **changes):
    """A model whose probability of class 1 rises where the mapped intensity is `middle`."""
    model = small_model(PointwiseSettings(width=1), **changes)
    first, head = model.network.first, model.network.head
    above = 2 if abs(steepness) >= 400 else 9  # 0 for all that comes; more would round where it is steep
    with torch.no_grad():
        first.weight.fill_(1)
        first.bias.fill_(above)
        head.weight.copy_(torch.tensor([0.0, steepness]).reshape(2, 1, 1, 1))
        head.bias.copy_(torch.tensor([0.0, -steepness * (above + middle)]))
    return model


@pytest.mark.parametrize(
    ("middle", "steepness", "about"),
    [
        (0.03, 400, DARK),  # 12 bits in files of 16: the pixels fill a sixteenth of the range
        (0.002, 4000, DARK),
        (0.03, 400, FIXED),
        (0.03, -400, FIXED),
        (0.5, 10, DARK),
        (1.2, -100, {"mapping": Mapping(method="standardise")}),
        (0.03, 400, {"mapping": PERCENTILES}),
        (0.03, 400, DARK | {"dtype": None}),
    ],
    ids=["12 of 16", "8 of 16", "fixed", "falling", "16", "standardise", "percentiles", "no type"],
)
def test_answers_vary_on_the_test_tile_of_every_mapping(middle, steepness, about, tmp_path, caplog):
    report = export_model(at(middle, steepness, **about), tmp_path, SCRIPT)
    found = np.load(tmp_path / "test-output.npy")
    assert spread_of(found) >= TELLING
    assert json.loads((tmp_path / "export.record.json").read_text())["test_spread"] == spread_of(found)
    assert report.notes == ()
    assert not caplog.messages


def test_a_graph_that_does_not_look_at_dark_pixels_is_refused(tmp_path, monkeypatch):
    def blind(self, image):
        return torch.cat([0 * image, 0 * image + 1], dim=1)

    monkeypatch.setattr(ModelGraph, "forward", blind)
    with pytest.raises(ModelError, match=r"probabilities differ from the model's by up to 1\.0e\+00"):
        export_model(at(0.03, 400, **DARK), tmp_path / "out", SCRIPT)
    assert not list((tmp_path / "out").iterdir())


def test_an_export_whose_test_says_little_says_so(tmp_path, caplog):
    constant = at(0.5, 0, mapping=Mapping(method="standardise"))
    (note,) = export_model(constant, tmp_path, SCRIPT).notes
    assert note.startswith("the test says little, and a file that is wrong may pass it")
    assert f"{tmp_path}: {note}" in caplog.messages


def test_probabilities_that_are_no_numbers_do_not_vary():
    assert spread_of(np.full((1, 2, 5, 5), np.nan, np.float32)) == 0


def test_pictures_are_of_the_range_that_is_drawn():
    drawn = np.random.default_rng(0).uniform(0, 255, (2, 20, 30))
    for picture in PICTURES:
        made = picture(drawn)
        assert made.shape == drawn.shape
        assert made.min() >= 0
        assert made.max() <= 255
