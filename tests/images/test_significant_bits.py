"""Bits that a camera uses of those of a pixel, as each format says it; what cannot be is left out."""

import numpy as np
import pytest
import tifffile

from tests.images.microscope_files import pixels, write_czi, write_lif, write_nd2
from unet2015.images.reader import open_image

SHAPE = (1, 1, 2, 20, 30)


def used(path, **options):
    with open_image(path, **options) as image:
        assert (image.dtype, image.bits) == (np.uint16, 16), "pixels are read as they are stored"
        return image.significant_bits


def lif(path, bits):
    write_lif(path.with_suffix(".lif"), [("a", pixels(SHAPE))], bits=int(bits))
    return path.with_suffix(".lif")


def nd2(path, bits):
    write_nd2(path.with_suffix(".nd2"), [pixels(SHAPE)], bits=int(bits))
    return path.with_suffix(".nd2")


def czi(path, bits):
    write_czi(path.with_suffix(".czi"), [pixels((*SHAPE, 1))], bits=("", "", bits))
    return path.with_suffix(".czi")


def ome(path, bits):
    said = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels '
        'ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="30" SizeY="20" SizeZ="1" SizeC="1" '
        f'SizeT="1" SignificantBits="{bits}"><TiffData/></Pixels></Image></OME>'
    )
    array = pixels((20, 30))
    path = path.with_suffix(".ome.tif")
    tifffile.imwrite(path, array, description=said, metadata=None, photometric="minisblack")
    return path


@pytest.mark.parametrize("write", [ome, lif, nd2, czi])
@pytest.mark.parametrize("bits", ["9", "12", "16"])
def test_each_format_says_how_many_bits_are_used(tmp_path, write, bits):
    assert used(write(tmp_path / "a", bits)) == int(bits)


@pytest.mark.parametrize(
    ("write", "bits"),
    [
        *((ome, bits) for bits in ("0", "17", "-1", "x", "", "1000000000012", "0012", "1" * 6000)),
        *((czi, bits) for bits in ("0", "17", "-1", "x", "²", "0012", "1" * 900)),
        *((nd2, bits) for bits in ("0", "17", "999999")),
    ],
)
def test_what_cannot_be_is_left_out(tmp_path, write, bits):
    assert used(write(tmp_path / "a", bits)) is None


def test_three_digits_are_read(tmp_path):
    assert used(ome(tmp_path / "a", "012")) == 12


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        (("12", "12", ""), 12),
        (("12", "12", "16"), 12),  # what a channel says is said of its own camera
        (("12", "", "12"), 12),
        (("12", "14", ""), None),
        (("12", "", ""), None),
        (("12", "", "16"), None),
    ],
)
def test_channels_of_czi_that_differ_say_nothing_together(tmp_path, bits, expected):
    path = tmp_path / "a.czi"
    write_czi(path, [pixels((*SHAPE, 1))], bits=bits)
    assert used(path) == expected


@pytest.mark.parametrize(("write", "ending"), [(lif, "lif"), (nd2, "nd2"), (czi, "czi")])
def test_bits_of_floats_are_not_said(tmp_path, write, ending, monkeypatch):
    array = np.ones(SHAPE, np.float32)
    path = tmp_path / f"a.{ending}"
    if ending == "czi":
        write_czi(path, [array[..., None]])
    elif ending == "nd2":
        write_nd2(path, [array])
    else:
        write_lif(path, [("a", array)])
        data = path.read_bytes().replace(
            'DataType="0"'.encode("utf-16-le"), 'DataType="1"'.encode("utf-16-le")
        )
        path.write_bytes(data)
    with open_image(path) as image:
        assert (image.dtype, image.significant_bits) == (np.float32, None)
