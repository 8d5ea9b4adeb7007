"""A CZI file of which blocks are lost is refused, and a whole one is not."""

import struct

import numpy as np
import pytest

from unet2015.errors import ImageReadError
from unet2015.images.czi_directory import check_directory
from unet2015.images.reader import open_image

PLANES = [(t, z, c) for t in range(3) for z in range(2) for c in range(2)]


@pytest.fixture
def whole(tmp_path):
    """Return the path of a file of 12 blocks, and where the first entry of its directory is."""
    czi, path = pytest.importorskip("pylibCZIrw.czi"), tmp_path / "a.czi"
    random = np.random.default_rng(0)
    with czi.create_czi(str(path)) as file:
        for t, z, c in PLANES:
            pixels = random.integers(1, 200, (40, 48, 1)).astype(np.uint8)
            file.write(data=pixels, plane={"T": t, "Z": z, "C": c})
    data = path.read_bytes()
    (directory,) = struct.unpack_from("<q", data, 84)
    assert data[directory : directory + 15] == b"ZISRAWDIRECTORY"
    return path, directory + 32 + 128


def entries(data, place):
    found = []
    while data[place : place + 2] == b"DV":
        found.append(place)
        place += 32 + 20 * struct.unpack_from("<i", data, place + 28)[0]
    return found


def test_a_whole_file_is_read(whole):
    check_directory(whole[0])
    with open_image(whole[0]) as image:
        assert (image.pages, image.channels) == (6, 2)


@pytest.mark.parametrize("lost", range(12))
def test_entries_that_are_zeros_are_refused(whole, lost):
    path, place = whole
    data = bytearray(path.read_bytes())
    start = entries(data, place)[lost]
    data[start:] = bytes(len(data) - start)
    path.write_bytes(data)
    with pytest.raises(
        ImageReadError, match=rf"a.czi: .*entry {lost} of 12 in its directory of blocks is lost"
    ):
        open_image(path)


@pytest.mark.parametrize("kept", [0, 1, 50, 99])
def test_a_block_with_fewer_bytes_than_its_pixels_take_is_refused(whole, kept):
    path, place = whole
    data = bytearray(path.read_bytes())
    (block,) = struct.unpack_from("<q", data, entries(data, place)[7] + 6)
    assert struct.unpack_from("<q", data, block + 40) == (40 * 48,)
    struct.pack_into("<q", data, block + 40, 40 * 48 * kept // 100)
    path.write_bytes(data)
    with pytest.raises(ImageReadError, match=r"block 7 has \d+ bytes, but its pixels take 1920"):
        open_image(path)


@pytest.mark.parametrize(
    ("offset", "value", "words"),
    [
        (0, 0, "block 3 is not at byte"),
        (40, 10**9, "block 3 goes on beyond its end"),
    ],
)
def test_a_block_that_is_not_there_is_refused(whole, offset, value, words):
    path, place = whole
    data = bytearray(path.read_bytes())
    (block,) = struct.unpack_from("<q", data, entries(data, place)[3] + 6)
    struct.pack_into("<q", data, block + offset, value)
    path.write_bytes(data)
    with pytest.raises(ImageReadError, match=words):
        open_image(path)
