"""Stacks of many directories are read in little time and memory, and as each directory says."""

import contextlib
import struct
import tracemalloc

import numpy as np
import pytest
import tifffile

from unet2015.errors import ImageReadError
from unet2015.images import directories
from unet2015.images.reader import open_image
from unet2015.images.repeated import RepeatedPage

PIXELS = bytes(range(64))
TAGS = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: 8, 279: 64}


def chained(path, pages, odd=None, **changed):
    """Write so many directories of 8 x 8 px, each with its pixels; tags of directory `odd` are changed."""
    length = 2 + 12 * len(TAGS) + 4
    with path.open("wb") as file:
        file.write(struct.pack("<2sHI", b"II", 42, 8))
        for page in range(pages):
            start = file.tell()
            tags = TAGS | {273: start + length}
            tags |= {int(code[1:]): value for code, value in changed.items()} if page == odd else {}
            entries = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in tags.items())
            after = 0 if page == pages - 1 else start + length + len(PIXELS)
            file.write(struct.pack("<H", len(tags)) + entries + struct.pack("<I", after))
            file.write(bytes([page % 251]) + PIXELS[1:])
    return path


@pytest.fixture
def made(monkeypatch):
    """Count the directories that are made in full."""
    pages, usual = [], tifffile.TiffPage

    def count(*arguments, **named):
        pages.append(usual(*arguments, **named))
        return pages[-1]

    monkeypatch.setattr(tifffile, "TiffPage", count)
    return pages


def test_thousands_of_pages_take_little(tmp_path, made):
    path = chained(tmp_path / "a.tif", 5000)
    tracemalloc.start()
    with open_image(path) as image:
        taken, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert image.shape == (5000, 8, 8)
        assert [image.read(page, 0, 8, 0, 8)[0, 0, 0] for page in (0, 250, 4999)] == [0, 250, 4999 % 251]
        assert taken < image.listed_bytes < 5000 * 1024
        assert peak < 5000 * 1536
    assert len(made) <= 3


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zlib", "rowsperstrip": 16},
        {"compression": "zlib", "tile": (16, 16), "bigtiff": True},
        {"byteorder": ">", "rowsperstrip": 7},
        {"photometric": "rgb", "compression": "lzw", "rowsperstrip": 9},
        {"photometric": "rgb", "planarconfig": "separate", "tile": (16, 32)},
        {"compression": "jpeg", "tile": (16, 16)},
    ],
)
def test_pages_are_read_as_each_says(tmp_path, options):
    shape = (40, 50, 3) if options.get("photometric") == "rgb" else (40, 50)
    if options.get("planarconfig"):
        shape = (3, 40, 50)
    pages = np.random.default_rng(0).integers(0, 255, (6, *shape), np.uint8)
    path = tmp_path / "a.tif"
    order, big = options.pop("byteorder", "<"), options.pop("bigtiff", False)
    with tifffile.TiffWriter(path, byteorder=order, bigtiff=big) as tif:
        for page in pages:
            tif.write(page, metadata=None, resolution=(3, 4), contiguous=False, **options)
    with tifffile.TiffFile(path) as tif, open_image(path) as image:
        for number in range(6):
            expected = tif.pages[number].asarray()
            expected = np.moveaxis(expected, -1, 0) if expected.shape[-1] == 3 else expected
            assert (image.read(number, 0, 40, 0, 50) == expected.reshape(-1, 40, 50)).all()
        repeated = [isinstance(plane.page, RepeatedPage) for plane in image._planes]
        assert repeated == [False] + [True] * 5
        assert [plane.page.index for plane in image._planes] == list(range(6))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"_257": 9}, "one size and type"),
        ({"_258": 16}, "one size and type"),
        ({"_258": 7}, "8 x 8 uint8 of 7 bits and 8 x 8 uint8 of 8 bits"),
        ({"_279": 63}, "page 40: expected 64 bytes in strip or tile 0, but it has 63"),
        ({"_273": 2**31}, "page 40: expected pixels up to byte"),
        ({"_259": 32771}, "page 40"),
    ],
)
def test_one_page_that_differs_is_named(tmp_path, changed, words):
    path = chained(tmp_path / "a.tif", 60, odd=40, **changed)
    with pytest.raises(ImageReadError, match=words), open_image(path) as image:
        image.read(40, 0, 8, 0, 8)


def test_a_chain_that_is_too_long_is_refused_before_it_is_read(tmp_path, monkeypatch, made):
    monkeypatch.setattr(directories, "_MOST", 50)
    open_image(chained(tmp_path / "a.tif", 50)).close()
    made.clear()
    with pytest.raises(ImageReadError, match="more than 50 directories"):
        open_image(chained(tmp_path / "a.tif", 51))
    assert len(made) <= 1  # that which tifffile makes itself


@pytest.mark.parametrize("code", [273, 270])
def test_directories_that_share_one_long_list(tmp_path, code):
    number, pages, path = 2**18, 40, tmp_path / "a.tif"
    kind, size = (4, 4) if code == 273 else (2, 1)
    if code == 270:
        number *= 200
    tags = TAGS | {code: 8, 279: 8} if code == 273 else TAGS | {270: 8, 273: 8}
    length = 2 + 12 * len(tags) + 4
    with path.open("wb") as file:
        first = 8 + number * size
        file.write(struct.pack("<2sHI", b"II", 42, first))
        file.truncate(first)
        file.seek(first)
        for page in range(pages):
            entries = b""
            for tag, value in sorted(tags.items()):
                many = tag == code or (code == 273 and tag == 279)
                # Each directory differs in a tag, so that none is like another.
                value = 8 + page if tag == 278 else value
                entries += struct.pack("<HHII", tag, kind if many else 4, number if many else 1, value)
            after = 0 if page == pages - 1 else first + (page + 1) * length
            file.write(struct.pack("<H", len(tags)) + entries + struct.pack("<I", after))
    tracemalloc.start()
    with pytest.raises(ImageReadError, match="share lists or values"):
        open_image(path)
    assert tracemalloc.get_traced_memory()[1] < 8 * path.stat().st_size + 2**27
    tracemalloc.stop()


@pytest.mark.parametrize(("code", "compression"), [(65009, 1), (65007, 1), (65009, 65001)])
def test_tags_of_makers_that_differ_from_page_to_page_need_no_page_of_their_own(
    tmp_path, made, code, compression
):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        for number in range(6):
            page, tags = np.full((8, 8), number, np.uint8), [(code, 4, 1, number)]
            tif.write(page, metadata=None, contiguous=False, extratags=tags)
    with tifffile.TiffFile(path, mode="r+") as tif:
        for page in tif.pages if compression != 1 else ():
            page.tags[259].overwrite(compression)
    made.clear()
    if compression != 1:  # of EER, which needs the tag to decode
        with contextlib.suppress(ImageReadError):
            open_image(path).close()
        assert len(made) >= 6
        return
    with open_image(path) as image:
        assert [int(image.read(page, 0, 1, 0, 1)[0, 0, 0]) for page in range(6)] == list(range(6))
    assert len(made) <= 3


def lost_from(path, kept, pages=10, page=5, after=True):
    """Write a stack whose directory `page` is zeros behind so many entries, but for its link if `after`."""
    whole = chained(path, pages).read_bytes()
    length = 2 + 12 * len(TAGS) + 4
    start = 8 + page * (length + len(PIXELS))
    link = whole[start + length - 4 : start + length] if after else bytes(4)
    lost = bytes(12 * (len(TAGS) - kept)) + link
    path.write_bytes(whole[: start + 2 + 12 * kept] + lost + whole[start + length :])
    return path


# Without its number of bytes a strip without compression is known, too; without an address it is sparse.
@pytest.mark.parametrize("kept", [8, 7, 5, 0])
@pytest.mark.parametrize("after", [False, True])
def test_a_directory_of_which_a_part_is_zeros_is_refused(tmp_path, kept, after):
    path = lost_from(tmp_path / "a.tif", kept, after=after)
    with pytest.raises(ImageReadError, match="page 5: its directory has entries of nothing but zeros"):
        open_image(path)


def test_a_directory_without_entries_is_refused_as_lost(tmp_path):
    path = chained(tmp_path / "a.tif", 10)
    start = 8 + 5 * (2 + 12 * len(TAGS) + 4 + len(PIXELS))
    data = path.read_bytes()
    path.write_bytes(data[:start] + bytes(512) + data[start + 512 :])
    with pytest.raises(ImageReadError, match="page 5: its directory has no entries"):
        open_image(path)
    path.write_bytes(data[:8] + bytes(512) + data[8 + 512 :])
    with pytest.raises(ImageReadError, match="page 0: its directory has no entries"):
        open_image(path)


@pytest.mark.parametrize("page", [0, 5, 8])
def test_a_link_that_is_lost_is_said_as_the_file_has_room_for_more_pages(tmp_path, page):
    with open_image(chained(tmp_path / "a.tif", 10)) as image:
        assert not [note for note in image.notes if "belong to no page" in note]
    with open_image(lost_from(tmp_path / "a.tif", len(TAGS), page=page, after=False)) as image:
        assert image.pages == page + 1
        (said,) = [note for note in image.notes if "belong to no page" in note]
        assert said.startswith(f"{(9 - page) * (2 + 12 * len(TAGS) + 4 + len(PIXELS))} bytes in a row")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"tile": (16, 16)},
        {"rowsperstrip": 3, "bigtiff": True},
        {"contiguous": True},
        {"description": "x" * 100_000, "contiguous": False},
        {"extratags": [(65000, 7, 50_000, b"1" * 50_000)]},
        {"align": 4096},
    ],
)
def test_what_a_whole_file_holds_belongs_to_its_pages(tmp_path, options):
    pages, path = np.random.default_rng(0).integers(0, 9, (5, 40, 48), np.uint8), tmp_path / "a.tif"
    options, big = dict(options), options.get("bigtiff", False)
    options.pop("bigtiff", None)
    align = options.pop("align", None)
    with tifffile.TiffWriter(path, bigtiff=big) as tif:
        for page in pages:
            tif.write(page, metadata=None, **options)
            if align:
                tif.filehandle.write(bytes(-tif.filehandle.tell() % 1024))
    with open_image(path) as image:
        assert image.pages == 5
        assert not [note for note in image.notes if "belong to no page" in note]
