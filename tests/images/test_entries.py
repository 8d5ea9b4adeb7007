"""A damaged entry of a TIFF directory that decides how pixels are decoded is refused, or said."""

import struct

import numpy as np
import pytest
import tifffile

from unet2015.errors import ImageReadError
from unet2015.images.reader import open_image

PIXELS = (np.indices((48, 64)).sum(0) % 251).astype(np.uint8)
COLOURS = np.stack([PIXELS, PIXELS[::-1], PIXELS % 99], -1)
FILES = {
    "gray": (PIXELS, {"photometric": "minisblack"}),
    "float": (PIXELS.astype(np.float32), {"photometric": "minisblack"}),
    "differences": (PIXELS, {"compression": "zlib", "predictor": True, "photometric": "minisblack"}),
    "colours": (COLOURS, {"photometric": "rgb"}),
    "planes": (COLOURS.transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate"}),
    "tiles": (PIXELS, {"tile": (16, 16), "photometric": "minisblack"}),
    "strips": (PIXELS, {"rowsperstrip": 16, "photometric": "minisblack"}),
}


def write(path, name, order="<", big=False):
    pixels, options = FILES[name]
    tifffile.imwrite(path, pixels, metadata=None, software=False, byteorder=order, bigtiff=big, **options)
    return path


def change(path, code, kind=None, number=None, value=None, to=None):
    """Change an entry of the first directory."""
    with tifffile.TiffFile(path) as tif:
        order, big, tag = tif.byteorder, tif.is_bigtiff, tif.pages[0].tags[code]
        place = tag.offset
    data = bytearray(path.read_bytes())
    start, form = place + (12 if big else 8), "Q" if big else "I"
    if to is not None:
        struct.pack_into(f"{order}H", data, place, to)
    if kind is not None:
        struct.pack_into(f"{order}H", data, place + 2, kind)
    if number is not None:
        struct.pack_into(f"{order}{form}", data, place + 4, number)
    if value is not None:
        struct.pack_into(order + {3: "H", 4: "I"}[tag.dtype], data, start, value)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True), (">", True)])
def test_whole_directories_are_read_without_a_word(tmp_path, name, order, big):
    with open_image(write(tmp_path / "a.tif", name, order, big)) as image:
        said = [note for note in image.notes if "rising" in note or "width and length" in note]
        assert (image.channels, said) == (3 if FILES[name][0].ndim == 3 else 1, [])


@pytest.mark.parametrize(
    ("name", "code", "changed", "words"),
    [
        ("float", 339, {"kind": 259}, "SampleFormat is of type 259, not a whole number"),
        ("float", 339, {"number": 65537}, r"SampleFormat has 65537 values, but a pixel 1 sample\(s\)"),
        ("differences", 317, {"kind": 259}, "Predictor is of type 259"),
        ("differences", 317, {"number": 3}, "Predictor has 3 values, not one"),
        ("differences", 317, {"value": 4}, "Predictor is 4, not one of 1, 2, 3"),
        ("planes", 284, {"value": 258}, "PlanarConfiguration is 258, not one of 1, 2"),
        ("planes", 259, {"kind": 259}, "Compression is of type 259"),
        ("colours", 277, {"value": 1}, r"BitsPerSample has 3 values, but a pixel 1 sample\(s\)"),
        ("gray", 262, {"value": 2}, r"its pixels are RGB, but have 1 sample\(s\)"),
        ("tiles", 322, {"kind": 5}, "TileWidth is of type 5"),
        ("gray", 256, {"number": 0}, "ImageWidth has 0 values"),
    ],
)
@pytest.mark.parametrize(("order", "big"), [("<", False), (">", True)])
def test_an_entry_that_cannot_be_is_refused(tmp_path, name, code, changed, words, order, big):
    path = change(write(tmp_path / "a.tif", name, order, big), code, **changed)
    with pytest.raises(ImageReadError, match=f"a.tif: page 0: {words}.*: the header is damaged; copy the"):
        open_image(path)


def test_a_code_that_was_changed_is_out_of_order_which_is_said(tmp_path):
    path = change(write(tmp_path / "a.tif", "differences"), 317, to=61)
    with open_image(path) as image:
        (said,) = [note for note in image.notes if "not in rising order" in note]
    assert said.startswith("page 0: ")


@pytest.mark.parametrize(
    ("name", "code", "value", "words"),
    [
        ("strips", 257, 32, "the file lists more strips or tiles than a page of this size has"),
        ("strips", 257, 16, "the file lists more strips or tiles than a page of this size has"),
        ("tiles", 256, 32, "the file lists more strips or tiles than a page of this size has"),
        ("strips", 256, 48, "strips have more bytes than rows of this width take"),
        ("gray", 256, 32, "strips have more bytes than rows of this width take"),
        ("planes", 256, 32, "strips have more bytes than rows of this width take"),
    ],
)
def test_a_page_that_holds_more_than_its_size_takes_is_said(tmp_path, name, code, value, words):
    path = change(write(tmp_path / "a.tif", name), code, value=value)
    with open_image(path) as image:
        assert [note for note in image.notes if words in note and note.startswith("page 0: ")]


def test_a_last_strip_may_be_full_and_strips_may_be_padded(tmp_path):
    path = tmp_path / "a.tif"
    rows = [PIXELS[start : start + 20] for start in (0, 20, 40)]
    strips = [row.tobytes().ljust(20 * 64, b"\0") + bytes(15) for row in rows]
    tags = {256: 64, 257: 48, 258: 8, 259: 1, 262: 1, 273: 3, 277: 1, 278: 20, 279: 3}
    lists = 8 + 2 + 12 * len(tags) + 4
    start = lists + 24
    places = [start + sum(map(len, strips[:i])) for i in range(3)]
    entries = b"".join(
        struct.pack("<HHII", code, 4, value if code in (273, 279) else 1, at)
        for code, value in tags.items()
        for at in [{273: lists, 279: lists + 12}.get(code, value)]
    )
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)
    path.write_bytes(head + struct.pack("<6I", *places, *map(len, strips)) + b"".join(strips))
    with open_image(path) as image:
        assert (image.read(0, 0, 48, 0, 64)[0] == PIXELS).all()
        assert not [note for note in image.notes if "width and length" in note]


@pytest.mark.parametrize("compression", ["none", "zlib", "zstd", "lzw", "packbits", "lzma"])
def test_a_last_strip_that_holds_all_rows_is_read_in_all_compressions(tmp_path, compression):
    path, pixels = tmp_path / "a.tif", np.vstack([PIXELS, PIXELS[:12]])  # three strips of 20 rows
    tifffile.imwrite(path, pixels, compression=compression, rowsperstrip=20, metadata=None)
    change(path, 257, value=48)
    with open_image(path) as image:
        assert (image.read(0, 0, 48, 0, 64)[0] == PIXELS).all()


@pytest.mark.parametrize("lost", [1, 2, 5])
@pytest.mark.parametrize("code", [270, 258, 339, 282, 50839, 65000])
@pytest.mark.parametrize("big", [False, True])
def test_a_value_beyond_the_end_of_the_file_is_refused(tmp_path, code, lost, big):
    path = tmp_path / "a.tif"
    pixels = np.zeros((20, 30, 5), np.float32)
    tags = [(50839, 1, 30, bytes(range(30))), (65000, 7, 40, bytes(40))]
    tifffile.imwrite(
        path, pixels, photometric="minisblack", planarconfig="contig", extratags=tags, bigtiff=big
    )
    with tifffile.TiffFile(path) as tif:
        tag = tif.pages[0].tags[code]
        place, length = tag.valueoffset, tag.valuebytecount
        order, form = tif.byteorder, "Q" if big else "I"
        at = tag.offset + (12 if big else 8)
    data = bytearray(path.read_bytes())
    value = data[place : place + length]
    if length <= (8 if big else 4):
        pytest.skip("stands within the entry")
    struct.pack_into(order + form, data, at, len(data))
    path.write_bytes(data + value)
    with open_image(path) as image:
        assert image.dtype == np.float32
    path.write_bytes(data + value[:-lost])
    with pytest.raises(
        ImageReadError, match=f"page 0: expected the value of tag {code} in bytes .* cut short"
    ):
        open_image(path)
