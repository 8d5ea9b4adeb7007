"""Coded pictures within a TIFF have the type, size and samples that the TIFF declares, or are refused."""

import imagecodecs
import numpy as np
import pytest
import tifffile

from unet2015.errors import ImageReadError
from unet2015.images.reader import open_image

CODECS = {
    "jpeg2000": (34712, lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=0)),
    "png": (34933, imagecodecs.png_encode),
    "jpegxl": (50002, lambda pixels: imagecodecs.jpegxl_encode(pixels, lossless=True)),
    "jpegxr": (34934, lambda pixels: imagecodecs.jpegxr_encode(pixels, level=1.0)),
    "ljpeg": (7, imagecodecs.ljpeg_encode),
    "lerc": (34887, imagecodecs.lerc_encode),
    "webp": (50001, lambda pixels: imagecodecs.webp_encode(pixels, lossless=True)),
    "jpeg": (7, lambda pixels: imagecodecs.jpeg_encode(pixels, level=100)),
}
PICTURE = (np.indices((48, 64)).sum(0) * 37 + 1000).astype(np.uint16)
COLOURS = np.stack([PICTURE % 256, PICTURE % 200, PICTURE % 111], -1).astype(np.uint8)


def tiff_of(path, codec, stored, declared):
    """Write a TIFF of one strip that declares pixels like `declared`, and holds the picture `stored`."""
    code, encode = CODECS[codec]
    strip = bytes(encode(np.ascontiguousarray(stored)))
    kind = "rgb" if declared.ndim == 3 else "minisblack"
    tifffile.imwrite(path, declared, photometric=kind, metadata=None, rowsperstrip=len(declared))
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tags, file = tif.pages[0].tags, tif.filehandle
        file.seek(0, 2)
        tags[273].overwrite([file.tell()])
        file.seek(0, 2)
        place = file.tell()
        file.write(strip)
        tags[273].overwrite([place])
        tags[279].overwrite([len(strip)])
        tags[259].overwrite(code)
    return path


def read(path):
    with open_image(path) as image:
        return np.moveaxis(image.read(0, 0, image.height, 0, image.width), 0, -1).squeeze()


@pytest.mark.parametrize("codec", ["jpeg2000", "png", "jpegxl", "ljpeg", "lerc"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_picture_as_declared_is_read(tmp_path, codec, dtype):
    pixels = PICTURE.astype(dtype)
    assert (read(tiff_of(tmp_path / "a.tif", codec, pixels, pixels)) == pixels).all()


@pytest.mark.parametrize("codec", ["jpeg2000", "png", "jpegxl", "jpegxr", "ljpeg", "lerc"])
@pytest.mark.parametrize(
    ("stored", "declared"),
    [(np.uint16, np.uint8), (np.uint8, np.uint16), (np.uint8, np.int8), (np.uint16, np.float16)],
)
def test_a_picture_of_another_type_is_refused(tmp_path, codec, stored, declared):
    path = tiff_of(tmp_path / "a.tif", codec, PICTURE.astype(stored), PICTURE.astype(declared))
    with pytest.raises(ImageReadError, match=r"pixels of type uint\d+, but the TIFF declares"):
        read(path)


@pytest.mark.parametrize("codec", ["jpeg2000", "png", "jpegxl", "webp", "jpeg", "lerc"])
@pytest.mark.parametrize("wide", [48, 66, 72])
def test_a_picture_with_other_columns_is_refused(tmp_path, codec, wide):
    declared = COLOURS[:, :wide] if wide < 64 else np.pad(COLOURS, ((0, 0), (0, wide - 64), (0, 0)))
    with pytest.raises(ImageReadError, match="it holds a picture of 48 x 64 px and 3 samples"):
        read(tiff_of(tmp_path / "a.tif", codec, COLOURS, declared))


@pytest.mark.parametrize("codec", ["jpeg2000", "png", "jpegxl", "webp", "jpeg", "lerc"])
@pytest.mark.parametrize("high", [24, 40, 47, 49])
def test_a_picture_with_other_rows_is_refused(tmp_path, codec, high):
    declared = COLOURS[:high] if high < 48 else np.pad(COLOURS, ((0, 1), (0, 0), (0, 0)))
    with pytest.raises(ImageReadError, match="it holds a picture of 48 x 64 px and"):
        read(tiff_of(tmp_path / "a.tif", codec, COLOURS, declared))


@pytest.mark.parametrize("codec", ["jpeg2000", "png", "jpegxl", "webp", "jpeg", "lerc"])
def test_a_strip_may_hold_all_of_its_rows(tmp_path, codec):
    path = tiff_of(tmp_path / "a.tif", codec, COLOURS, COLOURS)
    whole = read(path)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags[257].overwrite(40)
    assert (read(path) == whole[:40]).all()


@pytest.mark.parametrize("codec", ["jpeg2000", "png", "jpegxl", "webp", "jpeg", "lerc"])
def test_a_picture_of_colours_is_no_gray_one(tmp_path, codec):
    with pytest.raises(ImageReadError, match="and 3 samples, but has 48 x 64 px of 1"):
        read(tiff_of(tmp_path / "a.tif", codec, COLOURS, COLOURS[..., 0]))


def test_webp_may_leave_out_alpha(tmp_path):
    alpha = np.dstack([COLOURS, np.full((48, 64), 255, np.uint8)])
    path = tiff_of(tmp_path / "a.tif", "webp", COLOURS, alpha)
    assert (read(path) == COLOURS).all()
