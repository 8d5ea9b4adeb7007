"""A JPEG in a strip or tile of a TIFF: its restart markers show damage; whole ones of all kinds are read."""

import io
import re
from itertools import pairwise

import imagecodecs
import numpy as np
import PIL.Image
import pytest
import tifffile

from unet2015.errors import ImageReadError
from unet2015.images.jpeg_scans import scans_of
from unet2015.images.reader import open_image

ROWS, COLUMNS = np.mgrid[:96, :80]
GRAY = ((ROWS * 5 + COLUMNS * 3 + (ROWS // 7) * (COLUMNS // 9)) % 251).astype(np.uint8)
COLOUR = np.stack([GRAY, GRAY[::-1], GRAY[:, ::-1]], -1)
RESTARTS = re.compile(rb"\xff[\xd0-\xd7]")


def encoded(array=GRAY, **options):
    file = io.BytesIO()
    PIL.Image.fromarray(array).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def write(path, coded, tile=None, **more):
    """Write a TIFF of one picture, as a strip or in a tile."""
    tifffile.imwrite(
        path,
        iter([coded]),
        shape=(96, 80, *more.pop("samples", ())),
        dtype=more.pop("dtype", np.uint8),
        compression=more.pop("compression", 7),
        photometric=more.pop("photometric", "minisblack"),
        metadata=None,
        **({"rowsperstrip": 96} if tile is None else {"tile": tile}),
        **more,
    )
    return path


def read(path):
    with open_image(path) as image:
        return np.moveaxis(image.read(0, 0, 96, 0, 80), 0, -1)


def places(coded):
    return [found.start() for found in RESTARTS.finditer(coded, coded.index(b"\xff\xda"))]


WHOLE = encoded(restart_marker_blocks=6)
AT = places(WHOLE)
DAMAGED = {
    "overwritten": WHOLE[: AT[5]] + b"\x12\x34" + WHOLE[AT[5] + 2 :],
    "lost with its part": WHOLE[: AT[5]] + WHOLE[AT[6] :],
    "exchanged": WHOLE[: AT[5] + 1] + b"\xd6\x11" + WHOLE[AT[5] + 3 :],
    "exchanged with their parts": WHOLE[: AT[3]]
    + WHOLE[AT[6] : AT[7]]
    + WHOLE[AT[4] : AT[6]]
    + WHOLE[AT[3] : AT[4]]
    + WHOLE[AT[7] :],
    "zeros": WHOLE[: AT[4] + 2] + bytes(AT[6] - AT[4] - 2) + WHOLE[AT[6] :],
    "one too many": WHOLE[: AT[2]] + b"\xff\xd2" + WHOLE[AT[2] :],
}


@pytest.mark.parametrize("compression", [7, 34892])
@pytest.mark.parametrize("damage", DAMAGED)
def test_restart_markers_that_are_lost_or_exchanged_are_refused(tmp_path, damage, compression):
    path = write(tmp_path / "a.tif", DAMAGED[damage], compression=compression)
    expected = f"a.tif.*strip or tile 0 cannot be decoded: expected {len(AT)} restart markers .*copy it again"
    with pytest.raises(ImageReadError, match=expected):
        read(path)


def test_markers_that_were_not_declared_are_refused(tmp_path):
    coded = encoded()
    middle = coded.index(b"\xff\xda") + 600
    path = write(tmp_path / "a.tif", coded[:middle] + b"\xff\xd0" + coded[middle:])
    with pytest.raises(ImageReadError, match="expected 0 restart markers in scan 0, in order, but it has 1"):
        read(path)


def test_a_part_between_markers_that_ends_early_is_refused(tmp_path):
    for at, end in pairwise(AT[2:13]):
        damaged = WHOLE[: at + 20] + WHOLE[end - 20 :]
        with pytest.raises(ImageReadError, match="before its last pixel"):
            read(write(tmp_path / "a.tif", damaged))


KINDS = {
    "plain": {},
    "optimized": {"optimize": True},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 7},
    "rows": {"restart_marker_rows": 1},
    "progressive with restarts": {"progressive": True, "restart_marker_blocks": 3},
    "one interval": {"restart_marker_blocks": 5000},
}


@pytest.mark.parametrize("behind", [b"", bytes(7), b"\xff" * 3, b"\xff\xd9"])
@pytest.mark.parametrize("tile", [None, (96, 80)])
@pytest.mark.parametrize("kind", KINDS)
def test_whole_gray_pictures_are_read(tmp_path, kind, tile, behind):
    path = write(tmp_path / "a.tif", encoded(**KINDS[kind]) + behind, tile)
    found = read(path)[..., 0]
    assert np.array_equal(found, tifffile.imread(path))
    assert np.abs(found.astype(int) - GRAY).mean() < 6


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("kind", KINDS)
def test_whole_colours_are_read(tmp_path, kind, subsampling):
    coded = encoded(COLOUR, subsampling=subsampling, **KINDS[kind])
    path = write(tmp_path / "a.tif", coded, samples=(3,), photometric="ycbcr", planarconfig="contig")
    assert np.array_equal(read(path), np.asarray(PIL.Image.open(io.BytesIO(coded))))


@pytest.mark.parametrize("kind", KINDS)
def test_tables_may_lie_beside(tmp_path, kind):
    """As libtiff writes it: tables that all strips share are in the tag JPEGTables."""
    coded = encoded(**KINDS[kind])
    tables, position, bare = b"\xff\xd8", 2, b"\xff\xd8"
    while coded[position + 1] not in (0xC0, 0xC2):  # the restart interval comes behind the frame
        end = position + 2 + int.from_bytes(coded[position + 2 : position + 4], "big")
        if coded[position + 1] == 0xDB:
            tables += coded[position:end]
        position = end
    bare += coded[position:]
    extra = (347, 7, len(tables) + 2, tables + b"\xff\xd9", True)
    path = write(tmp_path / "a.tif", bare, extratags=[extra])
    assert np.array_equal(read(path)[..., 0], np.asarray(PIL.Image.open(io.BytesIO(coded))))


def test_the_marker_behind_a_part_may_be_left_at_its_end(tmp_path):
    following = b"\xff" + bytes([0xD0 + len(AT) % 8])
    whole = read(write(tmp_path / "a.tif", WHOLE))
    assert np.array_equal(read(write(tmp_path / "a.tif", WHOLE[:-2] + following + b"\xff\xd9")), whole)


def test_pictures_of_12_bits_and_without_loss_are_read(tmp_path):
    values = GRAY.astype(np.uint16) * 16
    coded = imagecodecs.jpeg8_encode(values, level=95, bitspersample=12)
    path = write(tmp_path / "a.tif", coded, dtype=np.uint16, bitspersample=12)
    assert np.abs(read(path)[..., 0].astype(int) - values).max() <= 200
    for array, coded in (
        (GRAY, imagecodecs.jpeg8_encode(GRAY, lossless=True)),
        (values, imagecodecs.ljpeg_encode(values, bitspersample=16)),
    ):
        path = write(tmp_path / "b.tif", coded, dtype=array.dtype)
        assert np.array_equal(read(path)[..., 0], array)


def test_scans_are_found_with_what_is_due():
    (scan,) = scans_of(WHOLE)
    assert (scan.restarts, scan.due, scan.ordered) == (len(AT), -(-12 * 10 // 6) - 1, True)
    assert WHOLE[scan.end :] == b"\xff\xd9"
    several = scans_of(encoded(COLOUR, progressive=True, subsampling="4:2:0", restart_marker_blocks=4))
    assert len(several) > 5
    assert all(scan.restarts == scan.due > 0 and scan.ordered for scan in several)


def test_what_cannot_be_followed_has_the_scans_before_it():
    assert scans_of(b"") == scans_of(b"\xff\xd8") == scans_of(WHOLE[:100]) == ()
    assert scans_of(imagecodecs.jpeg8_encode(GRAY, lossless=True)) == ()
    frame = WHOLE.index(b"\xff\xc0")
    assert scans_of(WHOLE[: frame + 5] + bytes(4) + WHOLE[frame + 9 :]) == ()  # no height, no width
    assert scans_of(WHOLE[: frame + 11] + b"\0" + WHOLE[frame + 12 :]) == ()  # no sampling
    assert len(scans_of(WHOLE[:-2])) == 1
