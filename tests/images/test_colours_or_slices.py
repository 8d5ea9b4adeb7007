"""Slices stored as colours, and colours stored as slices: the advice leads to what was meant."""

import numpy as np
import pytest
import tifffile

from tests.exchange.conftest import small_model
from unet2015 import segment
from unet2015.errors import AxesError, ImageReadError, ImageValueError
from unet2015.images.array_image import ArrayImage
from unet2015.images.reader import open_image
from unet2015.objects.stored_labels import StoredLabels

RNG = np.random.default_rng(0)
SLICES = RNG.integers(0, 255, (4, 20, 30), np.uint8)
COLOURS = RNG.integers(0, 255, (5, 20, 30, 4), np.uint8)
ADVICE = "if these are 4 slices, which tifffile may store so, give --axes ZYX"


@pytest.fixture
def stored_as_colours(tmp_path):
    """Four slices as tifffile stores them where it is not told more: as red, green, blue and alpha."""
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, SLICES, photometric="rgb", planarconfig="separate")
    return path


def test_four_slices_that_a_file_calls_colours_are_asked_about(stored_as_colours):
    with open_image(stored_as_colours) as image:
        assert (image.axes, image.channels) == ("CYX", 3)
        assert image.notes == (f"1 of 4 planes is alpha, as the header says; {ADVICE}",)
        with pytest.raises(ImageReadError, match=f"transparent pixels.*; {ADVICE}$"):
            image.read(0, 0, 20, 0, 30)
    with open_image(stored_as_colours, "ZYX") as image:
        assert image.notes == ()
        assert np.array_equal(np.stack([image.read(page, 0, 20, 0, 30)[0] for page in range(4)]), SLICES)


def test_labels_stored_as_colours_are_told_which_axes_they_have(stored_as_colours):
    with (
        open_image(stored_as_colours, labels=True) as image,
        pytest.raises(
            ImageValueError, match="if C are no channels but pages, give --axes ZYX; labels are one"
        ),
    ):
        StoredLabels(image)


@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize("shape", ["one", "several"])
def test_colours_that_lie_together_are_no_slices(tmp_path, opaque, shape):
    pixels = COLOURS if shape == "several" else COLOURS[0]
    pixels = np.concatenate([pixels[..., :3], np.full_like(pixels[..., :1], 255)], -1) if opaque else pixels
    tifffile.imwrite(tmp_path / "c.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    with open_image(tmp_path / "c.tif") as image:
        assert image.notes == ()
        if opaque:
            assert np.array_equal(
                image.read(0, 0, 20, 0, 30), np.moveaxis(pixels.reshape(-1, 20, 30, 4)[0], -1, 0)[:3]
            )
            return
        with pytest.raises(ImageReadError, match="transparent") as raised:
            image.read(0, 0, 20, 0, 30)
    assert "slices" not in str(raised.value)
    assert "--axes" not in str(raised.value)


@pytest.mark.parametrize("colours", [3, 4])
def test_colours_stored_as_the_columns_of_gray_pages_are_refused(tmp_path, colours):
    pixels = COLOURS[..., :colours]
    tifffile.imwrite(tmp_path / "many.tif", pixels, photometric="minisblack")
    with pytest.raises(
        AxesError, match=rf"100 pages of 30 x {colours} px .* {colours} colours a pixel; .*'rgb'\)$"
    ):
        open_image(tmp_path / "many.tif")
    tifffile.imwrite(tmp_path / "one.tif", pixels[0], photometric="minisblack")
    with pytest.raises(AxesError, match="or, if they are pages, give --axes IYX"):
        open_image(tmp_path / "one.tif")
    with open_image(tmp_path / "one.tif", "IYX") as image:
        assert (image.pages, image.height, image.width) == (20, 30, colours)


@pytest.mark.parametrize("shape", [(3, 30, 4), (20, 4, 4), (20, 30, 5), (1, 30, 4)])
def test_other_narrow_pages_are_pages(tmp_path, shape):
    tifffile.imwrite(tmp_path / "n.tif", np.ones(shape, np.uint8), photometric="minisblack")
    with open_image(tmp_path / "n.tif") as image:
        assert (image.pages, image.height, image.width) == shape


@pytest.mark.parametrize(
    ("shape", "such"),
    [
        ((4, 20, 30, 4), "ZYXC"),
        ((5, 4, 20, 30, 3), "TZYXC"),
        ((4, 4, 20, 30), "ZCYX"),
        ((4, 3, 4, 3), "ZCYX"),
    ],
)
def test_the_axes_that_are_named_for_an_array_fit_it(shape, such):
    with pytest.raises(AxesError, match=f"needs axes, such as '{such}'"):
        ArrayImage(np.zeros(shape, np.uint8))
    assert ArrayImage(np.zeros(shape, np.uint8), such).channels == shape[such.index("C")]


def test_alpha_of_an_array_is_left_out_as_told():
    model = small_model(in_channels=3)
    with pytest.raises(ImageValueError, match=r"if the last one is alpha, give array\[\.\.\., :3\]$"):
        segment(COLOURS, model, axes="ZYXC")
    assert segment(COLOURS[..., :3], model, axes="ZYXC").shape == COLOURS.shape[:3]
