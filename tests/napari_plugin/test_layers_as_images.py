"""A layer as an image: its axes, pixels and pixel size; and where results of it lie."""

from types import SimpleNamespace

import numpy as np
import pytest

from unet2015.errors import AxesError, ImageValueError
from unet2015.images.axes import UNCALIBRATED
from unet2015.napari_plugin.layers import LayerImage, check_channels, placement

PIXELS = np.random.default_rng(0).integers(0, 255, (2, 3, 4, 5, 6), np.uint8)


@pytest.mark.parametrize(
    ("names", "rgb", "axes"),
    [
        (("-2", "-1"), False, "YX"),
        (("-3", "-2", "-1"), False, "IYX"),
        (("-4", "-3", "-2", "-1"), False, "IZYX"),
        (("t", "-3", "y", "x"), False, "TIYX"),
        (("Time", "Z", "Y", "X"), False, "TZYX"),
        (("z", "c", "y", "x"), False, "ZCYX"),
        (("y", "x"), True, "YXC"),
        (("-3", "-2", "-1"), True, "IYXC"),
    ],
)
def test_axes_are_those_that_the_layer_names(layer, names, rgb, axes):
    shape = (*range(3, 3 + len(names)), *([3] if rgb else []))
    image = LayerImage(layer(np.zeros(shape, np.uint8), axis_labels=names, rgb=rgb))
    assert image.axes == axes
    assert image.shape == shape


@pytest.mark.parametrize("names", [("-5", "-4", "-3", "-2", "-1"), ("z", "c", "-3", "y", "x")])
def test_regions_are_those_of_the_array(layer, names):
    image = LayerImage(layer(PIXELS, axis_labels=names))
    for page in range(image.pages):
        found = image.read(page, 1, 4, 2, 6)
        place = np.unravel_index(page, image.page_shape)
        channels = PIXELS[place[0], :, place[1]] if "c" in names else PIXELS[place][None]
        expected = channels[:, 1:4, 2:6]
        assert np.array_equal(found, expected)


def test_of_several_resolutions_the_full_one_is_read(layer):
    image = LayerImage(layer([PIXELS[0, 0], PIXELS[0, 0, :, ::2, ::2]], multiscale=True))
    assert image.shape == PIXELS[0, 0].shape


def test_colours_are_channels_and_opaque_alpha_is_left_out(layer):
    colours = np.full((4, 5, 4), 255, np.uint8)
    colours[..., :3] = PIXELS[0, 0, :3, :4, :5].transpose(1, 2, 0)
    image = LayerImage(layer(colours, rgb=True))
    assert (image.channels, image.shape) == (3, (4, 5, 3))
    assert np.array_equal(image.read(0, 0, 4, 0, 5), PIXELS[0, 0, :3, :4, :5])
    colours[1, 1, 3] = 254
    with pytest.raises(ImageValueError, match="transparent"):
        LayerImage(layer(colours, rgb=True))


@pytest.mark.parametrize(
    ("names", "rgb"), [(("-1",), False), (("c", "y", "x"), True), ([f"-{i}" for i in range(6, 0, -1)], False)]
)
def test_axes_that_no_image_has_are_refused(layer, names, rgb):
    with pytest.raises(AxesError, match="layer"):
        LayerImage(layer(np.zeros((2,) * len(names) + (3,) * rgb, np.uint8), axis_labels=names, rgb=rgb))


def test_a_pixel_has_a_size_where_the_unit_is_a_length(layer):
    page = np.zeros((3, 4), np.uint8)
    given = {"scale": np.array([0.5, -2.0]), "units": ("micrometer", "nanometer")}
    found = LayerImage(layer(page, **given)).calibration
    assert (found.pixel_size_y, found.pixel_size_x, found.unit) == (pytest.approx(500), 2, "nanometer")
    assert LayerImage(layer(page, scale=np.array([0.5, 2.0]))).calibration == UNCALIBRATED
    stretched = SimpleNamespace(affine_matrix=np.diag([2.0, 2.0, 1.0]))
    assert LayerImage(layer(page, **given, affine=stretched)).calibration == UNCALIBRATED
    assert LayerImage(layer(page, **given, shear=np.array([0.5]))).calibration == UNCALIBRATED


def test_a_screens_pixels_are_no_pixel_size(layer):
    """As a reader makes them that takes the resolution tags of any TIFF for a scale."""
    size = np.full(2, 25400 / 72)
    found = LayerImage(layer(np.zeros((3, 4), np.uint8), scale=size, units=("micrometer",) * 2))
    assert (found.calibration.pixel_size_y, found.calibration.pixel_size_x) == (None, None)
    (note,) = found.notes
    assert note.startswith(
        "the layer says that a pixel is 352.778 micrometer wide; that is 72 pixels per inch"
    )


def test_results_lie_where_the_layer_lies_without_its_channels(layer):
    order = np.arange(4.0)
    linear = np.arange(25.0).reshape(5, 5)
    given = layer(
        PIXELS[0],
        axis_labels=("z", "c", "y", "x"),
        scale=order + 1,
        translate=order,
        rotate=linear[:4, :4],
        shear=np.arange(6.0),
        affine=SimpleNamespace(affine_matrix=linear),
        units=("a", "b", "c", "d"),
    )
    place = placement(given)
    assert place["scale"].tolist() == [1, 3, 4]
    assert place["translate"].tolist() == [0, 2, 3]
    assert place["rotate"].tolist() == [[0, 2, 3], [10, 12, 13], [15, 17, 18]]
    assert place["shear"].tolist() == [1, 2, 5]  # of zy, zx, yx
    assert place["affine"][0].tolist() == [0, 2, 3, 4]
    assert (place["units"], place["axis_labels"]) == (("a", "c", "d"), ("z", "y", "x"))


@pytest.mark.parametrize(
    "names", [("y", "x", "c"), ("y", "x", "z"), ("c", "y", "channel"), ("-3", "-2", "-1")]
)
def test_channels_that_come_last_are_refused(layer, names):
    with pytest.raises(AxesError, match=r"as the last two axes, but they are named|pages or channels last"):
        LayerImage(layer(np.zeros((20, 20, 2), np.uint8), axis_labels=names))
    if names[0] == "-3":
        with pytest.raises(AxesError, match="pages or channels last"):
            LayerImage(layer(np.zeros((3, 20, 20, 2), np.uint8), axis_labels=("-4", *names)))
    narrow = layer(np.zeros((20, 20, 2), np.uint8), axis_labels=("z", "y", "x"))
    assert LayerImage(narrow).axes == "ZYX"


@pytest.mark.parametrize(
    ("names", "rgb", "wanted", "advice"),
    [
        (("y", "x"), True, 1, "Split RGB"),
        (("c", "y", "x"), False, 1, "Split Stack"),
        (("y", "x"), False, 3, "RGB layer"),
    ],
)
def test_other_channels_are_refused_with_what_napari_offers(layer, names, rgb, wanted, advice):
    one = layer(np.zeros((3,) * (len(names) + rgb), np.uint8), axis_labels=names, rgb=rgb)
    with pytest.raises(ImageValueError, match=advice):
        check_channels(one, LayerImage(one), wanted)
