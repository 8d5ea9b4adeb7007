"""Notes on GDAL's tags of whole files."""

import numpy as np
import pytest
import tifffile

from unet2015.images.reader import open_image

HEAD = "<GDALMetadata>\n"
UNREAD = "are there (tag 42112), and are not read"


def notes_of(path, dtype, nodata=None, gdal=None, **options):
    tags = [(code, 2, len(text) + 1, text, False) for code, text in ((42113, nodata), (42112, gdal)) if text]
    page = np.arange(20, dtype=dtype).reshape(4, 5)
    tifffile.imwrite(path, page, photometric="minisblack", extratags=tags, **options)
    with open_image(path) as image:
        np.testing.assert_array_equal(image.read(0, 0, 4, 0, 5)[0], page)
        return list(image.notes)


@pytest.mark.parametrize("flavour", [{"metadata": None}, {}, {"imagej": True}, {"ome": True}])
def test_the_value_of_missing_pixels_is_named_in_every_flavour(tmp_path, flavour):
    notes = notes_of(tmp_path / "a.tif", "uint8", "7", **flavour)
    assert [note for note in notes if "GDAL_NODATA says that pixels of 7 are no measurement" in note]


@pytest.mark.parametrize(
    ("dtype", "nodata", "said"),
    [
        ("uint8", "0", True),
        ("uint8", "-9999", False),
        ("uint8", "256", False),
        ("uint8", "1.5", False),
        ("uint8", "nan", False),
        ("uint8", "none", False),
        ("int16", "-9999", True),
        ("float32", "-9999.5", True),
        ("float32", "nan", True),
    ],
)
def test_a_value_that_no_pixel_can_have_is_not_said(tmp_path, dtype, nodata, said):
    assert len(notes_of(tmp_path / "a.tif", dtype, nodata, metadata=None)) == said


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ('<Item name="SCALE" sample="0" role="scale">0.01</Item>', "give the values of pixels scale 0.01; "),
        ("<Item name='OFFSET' role='offset'>-5</Item><Item role='scale'>2</Item>", "offset -5 and scale 2; "),
        (
            '<Item role="scale">1</Item><Item role="offset">0</Item>',
            "are there (tag 42112), and are not read",
        ),
        ('<Item name="by">Ann</Item>', UNREAD),
        ("<damaged", UNREAD),
    ],
)
def test_scale_and_offset_are_named(tmp_path, items, said):
    (note,) = notes_of(tmp_path / "a.tif", "uint8", None, HEAD + items, metadata=None)
    assert said in note
