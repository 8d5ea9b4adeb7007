"""JPEG files are images; what is cut short, turned, or of another kind is said."""

import io
import re
import struct
from itertools import product

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from unet2015.errors import AxesError, ImageReadError, UNet2015Error
from unet2015.images.reader import find_images, open_image, read_pages

GRAY = np.random.default_rng(0).integers(0, 255, (45, 70), np.uint8)
RGB = np.random.default_rng(1).integers(0, 255, (45, 70, 3), np.uint8)


def encoded(pixels=GRAY, mode=None, **options):
    stream = io.BytesIO()
    Pillow.fromarray(pixels, mode).save(stream, "JPEG", **options)
    return stream.getvalue()


def exif(orientation, order="<"):
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    return b"Exif\0\0" + head + struct.pack(f"{order}HHHIHH", 1, 274, 3, 1, orientation, 0) + bytes(4)


@pytest.fixture
def write(tmp_path):
    def call(data, name="a.jpg"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return call


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"quality": 20, "restart_marker_rows": 1}], ids=str
)
@pytest.mark.parametrize("pixels", [GRAY, RGB], ids=["gray", "RGB"])
def test_the_pixels_are_those_of_another_decoder(write, pixels, options):
    data = encoded(pixels, **options)
    expected = np.asarray(Pillow.open(io.BytesIO(data))).reshape(45, 70, -1)
    with open_image(write(data, "a.bin")) as image:  # known by its first bytes
        assert image.axes == ("YX" if pixels.ndim == 2 else "YXC")
        assert (image.dtype, image.channels, image.notes) == (np.uint8, expected.shape[-1], ())
        assert image.calibration.pixel_size_x is None
        whole = image.read(0, 0, 45, 0, 70)
        np.testing.assert_array_equal(np.moveaxis(whole, 0, -1), expected)
        np.testing.assert_array_equal(image.read(0, 3, 20, 7, 60), whole[:, 3:20, 7:60])
        assert image.kept_bytes == whole.nbytes
        image.forget()
        assert image.kept_bytes == 0
        np.testing.assert_array_equal(image.read(0, 0, 45, 0, 70), whole)


def test_axes_may_be_named(write):
    path = write(encoded())
    with open_image(path, "TYX") as image:
        assert (image.axes, image.axes_source) == ("TYX", "--axes")
    with pytest.raises(AxesError):
        open_image(path, "YXC")


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", [1, 3, 6, 9])
def test_an_orientation_is_said_and_not_applied(write, order, orientation):
    with open_image(write(encoded(exif=exif(orientation, order)))) as image:
        assert len(image.notes) == (orientation in (3, 6))
        assert all(f"Orientation {orientation}" in note and "as it is stored" in note for note in image.notes)
        assert (image.height, image.width) == GRAY.shape
    stream = io.BytesIO()
    Pillow.fromarray(GRAY).save(stream, "PNG", exif=exif(orientation, order))
    with open_image(write(stream.getvalue(), "a.png")) as image:
        assert len(image.notes) == (orientation in (3, 6))
        assert all(f"Orientation {orientation}" in note and "as it is stored" in note for note in image.notes)
        assert np.array_equal(image.read(0, 0, *GRAY.shape[:1], 0, GRAY.shape[1])[0], GRAY)


def test_a_thumbnail_before_the_picture_is_not_the_picture(write):
    small = encoded(GRAY[:8, :8])
    head = struct.pack(">HH", 0xFFE1, 2 + 6 + len(small)) + b"other\0" + small
    data = encoded()
    with open_image(write(data[:2] + head + data[2:])) as image:
        assert (image.height, image.width) == GRAY.shape
        assert image.read(0, 0, 45, 0, 70).std() > 10


@pytest.mark.parametrize("progressive", [False, True])
def test_any_cut_is_an_error(write, progressive):
    data = encoded(RGB, progressive=progressive)
    for end in (*range(3, 700, 13), len(data) // 2, len(data) - 2, len(data) - 1):
        with pytest.raises(ImageReadError, match=r"a.jpg: .*(cut short|damaged)"):
            open_image(write(data[:end]))
    with open_image(write(data + b"what a camera adds\xff\xd8")) as image:  # after the end all is allowed
        assert image.read(0, 0, 45, 0, 70).shape == (3, 45, 70)


def test_the_end_is_found_across_blocks(write, monkeypatch):
    for quality, block in product(range(20, 30), (2, 3, 5)):  # the end marker is then often cut by a block
        data = encoded(quality=quality)
        monkeypatch.setattr("unet2015.images.jpeg._BLOCK", block)
        open_image(write(data)).close()
        with pytest.raises(ImageReadError, match="cut short"):
            open_image(write(data[:-1]))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (encoded(np.dstack([RGB, GRAY]), "CMYK"), "4 samples of 8 bits, frame C0"),
        (encoded().replace(b"\xff\xc0", b"\xff\xc3"), "1 samples of 8 bits, frame C3"),
        (encoded().replace(b"\xff\xc0\x00\x0b\x08", b"\xff\xc0\x00\x0b\x0c"), "samples of 12 bits"),
        (encoded().replace(b"\x00\x2d\x00\x46", b"\x00\x00\x00\x46"), "declares 0 x 70"),
        (b"\xff\xd8\xff\xd9", "holds no picture"),
        (b"\xff\xd8\xff\xe0\x00\x04ab\x12\x34\x56\x78", "expected a marker of the JPEG at byte 8"),
    ],
    ids=range(6),
)
def test_other_kinds_are_refused(write, data, words):
    with pytest.raises(ImageReadError, match=words):
        open_image(write(data))


def test_labels_in_a_jpeg_are_refused(write):
    path = write(encoded())
    with pytest.raises(
        ImageReadError, match="its compression changes values; export them again as PNG or TIFF"
    ):
        read_pages(path)
    assert read_pages(path, labels=False).shape == (1, 45, 70)


def test_memory_is_told_before_anything_is_decoded(write, monkeypatch):
    monkeypatch.setattr("imagecodecs.jpeg8_decode", None)
    data = encoded(RGB).replace(b"\x00\x2d\x00\x46", b"\xea\x60\xea\x60")
    with open_image(write(data)) as image:
        assert (image.height, image.width) == (60_000, 60_000)
        assert image.decoding_bytes > 3 * 60_000**2 - 2**27


def test_a_picture_that_is_not_as_declared_is_an_error(write, monkeypatch):
    monkeypatch.setattr("imagecodecs.jpeg8_decode", lambda data: np.zeros((45, 70, 3), np.uint8))
    with open_image(write(encoded())) as image, pytest.raises(ImageReadError, match="is damaged"):
        image.read(0, 0, 1, 0, 1)


WHOLE = encoded(RGB, progressive=True)


@given(place=st.integers(0, len(WHOLE) - 1), value=st.integers(0, 255))
def test_any_damaged_byte_gives_an_image_or_one_error(tmp_path_factory, place, value):
    path = tmp_path_factory.getbasetemp() / "damaged.jpg"
    path.write_bytes(WHOLE[:place] + bytes([value]) + WHOLE[place + 1 :])
    try:
        with open_image(path) as image:
            if image.height * image.width < 2**20:
                assert image.read(0, 0, image.height, 0, image.width).dtype == np.uint8
    except UNet2015Error as error:
        said = str(error)
        if not said.startswith(f"{path}: ") or "\n" in said:
            raise


def test_a_folder_stands_for_jpeg_but_not_for_copies_to_look_at(tmp_path, write, caplog):
    for name in ("a.jpg", "b.JPEG", "c.jpg"):
        write(encoded(), name)
    tifffile.imwrite(tmp_path / "a.tif", GRAY)
    assert [path.name for path in find_images([tmp_path])] == ["a.tif", "b.JPEG", "c.jpg"]
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}: JPEG files beside images of the same name are left out, as copies to look at (1): a.jpg"
    ]
    for pattern in (tmp_path / "a.jpg", tmp_path / "a.jp*"):
        assert [path.name for path in find_images([pattern])] == ["a.jpg"]


SMOOTH = np.add.outer(np.sin(np.arange(150) / 9), np.cos(np.arange(170) / 7)) * 50 + 128
SMOOTH = (SMOOTH + np.random.default_rng(2).normal(0, 5, SMOOTH.shape)).astype(np.uint8)
KINDS = {
    "plain": {},
    "colour": {"mode": "RGB"},
    "restarts": {"restart_marker_blocks": 7},
    "progressive": {"progressive": True},
}


def coded(kind):
    """Return a JPEG, and where its first coded pixels begin and its last end."""
    options = dict(KINDS[kind])
    mode = options.pop("mode", None)
    data = encoded(np.stack([SMOOTH, SMOOTH[::-1], SMOOTH], -1) if mode else SMOOTH, **options)
    start = data.index(b"\xff\xda")
    return data, start + 2 + int.from_bytes(data[start + 2 : start + 4], "big"), data.rindex(b"\xff\xd9")


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_has_no_note(write, kind):
    with open_image(write(coded(kind)[0])) as image:
        assert image.notes == ()


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_that_are_missing_within_the_pixels_are_an_error(write, kind):
    data, start, end = coded(kind)
    errors = []
    for place in np.random.default_rng(3).integers(start + 40, end - 80, 8).tolist():
        try:
            with open_image(write(data[:place] + data[place + 40 :])) as image:
                image.read(0, 0, 150, 0, 170)
        except ImageReadError as error:
            errors.append(str(error))
    assert all(re.search("damaged|cut short", error) for error in errors)
    assert len(errors) >= (3 if kind == "progressive" else 8)  # whose scans may fill the rest by themselves


@pytest.mark.parametrize("kind", ["plain", "colour"])
def test_data_that_go_on_behind_the_last_pixel_are_said(write, kind):
    data, _, end = coded(kind)
    with open_image(write(data[:end] + b"\x12\x34\x56\x78" + data[end:])) as image:
        assert "data go on behind its last pixel" in image.notes[-1]
        image.read(0, 0, 150, 0, 170)
    flat = encoded(np.zeros((40, 40), np.uint8))
    with open_image(write(flat)) as image:
        assert image.notes == ()


def test_restart_markers_that_are_lost_or_exchanged_are_an_error(write):
    data, start, end = coded("restarts")
    places = [place for place in range(start, end) if data[place] == 0xFF and 0xD0 <= data[place + 1] <= 0xD7]
    lost = data[: places[2]] + data[places[2] + 2 :]
    other = data[: places[2] + 1] + bytes([0xD7]) + data[places[2] + 2 :]
    more = data[: places[2]] + b"\xff\xd2\xff\xd3" + data[places[2] :]
    for damaged, words in ((lost, "but it has"), (other, "and not in order"), (more, "but it has")):
        with (
            open_image(write(damaged)) as image,
            pytest.raises(ImageReadError, match="restart mark.*" + words),
        ):
            image.read(0, 0, 150, 0, 170)


def test_most_blocks_that_are_overwritten_are_seen(write):
    """A change that keeps the length of all codes cannot be seen; a block of a disk does not often."""
    data, start, end = coded("plain")
    rng, seen = np.random.default_rng(4), 0
    for place in rng.integers(start, end - 512, 20).tolist():
        damaged = data[:place] + rng.integers(0, 255, 512, np.uint8).tobytes() + data[place + 512 :]
        try:
            with open_image(write(damaged)) as image:
                seen += bool(image.notes)
        except ImageReadError:
            seen += 1
    assert seen >= 17


@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_a_damaged_jpeg_within_a_tiff_is_an_error(tmp_path, tile):
    layout = {"rowsperstrip": 64} if tile is None else {"tile": tile}
    tifffile.imwrite(tmp_path / "a.tif", SMOOTH, compression="jpeg", photometric="minisblack", **layout)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        offset, count = tif.pages[0].dataoffsets[0], tif.pages[0].databytecounts[0]
    with open_image(tmp_path / "a.tif") as image:
        image.read(0, 0, 150, 0, 170)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    middle = offset + count // 2
    data[middle : offset + count] = data[middle + 40 : offset + count] + b"\xff\xd9" * 20
    (tmp_path / "a.tif").write_bytes(bytes(data))
    with (
        open_image(tmp_path / "a.tif") as image,
        pytest.raises(ImageReadError, match="before its last pixel"),
    ):
        image.read(0, 0, 150, 0, 170)


@pytest.mark.parametrize(
    ("ending", "said"), [("png", "it is animated, with 2 pictures"), ("mpo", "another picture (MPO)")]
)
def test_further_pictures_of_a_file_are_said(tmp_path, ending, said):
    pictures = [Pillow.fromarray(np.full((8, 9), value, np.uint8)) for value in (10, 200)]
    for count in (1, 2):
        path = tmp_path / f"{count}.{ending}"
        pictures[0].save(path, save_all=True, append_images=pictures[1:count])
        with open_image(path) as image:
            assert (image.pages, int(image.read(0, 0, 1, 0, 1)[0, 0, 0])) == (1, 10)
            assert [said in note for note in image.notes] == [True] * (count - 1)
