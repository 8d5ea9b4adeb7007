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


SCALE = HEAD + '<Item name="SCALE" sample="0" role="scale">0.01</Item>'


def stack_notes(path, *tags):
    """Return the notes of a file whose pages each have one of these tags, or none."""
    with tifffile.TiffWriter(path) as writer:
        for page, tag in enumerate(tags):
            more = [] if tag is None else [(tag[0], 2, len(tag[1]) + 1, tag[1], True)]
            pixels = np.full((4, 5), page, np.uint8)
            writer.write(pixels, photometric="minisblack", metadata=None, extratags=more, contiguous=False)
    with open_image(path) as image:
        return list(image.notes)


@pytest.mark.parametrize(
    ("tag", "said"),
    [((42113, "7"), "the tag GDAL_NODATA says"), ((42112, SCALE), "GDAL's metadata (tag 42112) give")],
)
def test_each_page_has_tags_of_its_own(tmp_path, tag, said):
    (note,) = stack_notes(tmp_path / "a.tif", None, tag, None, tag)
    assert note.startswith(f"pages 1, 3: {said}")
    (note,) = stack_notes(tmp_path / "b.tif", tag, None)
    assert note.startswith(f"page 0: {said}")
    (note,) = stack_notes(tmp_path / "c.tif", tag, tag)
    assert note.startswith(said)


def test_pages_that_all_say_something_else_are_not_all_listed(tmp_path):
    notes = stack_notes(tmp_path / "a.tif", *((42113, str(value)) for value in range(60)))
    assert [note[:8] for note in notes[:-1]] == [f"page {page}: " for page in range(4)]
    assert notes[4:] == ["GDAL's tags of other pages say 56 further things"]
