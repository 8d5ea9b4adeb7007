"""What the fuzzer found, and files that declare more than they can hold: each is refused at once."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile

from unet2015.errors import ImageReadError
from unet2015.images.reader import open_image

STACK = np.random.default_rng(0).integers(0, 255, (2, 16, 12), np.uint8)


def change(path, tags, page=0):
    """Overwrite the values of tags."""
    with tifffile.TiffFile(path, mode="r+b") as tif:
        for code, value in tags.items():
            tif.pages[page].tags[code].overwrite(value, dtype="I")


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits", "zstd", "lzma", "jpeg"])
@pytest.mark.parametrize("layout", ["strip", "tile"])
def test_a_kilobyte_that_declares_a_million_megapixels(tmp_path, compression, layout):
    path = tmp_path / "a.tif"
    tile = (16, 16) if layout == "tile" else None
    tifffile.imwrite(
        path, STACK[0], tile=tile, compression=compression, photometric="minisblack", metadata=None
    )
    side = 10**6
    change(path, {256: side, 257: side} | ({322: side, 323: side} if tile else {278: side}))
    assert path.stat().st_size < 1500
    with pytest.raises(ImageReadError, match=r"page 0: expected (at least )?\d+ bytes in strip or tile 0"):
        open_image(path)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (262, "PhotometricInterpretation"),
        (259, "Compression"),
        (284, "PlanarConfiguration"),
        (317, "Predictor"),
    ],
)
def test_a_tag_that_must_be_a_number_is_text(tmp_path, code, name):
    path = tmp_path / "a.tif"
    colour = np.stack([STACK[0]] * 3, -1)
    options = {"compression": "zlib", "predictor": True, "metadata": None}
    tifffile.imwrite(path, colour, photometric="rgb", **options)
    with tifffile.TiffFile(path) as tif:
        place = tif.pages[0].tags[code].offset
    data = bytearray(path.read_bytes())
    data[place + 2] = 2  # the type: ASCII
    path.write_bytes(bytes(data))
    with pytest.raises(ImageReadError, match=rf"a\.tif: .*({name} is of type 2, not|cannot read the TIFF)"):
        open_image(path)


@pytest.mark.parametrize("start", [0, 7])
@pytest.mark.parametrize("page", [0, 1])
def test_pixels_that_would_begin_in_the_header(tmp_path, start, page):
    """A writer that was killed leaves 0; read on, the header would be the first pixels."""
    path = tmp_path / "a.tif"
    for options in ({"metadata": None}, {"imagej": True, "truncate": True}):
        tifffile.imwrite(path, STACK, photometric="minisblack", **options)
        if page and "truncate" in options:
            continue
        change(path, {273: start}, page)
        with pytest.raises(ImageReadError, match=rf"a\.tif: .*pixels at byte {start} would be the header"):
            open_image(path)


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("tile", [None, (1024, 1024)])
def test_an_image_that_packs_to_next_to_nothing_is_read(tmp_path, compression, tile):
    path = tmp_path / "a.tif"
    blank = np.full((2000, 3000), 7, np.uint8)
    options = {"tile": tile} if tile else {"rowsperstrip": 1999}
    tifffile.imwrite(path, blank, compression=compression, photometric="minisblack", **options)
    with open_image(path) as image:
        np.testing.assert_array_equal(image.read(0, 0, 2000, 0, 3000)[0], blank)


def test_a_png_that_declares_a_million_megapixels(tmp_path):
    path = tmp_path / "a.png"
    data = bytes(imagecodecs.png_encode(STACK[0]))
    header = b"IHDR" + struct.pack(">II", 10**6, 10**6) + data[24:29]
    path.write_bytes(data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:])
    with pytest.raises(ImageReadError, match="1000000 x 1000000 pixels, more than its"):
        open_image(path)


@pytest.mark.slow
def test_a_blank_png_is_read(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(np.zeros((3000, 2000, 3), np.uint16), level=9))
    with open_image(path) as image:
        assert image.read(0, 0, 3000, 0, 2000).max() == 0


@pytest.mark.parametrize("place", [26, 27, 28])
def test_a_png_of_an_unknown_method(tmp_path, place):
    path = tmp_path / "a.png"
    data = bytearray(imagecodecs.png_encode(STACK[0]))
    data[place] = 9
    path.write_bytes(bytes(data))
    with pytest.raises(ImageReadError, match="header of the PNG is damaged"):
        open_image(path)


def test_an_ome_header_of_a_million_million_planes(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack", metadata={"axes": "ZYX", "Name": "a" * 20})
    data = path.read_bytes()
    new = data.replace(b'SizeZ="2"', b'SizeZ="1000000000000"')
    tail = b'Name="' + b"a" * 20 + b'"'
    assert data.count(b'SizeZ="2"') == data.count(tail) == 1
    new = new.replace(tail, b'Name="' + b"a" * (20 - len(new) + len(data)) + b'"')
    path.write_bytes(new)
    with pytest.raises(ImageReadError, match=r"declares 1000000000000 planes .*holds only 2"):
        open_image(path)


def test_directories_that_overlap(tmp_path):
    path = tmp_path / "a.tif"
    data = bytearray(400)
    data[:8] = struct.pack("<2sHI", b"II", 42, 8)
    struct.pack_into("<HH", data, 8, 20, 25)  # 20 entries from byte 8 on, or 25 from byte 10 on
    struct.pack_into("<I", data, 8 + 2 + 20 * 12, 10)
    path.write_bytes(bytes(data))
    with pytest.raises(ImageReadError, match="directory 1 of the TIFF overlaps"):
        open_image(path)


@pytest.mark.parametrize("page", [0, 1])
@pytest.mark.parametrize("options", [{"metadata": None}, {"ome": True}, {"imagej": True}])
def test_a_size_that_is_several_numbers(tmp_path, options, page):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, **{key: True for key in options if key != "metadata"}) as writer:
        writer.write(STACK, photometric="minisblack", contiguous=False, metadata=options.get("metadata", {}))
    with tifffile.TiffFile(path) as tif:
        place = tif.pages[page].tags[256].offset
    data = bytearray(path.read_bytes())
    struct.pack_into("<HII", data, place + 2, 3, 400, len(data))  # many numbers of 16 bit
    path.write_bytes(bytes(data) + struct.pack("<400H", *range(400)))
    with pytest.raises(ImageReadError, match=f"page {page}: ImageWidth has 400 values, not one") as caught:
        open_image(path)
    assert len(str(caught.value)) < 500


def test_tiles_of_no_size(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0], tile=(16, 16), photometric="minisblack")
    change(path, {322: 0})
    with pytest.raises(ImageReadError, match="damaged: copy it again"):
        open_image(path)


def test_offsets_beyond_what_64_bits_add_up_to(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, STACK[0], bigtiff=True, photometric="minisblack", compression="zlib", metadata=None
    )
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags[273].overwrite(2**63 - 1, dtype="Q")
        tif.pages[0].tags[279].overwrite(2**62, dtype="Q")
    with pytest.raises(ImageReadError, match=r"up to byte 9223372036854775807, but the file ends"):
        open_image(path)
