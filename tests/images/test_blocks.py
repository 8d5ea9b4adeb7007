"""Blocks of pixels of LIF and ND2 files that have more bytes than the description needs."""

import zlib

import numpy as np
import pytest

from tests.images.microscope_files import pixels, write_lif, write_nd2
from unet2015.errors import ImageReadError
from unet2015.images.reader import open_image

LARGER = pixels((6, 1, 1, 20, 32))
BYTES = pixels((1, 1, 1, 20, 32), "u1")


def lif(path, array, letter, before, after):
    """Write a LIF file that declares another length of an axis."""
    write_lif(path, [("a", array)])
    declared = f'DimID="{"XYZT".index(letter) + 1}" NumberOfElements="{{}}"'
    change(path, *(declared.format(n).encode("utf-16-le") for n in (before, after)))


def nd2(path, array, name, before, after):
    """Write an ND2 file with another attribute."""
    write_nd2(path, [array])
    said = f'{name} runtype="lx_uint32" value="{{}}"'
    change(path, said.format(before).encode(), said.format(after).encode().ljust(len(said.format(before))))


def change(path, before, after):
    data = path.read_bytes()
    assert data.count(before) == 1
    assert len(before) == len(after)
    path.write_bytes(data.replace(before, after))


def all_pages(path):
    with open_image(path) as image:
        return np.stack([image.read(page, 0, image.height, 0, image.width) for page in range(image.pages)])


@pytest.mark.parametrize(
    ("array", "letter", "before", "after"),
    [(LARGER, "T", 6, 2), (LARGER, "T", 6, 5), (LARGER[:1], "Y", 20, 10), (LARGER[:1], "Y", 20, 19)],
)
def test_a_lif_block_with_more_rows_or_planes_is_an_error(tmp_path, array, letter, before, after):
    path = tmp_path / "a.lif"
    lif(path, array, letter, before, after)
    told = array.nbytes // before * after
    said = rf"a\.lif: the image has {array.nbytes} bytes of pixels, but its description tells of {told};"
    with pytest.raises(ImageReadError, match=said):
        open_image(path)


@pytest.mark.parametrize(("letter", "before", "after"), [("Y", 20, 10), ("X", 32, 16), ("X", 32, 30)])
def test_bytes_between_the_pixels_of_a_lif_are_said(tmp_path, letter, before, after):
    lif(tmp_path / "a.lif", LARGER, letter, before, after)
    with open_image(tmp_path / "a.lif") as image:
        (note,) = image.notes
    used = LARGER.nbytes // before * after
    assert note.startswith(f"of {LARGER.nbytes} bytes of pixels, its description uses {used}; those between")
    rows, columns = (after, 32) if letter == "Y" else (20, after)
    assert np.array_equal(all_pages(tmp_path / "a.lif"), LARGER[:, 0, :, :rows, :columns])


def test_pixels_of_a_lif_that_lie_apart_are_said(tmp_path):
    write_lif(tmp_path / "a.lif", [("a", LARGER)], bits=16)
    whole, narrow = (f'Resolution="{bits}'.encode("utf-16-le") for bits in ('16"', '8" '))
    change(tmp_path / "a.lif", whole, narrow)
    with open_image(tmp_path / "a.lif") as image:
        assert image.dtype == np.uint8
        assert image.notes[0].startswith(f"of {LARGER.nbytes} bytes of pixels, its description uses")


@pytest.mark.parametrize("columns", [29, 30, 31])
def test_rows_may_be_padded_to_four_bytes(tmp_path, columns):
    lif(tmp_path / "a.lif", BYTES, "X", 32, columns)
    nd2(tmp_path / "a.nd2", BYTES, "uiWidth", 32, columns)
    for name in ("a.lif", "a.nd2"):
        with open_image(tmp_path / name) as image:
            assert image.notes == ()
        assert np.array_equal(all_pages(tmp_path / name)[0, 0], BYTES[0, 0, 0, :, :columns])


@pytest.mark.parametrize("rows", [10, 19])
def test_an_nd2_frame_with_more_rows_is_an_error(tmp_path, rows):
    nd2(tmp_path / "a.nd2", LARGER, "uiHeight", 20, rows)
    with pytest.raises(ImageReadError, match=rf"a\.nd2: frame 0 has 1288 bytes, .* take {8 + 64 * rows};"):
        open_image(tmp_path / "a.nd2")


@pytest.mark.parametrize(
    ("name", "before", "after"), [("uiBpcInMemory", 16, 8), ("uiWidth", 32, 16), ("uiWidth", 32, 9)]
)
def test_nd2_rows_of_twice_their_pixels_are_an_error(tmp_path, name, before, after):
    nd2(tmp_path / "a.nd2", LARGER, name, before, after)
    with pytest.raises(ImageReadError, match=r"a\.nd2: each row has 64 bytes, but its pixels take (32|18);"):
        open_image(tmp_path / "a.nd2")


def test_wider_rows_of_an_nd2_are_said(tmp_path):
    nd2(tmp_path / "a.nd2", LARGER, "uiWidth", 32, 30)
    with open_image(tmp_path / "a.nd2") as image:
        assert image.notes[0].startswith("each row has 64 bytes, of which its pixels take 60;")
    assert np.array_equal(all_pages(tmp_path / "a.nd2"), LARGER[:, 0, :, :, :30])


@pytest.mark.parametrize("rows", [20, 19, 10])
def test_a_compressed_nd2_frame_with_more_rows_is_an_error(tmp_path, rows):
    path, array = tmp_path / "a.nd2", pixels((1, 1, 1, 20, 32), seed=2)
    nd2(path, array, "uiHeight", 20, rows)
    change(path, b'eCompression runtype="lx_uint32" value="2"', b'eCompression runtype="lx_uint32" value="0"')
    packed = zlib.compress(pixels((20, 32)).tobytes())
    assert len(packed) <= array.nbytes
    change(path, array.tobytes(), packed.ljust(array.nbytes))
    if rows == 20:
        assert np.array_equal(all_pages(path)[0, 0], pixels((20, 32)))
    else:
        with pytest.raises(ImageReadError, match=rf"frame 0 has 1288 bytes, .* take {8 + 64 * rows};"):
            all_pages(path)
