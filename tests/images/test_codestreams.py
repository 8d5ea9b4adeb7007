"""A coded picture in a TIFF that is larger than the TIFF says is refused before it is decoded."""

import struct
import tracemalloc

import imagecodecs
import numpy as np
import pytest
import tifffile

from unet2015.errors import ImageReadError
from unet2015.images.codestreams import declared_size
from unet2015.images.reader import open_image

PAGE = np.arange(40 * 56, dtype=np.uint8).reshape(40, 56)
COLOUR = np.stack([PAGE, PAGE.T.reshape(40, 56), 255 - PAGE], axis=-1)

CODERS = {  # compression of the TIFF: how a picture of the type is coded
    7: lambda pixels: imagecodecs.jpeg8_encode(pixels, level=90),
    34712: lambda pixels: imagecodecs.jpeg2k_encode(pixels),
    33004: lambda pixels: imagecodecs.jpeg2k_encode(pixels, codecformat="j2k"),
    34933: imagecodecs.png_encode,
    34934: imagecodecs.jpegxr_encode,
    50001: lambda pixels: imagecodecs.webp_encode(pixels, lossless=True),
    50002: lambda pixels: imagecodecs.jpegxl_encode(pixels, lossless=True),
    34887: imagecodecs.lerc_encode,
}


def wrapped(path, compression, data, shape, samples):
    """Write a TIFF of one strip that holds these bytes."""
    tags = [
        (256, 4, shape[1]), (257, 4, shape[0]), (258, 3, 8), (259, 3, compression),
        (262, 3, 2 if samples == 3 else 1), (273, 4, 8), (277, 3, samples), (278, 4, shape[0]),
        (279, 4, len(data)), (284, 3, 1),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", code, kind, 1, value) for code, kind, value in tags)
    position = 8 + len(data) + len(data) % 2
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, position) + data.ljust(position - 8, b"\0") + directory)
    return path


@pytest.mark.parametrize("size", [(40, 56), (300, 200), (8, 1000), (1, 1)])
@pytest.mark.parametrize("compression", CODERS)
@pytest.mark.parametrize("samples", [1, 3])
def test_the_size_is_that_of_the_picture(compression, size, samples):
    if (compression, samples) in ((50001, 1), (34934, 3)):
        samples = 4 - samples
    pixels = np.zeros(size if samples == 1 else (*size, samples), np.uint8)
    found = declared_size(compression, CODERS[compression](pixels))
    assert (found.height, found.width) == size
    assert found.samples in (0, 1, samples)


@pytest.mark.parametrize("compression", CODERS)
def test_a_picture_of_the_right_size_is_read_and_a_larger_one_is_not(tmp_path, compression):
    pixels = COLOUR if compression == 50001 else PAGE
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    good = wrapped(tmp_path / "good.tif", compression, CODERS[compression](pixels), PAGE.shape, samples)
    with open_image(good) as image:
        read = image.read(0, 0, 40, 0, 56)
    assert np.abs(np.moveaxis(read, 0, -1).reshape(pixels.shape).astype(int) - pixels).max() <= (
        40 if compression == 7 else 0
    )
    large = np.zeros((3000, 3000, samples)[: pixels.ndim], np.uint8)
    data = CODERS[compression](large)
    bomb = wrapped(tmp_path / "bomb.tif", compression, data, PAGE.shape, samples)
    with open_image(bomb) as image:
        tracemalloc.start()
        with pytest.raises(ImageReadError, match=r"strip or tile 0 .*3000 x 3000") as refused:
            image.read(0, 0, 40, 0, 56)
        assert tracemalloc.get_traced_memory()[1] < 2**22
        tracemalloc.stop()
    assert str(refused.value).startswith(f"{bomb}: page 0: ")


@pytest.mark.parametrize("compression", CODERS)
@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8\xff", bytes(100), b"\xff\x0a", b"\xff" * 100])
def test_what_declares_no_size_is_refused(compression, data):
    if compression == 50002 and data == b"\xff\x0a":
        assert declared_size(compression, data).width >= 1  # bits that are not there are 0
        return
    with pytest.raises(ValueError, match="header"):
        declared_size(compression, data)


def test_an_animation_is_refused():
    frames = np.zeros((3, 40, 56), np.uint8)
    with pytest.raises(ValueError, match="animation"):
        declared_size(50002, imagecodecs.jpegxl_encode(frames, lossless=True, photometric="gray"))


def test_tiles_at_the_border_and_strips_of_tifffile_are_read(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (100, 90), np.uint8)
    for compression in ("jpeg2000", "png", "jpegxl", "lerc"):
        for layout in ({"tile": (64, 64)}, {"rowsperstrip": 64}):
            path = tmp_path / f"{compression}.tif"
            tifffile.imwrite(path, pixels, compression=compression, **layout)
            with open_image(path) as image:
                assert (image.read(0, 0, 100, 0, 90)[0] == pixels).all()
