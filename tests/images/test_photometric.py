"""What the photometric tag says of pixels, and pixels of few bits."""

import struct

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from unet2015.errors import ImageReadError
from unet2015.images.mapping import intensity_scale
from unet2015.images.reader import open_image, read_pages
from unet2015.settings import Mapping

WHITE = "0 is white"


def pixels(dtype, bits=None):
    random = np.random.default_rng(0)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return random.standard_normal((10, 24)).astype(dtype)
    top = 2**bits - 1 if bits else np.iinfo(dtype).max
    array = random.integers(np.iinfo(dtype).min, top, (10, 24), dtype, endpoint=True)
    array[0, :2] = np.iinfo(dtype).min, top
    return array


def save(path, array, bits=None, **options):
    """Write a page; of few bits packed by hand, as tifffile does not write them."""
    options = {"photometric": "miniswhite", "metadata": None, **options}
    if bits is None:
        tifffile.imwrite(path, array, **options)
        return
    digits = (array[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    packed = np.packbits(digits.reshape(len(array), -1).astype(np.uint8), axis=1)
    tifffile.imwrite(path, packed, **options)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        for code, value in ((256, array.shape[1]), (258, bits)):
            tif.pages[0].tags[code].overwrite(value)


def read(path, **options):
    with open_image(path, **options) as image:
        return image.read(0, 0, image.height, 0, image.width)[0], " ".join(image.notes)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"byteorder": ">"}])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
def test_where_0_is_white_pixels_are_inverted(tmp_path, dtype, options):
    array = pixels(dtype)
    save(tmp_path / "a.tif", array, **options)
    found, notes = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, np.iinfo(dtype).max - array)
    assert found.dtype == dtype
    assert WHITE in notes


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_signed_pixels_change_ends(tmp_path, dtype):
    array = pixels(dtype)
    save(tmp_path / "a.tif", array)
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], -1 - array)


def test_floats_have_no_other_end(tmp_path):
    array = pixels("float32")
    save(tmp_path / "a.tif", array)
    found, notes = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, array)
    assert WHITE in notes


def test_imagejs_own_files_have_a_lookup_table(tmp_path):
    array = pixels("uint8")
    save(tmp_path / "a.tif", array, description="ImageJ=1.53t\nunit=um\n")
    found, notes = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, array)
    assert "lookup table" in notes


def test_ome_tiff_is_inverted(tmp_path):
    array = pixels("uint16")
    save(tmp_path / "a.ome.tif", array, ome=True, metadata={"axes": "YX"})
    np.testing.assert_array_equal(read(tmp_path / "a.ome.tif")[0], 65535 - array)


def test_where_0_is_black_nothing_is_said(tmp_path):
    array = pixels("uint8")
    save(tmp_path / "a.tif", array, photometric="minisblack")
    found, notes = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, array)
    assert notes == ""


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize(("bits", "dtype"), [(2, "uint8"), (4, "uint8"), (12, "uint16")])
def test_few_bits(tmp_path, bits, dtype, photometric):
    array = pixels(dtype, bits)
    save(tmp_path / "a.tif", array, bits, photometric=photometric)
    found, _ = read(tmp_path / "a.tif")
    assert found.dtype == dtype
    top = 2**bits - 1
    np.testing.assert_array_equal(found, top - array if photometric == "miniswhite" else array)
    with open_image(tmp_path / "a.tif") as image:
        low, gain = intensity_scale(Mapping(method="integer-range"), image)
    assert (low, gain) == (0, 1 / top), "white is 1, as in an image of 8 bits"
    if bits < 8:  # Pillow spreads them over 0 to 255
        np.testing.assert_array_equal(np.array(Pillow.open(tmp_path / "a.tif")), found * (255 // top))


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize(("bits", "dtype"), [(None, "uint8"), (None, "uint16"), (4, "uint8"), (12, "uint16")])
def test_labels_keep_their_numbers(tmp_path, bits, dtype, photometric):
    array = pixels(dtype, bits)
    save(tmp_path / "a.tif", array, bits, photometric=photometric)
    np.testing.assert_array_equal(read_pages(tmp_path / "a.tif")[0], array)
    assert (WHITE in read(tmp_path / "a.tif", labels=True)[1]) == (photometric == "miniswhite")


def test_masks_of_one_bit_keep_their_numbers(tmp_path):
    """tifffile says of arrays of bool that 0 is white, whatever is in them."""
    array = pixels("uint8") > 100
    tifffile.imwrite(tmp_path / "a.tif", array)
    np.testing.assert_array_equal(read_pages(tmp_path / "a.tif")[0], array)


@pytest.mark.parametrize("code", [5, 6, 8, 32803])
def test_colours_that_are_no_intensities_are_said(tmp_path, code):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((6, 5, 3), np.uint8), photometric="rgb", metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags[262].overwrite(code)
    assert "not gray or RGB" in read(path)[1]
    tifffile.imwrite(path, np.zeros((16, 16, 3), np.uint8), photometric="rgb", compression="jpeg")
    assert read(path)[1] == "", "its YCbCr is decoded to RGB"


def test_jpeg_2000_of_aperio_says_that_it_is_ycbcr(tmp_path):
    path, array = tmp_path / "a.svs.tif", np.full((16, 16, 3), (92, 126, 121), np.uint8)
    tifffile.imwrite(path, array, photometric="rgb", metadata=None, compression="jpeg2000")
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags[259].overwrite(33003)
    with open_image(path) as image:
        assert image.read(0, 0, 1, 0, 1).ravel().tolist() == [92, 126, 121]
        assert "its pixels are YCbCr, not gray or RGB; the samples are read as they are" in image.notes
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags[262].overwrite(6)
    with pytest.raises(ImageReadError, match=r"are not supported: .* save a copy without compression"):
        read(path)


def test_each_page_says_for_itself(tmp_path):
    array = pixels("uint8")
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for photometric in ("miniswhite", "minisblack"):
            writer.write(array, photometric=photometric, metadata=None)
    with open_image(tmp_path / "a.tif") as image:
        pages = [image.read(page, 2, 7, 3, 9)[0] for page in range(2)]
    np.testing.assert_array_equal(pages, [255 - array[2:7, 3:9], array[2:7, 3:9]])


def test_an_image_that_is_to_be_turned_is_said(tmp_path):
    array = pixels("uint8")
    save(tmp_path / "a.tif", array, photometric="minisblack", extratags=[(274, 3, 1, 6, True)])
    found, notes = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, array)
    assert "Orientation 6" in notes
    save(tmp_path / "a.tif", array, photometric="minisblack", extratags=[(274, 3, 1, 1, True)])
    assert read(tmp_path / "a.tif")[1] == ""


@pytest.mark.parametrize(("value", "kind"), [((6,) * 300, 3), ("left", 2), (99, 3), (6.5, 12)])
def test_an_odd_orientation_refuses_nothing(tmp_path, value, kind):
    array = pixels("uint8")
    save(tmp_path / "a.tif", array, photometric="minisblack", extratags=[(274, 3, 1, 1, True)])
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as tif:
        tif.pages[0].tags[274].overwrite(value, dtype=kind)
    found, notes = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, array)
    assert notes == ""


def test_without_an_interpretation_values_are_as_they_are_stored(tmp_path):
    """As ImageJ has them, and libtiff guesses."""
    array, path = np.arange(48, dtype=np.uint8).reshape(6, 8), tmp_path / "a.tif"
    tifffile.imwrite(path, array, photometric="miniswhite", metadata=None)
    with open_image(path) as image:
        np.testing.assert_array_equal(image.read(0, 0, 6, 0, 8)[0], 255 - array)
    entry = [struct.pack("<HHI", code, 3, 1) for code in (262, 261)]
    data = path.read_bytes()
    assert entry[0] in data
    path.write_bytes(data.replace(*entry))
    with open_image(path) as image:
        np.testing.assert_array_equal(image.read(0, 0, 6, 0, 8)[0], array)
        assert "it does not say whether 0 is black or white; the values are read as they are" in image.notes
