"""Strips and tiles of a TIFF decoded in their own colours, as libtiff does by the tags."""

import imagecodecs
import numpy as np
import pytest
import tifffile

from unet2015.errors import ImageReadError
from unet2015.images.reader import open_image

RGB = 2
ROWS, COLUMNS = np.mgrid[:64, :80]
CHANNELS = np.stack(
    [100 + 50 * np.sin(COLUMNS / 9), 60 + 40 * np.cos(ROWS / 7), 20 + 180 * (COLUMNS > 40)], axis=-1
).astype(np.uint8)
"""Three channels that are no colours: taken for YCbCr they would be quite others."""


def write(path, strips, photometric, planar="contig"):
    tifffile.imwrite(
        path,
        iter(strips),
        shape=(64, 80, 3) if planar == "contig" else (3, 64, 80),
        dtype=np.uint8,
        rowsperstrip=16,
        compression=7,
        photometric=photometric,
        planarconfig=planar,
        metadata=None,
    )


def coded(array, **how):
    return imagecodecs.jpeg8_encode(np.ascontiguousarray(array), level=98, **how)


def differ(path):
    with open_image(path) as image:
        assert image.channels == 3
        return np.abs(image.read(0, 0, 64, 0, 80).astype(int) - np.moveaxis(CHANNELS, -1, 0)).max()


def bare(jpeg):
    """Return a JPEG without marks of what its components are, as libtiff writes it."""
    position, kept = 2, jpeg[:2]
    while jpeg[position + 1] in (0xE0, 0xEE):
        position += 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
    return kept + jpeg[position:]


@pytest.mark.parametrize("photometric", ["minisblack", "rgb", "cielab"])
def test_channels_that_are_not_converted_stay_so(tmp_path, photometric):
    strips = [
        bare(coded(CHANNELS[at : at + 16], colorspace=RGB, outcolorspace=RGB)) for at in range(0, 64, 16)
    ]
    write(tmp_path / "a.tif", strips, photometric)
    assert differ(tmp_path / "a.tif") <= 12


@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
def test_a_jpeg_that_says_its_colours_is_believed(tmp_path, photometric):
    strips = [coded(CHANNELS[at : at + 16], subsampling="444") for at in range(0, 64, 16)]
    assert b"JFIF" in strips[0]
    write(tmp_path / "a.tif", strips, photometric)
    assert differ(tmp_path / "a.tif") <= 12


@pytest.mark.parametrize("compression", [None, "packbits", "deflate"])
def test_bytes_that_are_no_jpeg_are_not_looked_at_as_one(tmp_path, compression):
    bright = np.full((64, 80, 3), 255, np.uint8)  # as the marks of a JPEG begin
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, bright, tile=(32, 32), photometric="minisblack", planarconfig="contig", compression=compression
    )
    with open_image(path) as image:
        assert (image.read(0, 0, 64, 0, 80) == 255).all()


@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
def test_planes_one_by_one_are_gray_pictures(tmp_path, photometric):
    strips = [coded(CHANNELS[at : at + 16, :, k]) for k in range(3) for at in range(0, 64, 16)]
    write(tmp_path / "a.tif", strips, photometric, "separate")
    assert differ(tmp_path / "a.tif") <= 12


def test_lerc_with_another_compression_on_top_is_not_called_damaged(tmp_path):
    array = np.arange(64 * 80, dtype=np.float32).reshape(64, 80)
    for compression in ("deflate", "zstd", None):
        how = {} if compression is None else {"compressionargs": {"compression": compression}}
        tifffile.imwrite(tmp_path / "a.tif", array, compression="lerc", **how)
        if compression is None:
            with open_image(tmp_path / "a.tif") as image:
                assert np.array_equal(image.read(0, 0, 64, 0, 80)[0], array)
            continue
        with pytest.raises(ImageReadError, match="another compression on top of it is not supported"):
            open_image(tmp_path / "a.tif")
