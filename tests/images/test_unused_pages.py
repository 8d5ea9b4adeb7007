"""Pages that are no part of the image are left out with a note, except thumbnails."""

import numpy as np
import pytest
import tifffile

from tests.images import flavours
from tests.images.test_ome import STACK, block, ome, pixels, pointer, refused, write
from unet2015.images.reader import open_image

GRAY = {"photometric": "minisblack", "metadata": None}


def read(path):
    """Return pixels and notes of an image."""
    with open_image(path) as image:
        found = [image.read(page, 0, image.height, 0, image.width)[0] for page in range(image.pages)]
        return np.stack(found), image.notes


def pages(path, *written):
    """Write a TIFF of pages, each given as its pixels and whether it is marked as reduced."""
    with tifffile.TiffWriter(path) as writer:
        for page, reduced in written:
            writer.write(page, subfiletype=int(reduced), **GRAY)
    return path


# Fewer planes declared than there are


@pytest.mark.parametrize(
    ("blocks", "sizes", "kept"),
    [
        ("<TiffData/>", (3, 1, 1), [0, 1, 2]),
        ("", (2, 1, 2), [0, 1, 2, 3]),
        ('<TiffData IFD="0" PlaneCount="3"/>', (3, 1, 1), [0, 1, 2]),
        ('<TiffData IFD="2"/>', (1, 1, 1), [2]),
        ("".join(f'<TiffData IFD="{i}"/>' for i in range(6)), (1, 1, 1), [5]),
        ("".join(f'<TiffData FirstZ="{i}" IFD="{2 * i}"/>' for i in range(3)), (3, 1, 1), [0, 2, 4]),
    ],
)
def test_pages_that_ome_xml_takes_for_no_plane_are_counted_in_a_note(tmp_path, blocks, sizes, kept):
    found, notes = read(write(tmp_path / "a.tif", ome(pixels(blocks, sizes))))
    np.testing.assert_array_equal(found, STACK[kept])
    (note,) = notes
    left = [i for i in range(len(STACK)) if i not in kept]
    assert f"declares {len(kept)} plane" in note
    assert "holds 6 pages" in note
    assert ", ".join(map(str, left)) in note
    assert "left out" in note


def test_a_note_of_many_pages_is_short(tmp_path):
    stack = np.repeat(STACK, 50, 0)
    _, (note,) = read(write(tmp_path / "a.tif", ome(pixels("", (1, 1, 1))), stack))
    assert "299 pages (1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 289 more) are left out" in note


def test_metadata_of_a_companion_file_that_declare_too_few_planes(tmp_path):
    path = write(tmp_path / "a.ome.tif", pointer())
    other = tmp_path / "set.companion.ome"
    other.write_text(ome(pixels(block("a.ome.tif", "urn:uuid:1", 0, 2), (2, 1, 1))))
    assert "declares 2 planes in this file, but it holds 6 pages" in read(path)[1][0]
    other.write_text(ome(pixels(block("a.ome.tif", "urn:uuid:1", 0, 6), (2, 1, 1))))
    refused(path, "contradicts itself", "2 planes", "pages 0 to 5")


def test_a_file_of_a_set_says_which_of_its_own_pages_are_left_out(tmp_path):
    blocks = "".join(block(f"t{t}.tif", f"urn:uuid:{t}", 0, 3, t=t) for t in range(2))
    found, notes = read(write(tmp_path / "t1.tif", ome(pixels(blocks), uuid="urn:uuid:1"), STACK[:4]))
    np.testing.assert_array_equal(found, STACK[:3])
    assert any("declares 3 planes in this file, but it holds 4 pages: page 3 is left out" in n for n in notes)


@pytest.mark.parametrize(
    ("blocks", "sizes"),
    [
        ('<TiffData IFD="0" PlaneCount="6"/>', (2, 1, 1)),
        ('<TiffData FirstZ="2" IFD="0" PlaneCount="2"/>', (3, 1, 1)),
        ('<TiffData PlaneCount="4"/>', (3, 1, 1)),
        (f'<TiffData PlaneCount="{"9" * 400}"/>', (3, 1, 1)),
    ],
)
def test_a_block_of_more_planes_than_are_declared_contradicts_them(tmp_path, blocks, sizes):
    refused(write(tmp_path / "a.tif", ome(pixels(blocks, sizes))), "contradicts itself", "planes", "pages 0")


def test_samples_that_a_block_counts_as_planes_are_no_contradiction(tmp_path):
    colour = np.stack([STACK[:3], STACK[3:]]).transpose(0, 2, 3, 1)
    xml = ome(pixels('<TiffData IFD="0" PlaneCount="6"/>', (1, 3, 2)))
    tifffile.imwrite(tmp_path / "a.tif", colour, description=xml, metadata=None, photometric="rgb")
    with open_image(tmp_path / "a.tif") as image:
        assert (image.axes, image.shape, image.notes) == ("TYXC", (2, 16, 12, 3), ())


def test_thumbnails_in_an_ome_tiff_need_no_note(tmp_path):
    xml = ome(pixels('<TiffData IFD="0"/>', (1, 1, 1)))
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(STACK[0], description=xml, **GRAY)
        writer.write(STACK[0, ::4, ::4], subfiletype=1, **GRAY)
    assert read(tmp_path / "a.tif")[1] == ()
    with tifffile.TiffWriter(tmp_path / "b.tif") as writer:
        writer.write(STACK[0], description=xml, **GRAY)
        writer.write(STACK[1], subfiletype=1, **GRAY)
    assert "page 1 is left out" in read(tmp_path / "b.tif")[1][0]


# Marked as thumbnails


@pytest.mark.parametrize(
    ("marked", "said"),
    [
        ([1], "page 1 is marked as thumbnail"),
        ([0], "page 0 is marked as thumbnail"),
        ([1, 2, 3], "3 pages (1, 2, 3) are marked as thumbnail"),
    ],
)
def test_a_page_of_full_size_that_is_marked_as_a_thumbnail_is_named(tmp_path, marked, said):
    path = pages(tmp_path / "a.tif", *((page, i in marked) for i, page in enumerate(STACK)))
    found, (note,) = read(path)
    kept = [i for i in range(6) if i not in marked]
    np.testing.assert_array_equal(found, STACK[kept])
    assert said in note
    assert f"{len(kept)} of 6 pages are read" in note


@pytest.mark.parametrize("other", [(17, 12), (16, 13), (32, 6), (4, 13)])
def test_what_is_longer_or_wider_than_the_page_is_no_thumbnail_of_it(tmp_path, other):
    path = pages(tmp_path / "a.tif", (STACK[0], False), (np.zeros(other, np.uint8), True))
    assert "page 1 is marked as thumbnail, but not smaller than page 0" in read(path)[1][0]


@pytest.mark.parametrize("other", [(16, 11), (15, 12), (4, 3)])
def test_a_smaller_page_that_is_marked_needs_no_note(tmp_path, other):
    path = pages(tmp_path / "a.tif", (STACK[0], False), (np.zeros(other, np.uint8), True))
    found, notes = read(path)
    np.testing.assert_array_equal(found, STACK[:1])
    assert notes == ()


def test_all_pages_are_kept_where_all_are_marked(tmp_path):
    found, notes = read(pages(tmp_path / "a.tif", *((page, True) for page in STACK)))
    np.testing.assert_array_equal(found, STACK)
    assert notes == ()


def test_a_thumbnail_after_each_page_is_one_in_zeiss_lsm_whatever_its_size(tmp_path):
    flavours.lsm(tmp_path / "a.lsm", thumbnail=1)
    with open_image(tmp_path / "a.lsm") as image:
        assert (image.axes, image.notes) == ("TZCYX", ())


# Marked as transparency masks


def marked(path, *kinds):
    """Write pages of these subfile types: 4 and 5 are masks, 5 is one of a reduced image."""
    with tifffile.TiffWriter(path) as writer:
        for page in STACK[: len(kinds)]:
            writer.write(page, subfiletype=1, **GRAY)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        for page, kind in zip(tif.pages, kinds, strict=True):
            page.tags[254].overwrite(kind)
    return path


@pytest.mark.parametrize(
    ("kinds", "kept", "said"),
    [
        ((0, 4), [0], "page 1 is marked as transparency mask: left out"),
        ((4, 0), [1], "page 0 is marked"),
        ((2, 6, 2, 6), [0, 2], "2 pages (1, 3) are marked"),
        ((0, 5), [0], "page 1 is marked as transparency mask"),
        ((1, 4), [0], "page 1 is marked as transparency mask"),
    ],
)
@pytest.mark.parametrize("labels", [False, True])
def test_a_transparency_mask_is_no_page_and_is_named(tmp_path, kinds, kept, said, labels):
    with open_image(marked(tmp_path / "a.tif", *kinds), labels=labels) as image:
        assert image.pages == len(kept)
        for page, index in enumerate(kept):
            np.testing.assert_array_equal(image.read(page, 0, 16, 0, 12)[0], STACK[index])
        (note,) = image.notes
    assert said in note


def test_a_mask_of_one_bit_beside_an_image(tmp_path):
    """As GDAL writes them."""
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(STACK[0], **GRAY)
        writer.write(STACK[1] > 9, subfiletype=4, photometric=4, metadata=None)
    found, (note,) = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, STACK[:1])
    assert "page 1 is marked as transparency mask" in note


def test_all_pages_are_kept_where_all_are_masks(tmp_path):
    found, notes = read(marked(tmp_path / "a.tif", 4, 4))
    np.testing.assert_array_equal(found, STACK[:2])
    assert notes == ()


def test_a_mask_and_a_thumbnail_of_full_size_are_both_named(tmp_path):
    assert len(read(marked(tmp_path / "a.tif", 0, 1, 4))[1]) == 2


# Images inside a page (SubIFDs)


@pytest.mark.parametrize("marked", [0, 1])
def test_a_preview_with_its_image_inside_is_refused(tmp_path, marked):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(STACK[0, ::2, ::2], subifds=1, subfiletype=marked, **GRAY)
        writer.write(STACK[0], **GRAY)
    height, width = STACK.shape[1:]
    refused(
        tmp_path / "a.tif", "is a preview of the image inside it", f"{height} x {width} px, which is not read"
    )


@pytest.mark.parametrize("metadata", [None, {"axes": "YX"}])
def test_images_inside_a_page_are_said_but_for_smaller_copies(tmp_path, metadata):
    gray = GRAY | {"metadata": metadata}
    for name, inside, marked in (
        ("copy", STACK[0, ::2, ::2], 1),
        ("other", STACK[1], 0),
    ):
        with tifffile.TiffWriter(tmp_path / f"{name}.ome.tif", ome=metadata is not None) as writer:
            writer.write(STACK[0], subifds=1, **gray)
            writer.write(inside, subfiletype=marked, **gray)
        found, notes = read(tmp_path / f"{name}.ome.tif")
        np.testing.assert_array_equal(found, STACK[:1])
        said = ("page 0 has 1 more of its size inside it (SubIFDs): left out",) if name == "other" else ()
        assert notes == said


def test_a_damaged_image_inside_a_page_is_none(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(STACK[0], subifds=1, **GRAY)
        writer.write(STACK[1], **GRAY)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as tif:
        tif.pages[0].tags[330].overwrite(2**31)
    assert read(tmp_path / "a.tif")[1] == ()
