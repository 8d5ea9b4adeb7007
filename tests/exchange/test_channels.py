"""Whoever gets a graph is told which channels it takes, and in which order."""

import json

import pytest

from tests.exchange.conftest import small_model
from tests.networks.others import PointwiseSettings
from unet2015.exchange import ExportOptions, export_model
from unet2015.exchange.card import model_card
from unet2015.exchange.channels import channel_names, unique_names
from unet2015.exchange.intensities import Intensities
from unet2015.exchange.rdf import _input
from unet2015.models.model_file import ModelInfo
from unet2015.settings import Mapping

pytestmark = pytest.mark.usefixtures("others")


def about_channels(channels=2, **training):
    mapping = Mapping(method="integer-range")
    return ModelInfo(mapping=mapping, class_names=("a", "b"), in_channels=channels, training=training)


@pytest.mark.parametrize(
    ("about", "known", "unique"),
    [
        (about_channels(channel_names=["DAPI", "GFP"]), ["DAPI", "GFP"], ["DAPI", "GFP"]),
        (about_channels(1, channel_names=["DAPI"], channel="0"), ["DAPI"], ["DAPI"]),
        (about_channels(1, channel="1:GFP"), ["GFP"], ["GFP"]),
        (about_channels(1, channel="GFP"), ["GFP"], ["GFP"]),
        (about_channels(1, channel=2), ["channel 2"], ["channel 2"]),
        (about_channels(channel_names=["GFP", "GFP"]), ["GFP", "GFP"], ["channel0", "channel1"]),
        (about_channels(channel_names=["a\nb", "c\x1b[2J"]), None, None),
        (about_channels(channel_names=["a"]), [], ["channel0", "channel1"]),
        (about_channels(channel_names=["a", ""]), [], ["channel0", "channel1"]),
        (about_channels(channel_names={"a": 1}, channel=[3]), [], ["channel0", "channel1"]),
        (about_channels(), [], ["channel0", "channel1"]),
    ],
)
def test_names_of_channels(about, known, unique):
    if known is None:
        assert all(name.isprintable() for name in channel_names(about))
        return
    assert (channel_names(about), unique_names(about)) == (known, unique)


def test_they_stand_in_the_card_the_record_and_the_package(tmp_path):
    model = small_model(PointwiseSettings(), in_channels=2)
    model.info.training["channel_names"] = ["DAPI", "GFP"]
    taken = Intensities(None, "pixels")
    assert "2 channel(s): DAPI, GFP;" in model_card(model, taken, {})
    info = model.info.model_copy(update={"mapping": Mapping(method="standardise")})
    axes = _input(info, taken, {"test-input.npy": ""}, None, model.network.geometry)["axes"]
    assert axes[1]["channel_names"] == ["DAPI", "GFP"]
    export_model(model, tmp_path, ExportOptions(formats=("safetensors",)))
    assert json.loads((tmp_path / "export.record.json").read_text())["channels"] == ["DAPI", "GFP"]
