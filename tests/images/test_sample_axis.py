"""The axes that a header declares count more than the colours that tifffile sees in 3 or 4 slices."""

import numpy as np
import pytest
import tifffile

from unet2015.errors import AxesError
from unet2015.images.reader import open_image

STACKS = [
    # shape, declared axes, more of how it is written
    ((3, 40, 50), "ZYX", {}),
    ((3, 40, 50), "TYX", {}),
    ((4, 40, 50), "ZYX", {}),
    ((4, 40, 50), "IYX", {"compression": "zlib", "tile": (16, 32)}),
    ((40, 50, 4), "YXZ", {}),
    ((40, 50, 3), "YXT", {"compression": "zlib"}),
    ((2, 3, 40, 50), "TZYX", {}),
    ((2, 4, 40, 50), "CZYX", {}),
    ((5, 40, 50, 3), "ZYXT", {}),
    ((5, 40, 50, 3), "CYXZ", {}),
    ((2, 2, 3, 40, 50), "TCZYX", {}),
]


def write(path, shape, axes, dtype="uint16", **options):
    """Write what tifffile writes, with a warning, without these options."""
    array = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    separate = {"planarconfig": "separate"} if shape[-3] in (3, 4) else {}
    options = {"photometric": "rgb"} | separate | options
    tifffile.imwrite(path, array, metadata={"axes": axes} if axes else {}, **options)
    with tifffile.TiffFile(path) as tif:
        assert tif.pages[0].photometric == tifffile.PHOTOMETRIC.RGB
    return array


def check(image, array, axes):
    """Compare regions of an image, and of each channel of it, with those of its array."""
    assert (image.axes, image.shape) == (axes, array.shape)
    order = image.page_axes + ("C" if "C" in axes else "") + "YX"
    expected = array.transpose([axes.index(letter) for letter in order])
    expected = expected.reshape(image.pages, image.channels, image.height, image.width)
    y1, x1 = image.height - 5, image.width - 1
    for page in range(image.pages):
        region = expected[page, :, 3:y1, 1:x1]
        np.testing.assert_array_equal(image.read(page, 3, y1, 1, x1), region)
        for channel in range(image.channels):
            one = image.read_channel(channel, page, 3, y1, 1, x1)
            np.testing.assert_array_equal(one, region[channel : channel + 1])


@pytest.mark.parametrize(("shape", "axes", "options"), STACKS, ids=[f"{s}-{a}" for s, a, _ in STACKS])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_header_says_what_the_samples_are(tmp_path, shape, axes, options, dtype):
    array = write(tmp_path / "a.tif", shape, axes, dtype, **options)
    with open_image(tmp_path / "a.tif") as image:
        check(image, array, axes)


@pytest.mark.parametrize(("slices", "axes"), [(3, "ZYX"), (4, "TYX"), (3, "YXT"), (4, "YXZ")])
@pytest.mark.parametrize("said", [None, "channels"])
def test_the_user_says_what_the_samples_are(tmp_path, slices, axes, said):
    shape = (slices, 40, 50) if axes.endswith("YX") else (40, 50, slices)
    colours = axes.translate(str.maketrans("ZT", "CC")) if said else None
    array = write(tmp_path / "a.tif", shape, colours)
    with open_image(tmp_path / "a.tif", axes) as image:
        check(image, array, axes)


@pytest.mark.parametrize(("shape", "axes"), [((3, 40, 50), "CYX"), ((3, 40, 50), None), ((40, 50, 3), "YXS")])
def test_colours_stay_colours(tmp_path, shape, axes):
    array = write(tmp_path / "a.tif", shape, axes)
    with open_image(tmp_path / "a.tif") as image:
        check(image, array, "CYX" if shape[0] == 3 else "YXC")


def test_axes_that_do_not_go_with_the_samples_are_refused_with_advice_that_works(tmp_path):
    path = tmp_path / "a.tif"
    array = write(path, (5, 40, 50, 3), "TZYX")
    with pytest.raises(AxesError, match=r"photometric='minisblack'.*--axes that end in YXC"):
        open_image(path)
    with open_image(path, "TYXC") as image:
        check(image, array, "TYXC")
    tifffile.imwrite(path, array, metadata={"axes": "TZYX"}, photometric="minisblack")
    with open_image(path) as image:
        check(image, array, "TZYX")
    write(path, (40, 50, 3), None)
    with pytest.raises(AxesError, match="must end in YXC, or another letter for C"):
        open_image(path, "ZYX")


@pytest.mark.parametrize(("shape", "axes"), [((5, 40, 50), "ZXY"), ((40, 50), "XY"), ((40, 50, 6), "YXZ")])
def test_pages_that_are_not_along_y_and_x_are_refused(tmp_path, shape, axes):
    array = np.random.default_rng(0).integers(0, 200, shape).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, metadata={"axes": axes}, photometric="minisblack")
    with pytest.raises(AxesError, match=r"save it again with Y and X as the last axes.*give --axes"):
        open_image(tmp_path / "a.tif")
    as_stored = "ZYX"[-len(shape) :]
    with open_image(tmp_path / "a.tif", as_stored) as image:
        check(image, array, as_stored)
    last = "".join(sorted(axes, key=lambda letter: (letter in "YX", letter == "X")))
    turned = array.transpose([axes.index(letter) for letter in last])
    tifffile.imwrite(tmp_path / "a.tif", turned, metadata={"axes": last}, photometric="minisblack")
    with open_image(tmp_path / "a.tif") as image:
        check(image, turned, last)


@pytest.mark.parametrize("axes", ["QQQ", "QYX", "ZQQ", "IYX"])
def test_axes_without_a_meaning_are_pages(tmp_path, axes):
    array = np.random.default_rng(0).integers(0, 200, (5, 40, 50)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, metadata={"axes": axes}, photometric="minisblack")
    with open_image(tmp_path / "a.tif") as image:
        check(image, array, "ZYX" if axes[0] == "Z" else "IYX")


@pytest.mark.parametrize(("shape", "advice"), [((2, 3), "TZYXC"), ((2,) * 3, "ITZYXC"), ((2,) * 4, None)])
def test_the_axes_that_are_advised_can_be_given(tmp_path, shape, advice):
    path, axes = tmp_path / "a.tif", "RPHAQ"[: len(shape)]
    pixels = np.zeros((*shape, 5, 6, 3), np.uint8)
    tifffile.imwrite(path, pixels, metadata={"axes": f"{axes}YXS"}, photometric="rgb")
    with pytest.raises(AxesError) as caught:
        open_image(path)
    assert str(caught.value).endswith(
        f"for example --axes {advice}" if advice else "save it with fewer axes (numpy: reshape)"
    )
    if advice:
        with open_image(path, axes=advice) as image:
            assert image.axes == advice
