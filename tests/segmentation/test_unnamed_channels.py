"""An image that does not name its channels may have them in another order than a model that knows them."""

import json

import numpy as np
import pytest
import tifffile

from unet2015.images.array_image import ArrayImage
from unet2015.images.reader import open_image
from unet2015.models.model_file import read_model_file, save_model
from unet2015.models.unlike import notes_on_image, notes_on_start
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.in_memory import segment
from unet2015.segmentation.options import SegmentOptions

PLANES = np.random.default_rng(0).integers(0, 256, (3, 40, 50), np.uint8)
WORDS = "but which channels this image has, in which order, is not known"


def named_model(path, make_model, names, channels=2):
    """Write a model whose record says what the channels that it was trained on are called."""
    loaded = read_model_file(make_model(path, channels))
    training = {} if names is None else {"channel_names": names}
    save_model(path, loaded.network, loaded.info.model_copy(update={"training": training}))
    return path


def said(image, path):
    info = read_model_file(path).info
    notes = notes_on_image(image, info)
    assert notes_on_start(image, info) == notes
    return notes


def test_the_channels_that_the_model_expects_are_said_once(tmp_path, make_model, caplog):
    path = named_model(tmp_path / "m.safetensors", make_model, ["DAPI", "GFP"])
    images = [tmp_path / "i" / f"{name}.tif" for name in "ab"]
    images[0].parent.mkdir()
    for number, image in enumerate(images):
        tifffile.imwrite(image, PLANES[number : number + 2], imagej=True, metadata={"axes": "CYX"})
    found = segment_files(images, tmp_path / "o", path, SegmentOptions(device="cpu"))
    for image, one in zip(images, found, strict=True):
        (note,) = one.notes
        assert note.startswith(f"the model was trained on channels named DAPI, GFP, in this order, {WORDS}")
        assert one.as_dict()["notes"] == [note]
        record = json.loads((tmp_path / "o" / f"{image.stem}.record.json").read_text())
        assert record["notes"] == [note]
    assert caplog.messages.count(f"{images[0]}: {note}") == 1
    assert not any(line.startswith(f"{images[1]}: the model") for line in caplog.messages)
    caplog.clear()
    segment(PLANES[:2], path, axes="CYX", device="cpu")  # an array never tells
    assert caplog.text.count(WORDS) == 1


def test_names_that_axes_of_the_user_set_aside_are_not_known(tmp_path, make_model):
    path = named_model(tmp_path / "m.safetensors", make_model, ["DAPI", "GFP"])
    about = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", PLANES[:2], ome=True, metadata=about, photometric="minisblack")
    for axes in (None, "CYX"):
        with open_image(tmp_path / "a.ome.tif", axes=axes) as image:
            assert [WORDS in note for note in said(image, path)] == [True] * (axes is not None)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["DAPI", "GFP"], "DAPI, GFP"),
        (["DAPI", ""], "DAPI, (no name)"),
        (["488", "561"], "488, 561"),
        (["Channel 1", "GFP"], "Channel 1, GFP"),
        (["Channel 1", "Channel 0"], "Channel 1, Channel 0"),
        (["0", "1"], None),
        (["C1", "C2"], None),
        (["Channel:0:0", "Channel:0:1"], None),
        (["Ch 9" + "9" * 9000, "x"], "Ch 9"),
        ([1, 2], None),
        (["DAPI"], None),
        (["DAPI", "GFP", "Cy5"], None),
        ("DG", None),
        (None, None),
    ],
)
def test_names_that_tell_the_order_alone_say_nothing(tmp_path, make_model, names, expected):
    path = named_model(tmp_path / "m.safetensors", make_model, names)
    found = said(ArrayImage(PLANES[:2], "CYX"), path)
    assert [f"channels named {expected}" in note and WORDS in note for note in found] == [True] * (
        expected is not None
    )


def test_one_channel_says_nothing(tmp_path, make_model):
    path = named_model(tmp_path / "m.safetensors", make_model, ["DAPI"], channels=1)
    assert said(ArrayImage(PLANES[0], "YX"), path) == ()


@pytest.mark.parametrize(("name", "told"), [("GFP", True), ("C2", False), ("", False)])
@pytest.mark.parametrize("given", ["1", None])
def test_a_channel_by_its_number_of_an_image_that_does_not_name_it_is_said(
    tmp_path, make_model, name, told, given
):
    path = make_model(tmp_path / "m.safetensors", 1)
    loaded = read_model_file(path)
    training = {"channel_names": [name]} if given is None else {"channel": given, "channel_names": [name]}
    save_model(path, loaded.network, loaded.info.model_copy(update={"training": training}))
    tifffile.imwrite(tmp_path / "a.tif", PLANES[:2], imagej=True, metadata={"axes": "CYX"})
    with open_image(tmp_path / "a.tif", channel="1") as image:
        found = said(image, path)
    words = "the model was trained on the channel GFP, but whether channel 1 of this image is the same is not"
    assert [one.startswith(words) for one in found] == [True] * told


@pytest.mark.parametrize("names", [["red", "green", "blue"], ["R", "G", "B"], ["DAPI", "GFP", "Cy5"]])
def test_pictures_in_colours_and_models_of_colours_say_nothing(tmp_path, make_model, names):
    path = named_model(tmp_path / "m.safetensors", make_model, names, channels=3)
    tifffile.imwrite(tmp_path / "contig.tif", np.moveaxis(PLANES, 0, -1), photometric="rgb")
    tifffile.imwrite(tmp_path / "planar.tif", PLANES, photometric="rgb", planarconfig="separate")
    for name in ("contig", "planar"):
        with open_image(tmp_path / f"{name}.tif") as image:
            assert said(image, path) == ()
    found = said(ArrayImage(PLANES, "CYX"), path)
    assert [WORDS in note for note in found] == [True] * ("DAPI" in names)
