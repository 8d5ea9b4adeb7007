"""Results lie in the output folder and nowhere else, whatever inputs and links are called."""

import os

import numpy as np
import pytest
import tifffile

from unet2015.models.model_file import ModelInfo, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.settings import Mapping, NetworkSettings

IMAGE = np.arange(20 * 24, dtype=np.uint16).reshape(20, 24)


@pytest.fixture
def place(tmp_path):
    """A folder with a model in it, a folder for results, and one that must not change."""
    info = ModelInfo(
        mapping=Mapping(method="image-percentiles", low=(1,), high=(99,)),
        class_names=("a", "b"),
        network=NetworkSettings(width=1, depth=1),
    )
    save_model(tmp_path / "m.safetensors", UNet(1, 2, width=1, depth=1), info)
    for name in ("in", "out", "elsewhere"):
        (tmp_path / name).mkdir()
    return tmp_path


def everything(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def segment(cli, place, *inputs):
    return cli("segment", *inputs, "-o", place / "out", "--model", place / "m.safetensors", "--device", "cpu")


@pytest.mark.parametrize("name", ["..tif", "...tif"])
def test_a_name_of_dots_alone_is_refused(cli, place, refused, name):
    tifffile.imwrite(place / "in" / name, IMAGE)
    before = everything(place)
    refused(segment(cli, place, place / "in" / name), 2, name, "rename it")
    assert everything(place) == before


@pytest.mark.parametrize("name", ["...a.tif", "a b;c.tif", "-o.tif", "é\n.tif", "%s{}.tif"])
def test_strange_names_stay_in_the_folder(cli, place, name):
    tifffile.imwrite(place / "in" / name, IMAGE)
    before = everything(place)
    assert segment(cli, place, place / "in" / name).status == 0
    new = everything(place).keys() - before.keys()
    assert {path.parent for path in new} == {place / "out"}
    assert len(new) == 2


def test_an_input_by_way_of_dots_or_a_link(cli, place):
    tifffile.imwrite(place / "elsewhere" / "a.tif", IMAGE)
    (place / "in" / "b.tif").symlink_to(place / "elsewhere" / "a.tif")
    before = everything(place / "elsewhere")
    inputs = (place / "in" / ".." / "elsewhere" / "a.tif", place / "in" / "b.tif")
    assert segment(cli, place, *inputs).status == 0
    assert everything(place / "elsewhere") == before
    assert {path.name for path in (place / "out").iterdir()} == {
        "a.classes.tif", "a.record.json", "b.classes.tif", "b.record.json",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_links_in_the_output_folder_are_neither_followed_nor_replaced(cli, place, kind):
    tifffile.imwrite(place / "in" / "a.tif", IMAGE)
    (place / "elsewhere" / "mine").write_text("mine")
    for name in ("a.classes.tif", "a.record.json"):
        link = place / "out" / name
        if kind == "symbolic":
            link.symlink_to(place / "elsewhere" / "mine")
        else:
            os.link(place / "elsewhere" / "mine", link)
    before = everything(place / "elsewhere")
    ended = segment(cli, place, place / "in" / "a.tif")
    assert ended.status == 1
    assert "a.classes.tif: exists, and the record beside it" in ended.err
    assert "is not replaced; move it away" in ended.err
    assert everything(place / "elsewhere") == before
    assert (place / "out" / "a.classes.tif").is_symlink() == (kind == "symbolic")


def test_a_link_that_leads_nowhere_or_to_itself_is_an_error(cli, place):
    (place / "in" / "a.tif").symlink_to(place / "in" / "a.tif")
    (place / "in" / "b.tif").symlink_to(place / "nothing")
    for name in ("a.tif", "b.tif"):
        ended = segment(cli, place, place / "in" / name)
        assert ended.status == 1
        assert name in ended.err.splitlines()[0]
        assert "Traceback" not in ended.err
    assert [path.name for path in (place / "out").iterdir()] == ["failures.csv"]
