"""Strips and tiles that a TIFF leaves out, as GDAL and scanners of slides do."""

import numpy as np
import pytest
import tifffile

from unet2015.errors import ImageReadError
from unet2015.images.reader import open_image

PAGES = np.random.default_rng(0).integers(1, 255, (2, 48, 40), np.uint8)
LAYOUTS = {
    "tiles": {"tile": (16, 16)},
    "packed tiles": {"tile": (16, 16), "compression": "zlib"},
    "strips": {"rowsperstrip": 16},
    "packed strips": {"rowsperstrip": 16, "compression": "lzw"},
}


def write(path, pages, layout, gone, nodata=None, **options):
    """Write pages without some strips or tiles, given as (page, index)."""
    tags = [] if nodata is None else [(42113, 2, len(nodata) + 1, nodata, False)]
    tifffile.imwrite(
        path, pages, photometric="minisblack", metadata=None, extratags=tags, **layout, **options
    )
    with tifffile.TiffFile(path, mode="r+") as tif:
        for number in {number for number, _ in gone}:
            for name in ("Offsets", "ByteCounts"):
                tag = tif.pages[number].tags["Tile" + name if "tile" in layout else "Strip" + name]
                tag.overwrite([0 if (number, i) in gone else value for i, value in enumerate(tag.value)])
    return path


def without(pages, layout, gone, value=0):
    """Return the pages with `value` where strips or tiles are gone."""
    expected, across = pages.copy(), 3 if "tile" in layout else 1
    width = 16 if across > 1 else pages.shape[-1]
    for number, index in gone:
        row, column = divmod(index, across)
        expected[number, 16 * row : 16 * row + 16, width * column : width * column + width] = value
    return expected


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_what_is_left_out_reads_as_zero_and_is_told(tmp_path, layout):
    gone = [(0, 1), (1, 2)]
    with open_image(write(tmp_path / "a.tif", PAGES, layout, gone)) as image:
        found = np.concatenate([image.read(page, 0, 48, 0, 40) for page in range(2)])
        np.testing.assert_array_equal(found, without(PAGES, layout, gone))
        np.testing.assert_array_equal(image.read(0, 10, 30, 5, 37)[0], found[0, 10:30, 5:37])
        (note,) = image.notes
        assert f"2 of {18 if 'tile' in layout else 6} strips or tiles are not there and read as 0" in note


@pytest.mark.parametrize(
    ("dtype", "nodata", "value"),
    [
        ("uint8", "7", 7),
        ("uint8", "-9999", 0),
        ("uint8", "256", 0),
        ("uint8", "1.5", 0),
        ("uint8", "nan", 0),
        ("uint8", "none", 0),
        ("int16", "-9999", -9999),
        ("float32", "-9999.5", -9999.5),
        ("float32", "nan", np.nan),
        ("float32", "1e300", np.inf),
    ],
)
def test_the_value_that_gdal_declares(tmp_path, dtype, nodata, value):
    layout = LAYOUTS["tiles"]
    path = write(tmp_path / "a.tif", PAGES.astype(dtype), layout, [(0, 4)], nodata)
    with open_image(path) as image:
        assert image.dtype == dtype
        np.testing.assert_array_equal(image.read(0, 16, 32, 16, 32), np.full((1, 16, 16), value, dtype))


def test_each_page_declares_its_own_value(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for nodata in (None, "7", None, "9"):
            tags = [] if nodata is None else [(42113, 2, len(nodata) + 1, nodata, True)]
            options = {"photometric": "minisblack", "metadata": None, "rowsperstrip": 16}
            writer.write(PAGES[0], extratags=tags, contiguous=False, **options)
    for gone, said in (((1,), "7"), ((1, 2, 3), "7 or 0 or 9"), ((0,), "0")):
        path = tmp_path / f"{len(said)}{said[0]}.tif"
        path.write_bytes((tmp_path / "a.tif").read_bytes())
        with tifffile.TiffFile(path, mode="r+") as tif:
            for number in gone:
                for code in (273, 279):
                    tag = tif.pages[number].tags[code]
                    tag.overwrite([0, *tag.value[1:]])
        with open_image(path) as image:
            assert any(f"are not there and read as {said};" in note for note in image.notes)
            found = [int(image.read(page, 0, 1, 0, 1)[0, 0, 0]) for page in gone]
            assert found == [int(value) for value in said.split(" or ")]


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour(tmp_path, planar):
    pixels = np.random.default_rng(0).integers(1, 255, (48, 40, 3), np.uint8)
    path = tmp_path / "a.tif"
    stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0)
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar, tile=(16, 16), metadata=None)
    with tifffile.TiffFile(path, mode="r+") as tif:
        for name in ("TileOffsets", "TileByteCounts"):
            tag = tif.pages[0].tags[name]
            tag.overwrite([0, *tag.value[1:]])
    expected = np.moveaxis(pixels, -1, 0).copy()
    expected[slice(None) if planar == "contig" else 0, :16, :16] = 0
    with open_image(path) as image:
        np.testing.assert_array_equal(image.read(0, 0, 48, 0, 40), expected)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_where_nothing_is_there_it_is_an_error(tmp_path, layout):
    every = [(page, index) for page in range(2) for index in range(9 if "tile" in layout else 3)]
    with pytest.raises(ImageReadError, match=r"none of the \d+ strips or tiles is there"):
        open_image(write(tmp_path / "a.tif", PAGES, layout, every))


def test_an_offset_without_bytes_is_damage(tmp_path):
    path = write(tmp_path / "a.tif", PAGES, LAYOUTS["packed tiles"], [])
    with tifffile.TiffFile(path, mode="r+") as tif:
        tag = tif.pages[0].tags["TileByteCounts"]
        tag.overwrite([*tag.value[:-1], 0])
    with pytest.raises(ImageReadError, match="it has 0"):
        open_image(path)


def test_a_small_file_does_not_declare_a_large_tile_that_is_not_there(tmp_path):
    path = write(tmp_path / "a.tif", PAGES, LAYOUTS["packed tiles"], [(0, 0)])
    with tifffile.TiffFile(path, mode="r+") as tif:
        for page in tif.pages:
            for code in (256, 257, 322, 323):
                page.tags[code].overwrite(2**16 - 16)
    with pytest.raises(ImageReadError, match="it has 0"):
        open_image(path)
