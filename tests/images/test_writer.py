"""What is written reads back with the same axes and calibration; what fails leaves nothing."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.images.bands import write_in_bands
from unet2015.errors import ImageReadError, ImageWriteError
from unet2015.images import layout, strips
from unet2015.images.array_image import ArrayImage
from unet2015.images.axes import Calibration, unit_factor
from unet2015.images.display import display_of_classes, display_of_labels
from unet2015.images.reader import open_image
from unet2015.images.writer import ImageWriter, Layout, write_image
from unet2015.safe_files import atomic_path, write_json

SIZES = {"I": 3, "T": 2, "Z": 3, "C": 2, "Y": 11, "X": 7}
FULL = Calibration(0.25, 0.5, 2.0, 3.0, "µm", "s")


def like(kind, axes="YX", calibration=Calibration(), sizes=SIZES):  # noqa: B008
    """An image that only lends its axes, calibration and flavour."""
    image = ArrayImage(np.zeros([sizes[letter] for letter in axes], np.uint8), axes, calibration)
    image.kind = kind
    return image


def pages(image):
    return np.stack([image.read(page, 0, image.height, 0, image.width) for page in range(image.pages)])


@st.composite
def jobs(draw):
    height, width = draw(st.integers(1, 30)), draw(st.integers(1, 20))
    count, channels = draw(st.integers(1, 3)), draw(st.sampled_from([None, 1, 2, 3]))
    dtype = draw(st.sampled_from(["uint8", "uint16", "float32", "int32"]))
    total = count * height
    cuts = sorted(draw(st.lists(st.integers(0, total), max_size=5)))
    strip = draw(st.integers(1, 400))
    kind = draw(st.sampled_from(["imagej", "ome", "plain"]))
    return height, width, count, channels, dtype, [0, *cuts, total], strip, kind, draw(st.booleans())


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(jobs())
def test_bands_of_any_height_make_the_same_file(job):
    height, width, count, channels, dtype, cuts, strip, kind, big = job
    random = np.random.default_rng(0)
    array = random.integers(0, 100, (channels or 1, count * height, width)).astype(dtype)
    image = like(kind, "ZYX", sizes={"Z": count, "Y": height, "X": width})
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips, "_STRIP_BYTES", strip)
        if big:
            patch.setattr(layout, "_CLASSIC_BYTES", 0)
        path = Path(folder) / "a.tif"
        files = [write_in_bands(path, image, array, channels, bands) for bands in (cuts, [0, count * height])]
        assert files[0] == files[1]
        expected = array.reshape(channels or 1, count, height, width).swapaxes(0, 1)
        with tifffile.TiffFile(path) as tif:
            assert tif.is_bigtiff == big
            assert all(page.compression == 8 for page in tif.pages)
        np.testing.assert_array_equal(tifffile.imread(path).reshape(expected.shape), expected)
        with open_image(path) as read:
            assert read.dtype == np.dtype(dtype)
            if big and kind == "imagej":
                assert read.kind == "ome"
            np.testing.assert_array_equal(pages(read).reshape(expected.shape), expected)


def test_a_caller_may_use_its_buffer_again(tmp_path):
    path = tmp_path / "a.tif"
    with ImageWriter(path, like("plain"), "uint8") as out:
        row = np.zeros((1, 7), np.uint8)
        for value in range(11):
            row[:] = value
            out.write(row)
    np.testing.assert_array_equal(tifffile.imread(path)[:, 0], np.arange(11))


@pytest.mark.parametrize("channels", [None, 2])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "uint16"])
@pytest.mark.parametrize("axes", ["YX", "ZYX", "TYX", "TZYX", "IYX", "ZTYX", "TCZYX", "YXC"])
@pytest.mark.parametrize("kind", ["imagej", "ome", "plain"])
def test_axes_and_calibration_survive(tmp_path, same_calibration, kind, axes, dtype, channels):
    path = tmp_path / "a.tif"
    lead = "".join(letter for letter in axes if letter not in "CYX")
    calibration = Calibration(
        0.25,
        0.5,
        2.0 if "Z" in lead else None,
        3.0 if "T" in lead else None,
        "µm",
        "s" if "T" in lead else None,
    )
    image = like(kind, axes, calibration)
    shape = [SIZES[letter] for letter in lead] + ([] if channels is None else [channels])
    array = np.arange(np.prod(shape, dtype=int) * 77).reshape(*shape, 11, 7).astype(dtype)
    with ImageWriter(path, image, dtype, channels) as out:
        for page in array.reshape(-1, *array.shape[-2 - (channels is not None) :]):
            out.write(page)
    with open_image(path) as read:
        assert read.axes == lead + ("" if channels is None else "C") + "YX"
        assert read.shape == array.shape
        assert same_calibration(read.calibration, calibration, rel=1e-8), read.calibration
        wanted = kind
        if kind == "imagej" and lead == "ZT":
            wanted = "ome"
        if kind == "ome" and lead == "I":
            wanted = "plain"
        assert read.kind == wanted
        np.testing.assert_array_equal(pages(read).ravel(), array.ravel())
    with tifffile.TiffFile(path) as tif:  # another reader sees the same
        assert tif.is_imagej == (wanted == "imagej")
        assert tif.is_ome == (wanted == "ome")
        np.testing.assert_array_equal(tif.asarray().ravel(), array.ravel())
        if lead != "I":
            assert tif.series[0].axes == read.axes


@pytest.mark.parametrize("unit", ["micron", "µm", "nm", "mm", "cm", "inch", "furlong", "um"])
def test_units_of_imagej_survive(tmp_path, same_calibration, unit):
    source, path = tmp_path / "a.tif", tmp_path / "b.tif"
    text = unit.replace("µ", "\\u00B5")
    metadata = {"axes": "TZYX", "unit": text, "spacing": 0.3, "finterval": 1.5, "tunit": "\\u00B5s"}
    array = np.zeros((2, 3, 4, 5), np.uint16)
    tifffile.imwrite(source, array, imagej=True, resolution=(1 / 0.19, 1 / 0.27), metadata=metadata)
    with open_image(source) as image, ImageWriter(path, image, "uint8") as out:
        assert (image.calibration.unit, image.calibration.time_unit) == (unit, "µs")
        out.write(np.zeros((24, 5), np.uint8))
    with open_image(path) as read, open_image(source) as image:
        assert same_calibration(read.calibration, image.calibration, rel=1e-8)
        assert (read.axes, read.kind) == ("TZYX", "imagej")
    with tifffile.TiffFile(path) as tif:
        assert tif.imagej_metadata["unit"] == text
        assert tif.imagej_metadata["spacing"] == 0.3
        assert (tif.imagej_metadata["slices"], tif.imagej_metadata["frames"]) == (3, 2)


@pytest.mark.parametrize(
    ("unit", "kind", "symbol"),
    [
        *((unit, "ome", "ms") for unit in ("millisecond", "msec", "ms")),
        *((unit, "ome", "µs") for unit in ("microsecond", "us")),
        *((unit, "ome", "min") for unit in ("minutes", "minute")),
        *((unit, "ome", "h") for unit in ("hours", "hour")),
        ("day", "ome", "d"),
        ("ks", "ome", "ks"),
        ("frame", "ome", None),
        (None, "ome", None),
        ("frame", "imagej", "frame"),
        (None, "imagej", None),
        (None, "plain", None),
    ],
)
def test_an_interval_is_in_a_unit_that_the_flavour_has_or_left_out(tmp_path, unit, kind, symbol):
    like = ArrayImage(np.zeros((2, 4, 5), np.uint8), "TYX", Calibration(time_interval=2.5, time_unit=unit))
    like.kind = kind
    with ImageWriter(tmp_path / "a.tif", like, "uint8") as out:
        assert [note.startswith("its time interval, 2.5, ") for note in out.lost] == [True] * (symbol is None)
        out.write(np.zeros((8, 5), np.uint8))
    with open_image(tmp_path / "a.tif") as read:
        assert (read.kind, read.calibration.time_unit) == (kind, symbol)
        assert read.calibration.time_interval == (symbol and 2.5)


@pytest.mark.parametrize("unit", ["µm", "nm", "mm", "Å", "reference frame", "pixel"])
def test_units_of_ome_survive(tmp_path, unit):
    source, path = tmp_path / "a.ome.tif", tmp_path / "b.tif"
    metadata = {"axes": "TZYX", "TimeIncrement": 1.5, "TimeIncrementUnit": "min"}
    for letter, size in zip("XYZ", (0.19, 0.27, 0.3), strict=True):
        metadata |= {f"PhysicalSize{letter}": size, f"PhysicalSize{letter}Unit": unit}
    tifffile.imwrite(source, np.zeros((2, 3, 4, 5), np.uint16), metadata=metadata, photometric="minisblack")
    with open_image(source) as image, ImageWriter(path, image, "float32") as out:
        out.write(np.zeros((24, 5), np.float32))
    with open_image(path) as read:
        assert read.calibration == Calibration(0.27, 0.19, 0.3, 1.5, unit, "min")
        assert (read.axes, read.kind) == ("TZYX", "ome")
    with tifffile.TiffFile(path) as tif:
        assert f'PhysicalSizeXUnit="{unit.replace("µ", "&#181;").replace("Å", "&#197;")}"' in tif.ome_metadata


@pytest.mark.parametrize("kind", ["imagej", "plain", "ome"])
@pytest.mark.parametrize(
    ("size", "unit", "kept"),
    [
        (0.01, "Å", "imagej plain ome"),
        (0.0002, "nm", "imagej plain ome"),
        (6.5e-8, "m", "imagej plain ome"),
        (1e-11, "m", "plain ome"),
        (1e-14, "m", "ome"),
        (5e9, "pm", "plain ome"),
    ],
)
def test_a_pixel_size_of_any_order_is_kept_or_said(tmp_path, size, unit, kept, kind):
    like = ArrayImage(np.zeros((4, 5), np.uint8), "YX", Calibration(size, size, unit=unit))
    like.kind = kind
    with ImageWriter(tmp_path / "a.tif", like, "uint8") as out:
        assert any("no number that the tags of a TIFF hold" in note for note in out.lost) == (
            kind not in kept
        )
        out.write(np.zeros((4, 5), np.uint8))
    with open_image(tmp_path / "a.tif") as read:
        expected = pytest.approx(size, rel=1e-8) if kind in kept else None
        found = read.calibration
        factor = unit_factor(found.unit, unit) or 1
        assert (found.pixel_size_x and found.pixel_size_x * factor) == expected


def test_resolution_tags_survive(tmp_path, same_calibration):
    source, path = tmp_path / "a.tif", tmp_path / "b.tif"
    resolution = ((4294967295, 81604), (4294967295, 279173))
    options = {"resolution": resolution, "resolutionunit": "CENTIMETER", "metadata": None}
    tifffile.imwrite(source, np.zeros((4, 5), np.uint8), **options)
    with open_image(source) as image, ImageWriter(path, image, "uint8") as out:
        out.write(np.zeros((4, 5), np.uint8))
        before = image.calibration
    with open_image(path) as read:
        assert same_calibration(read.calibration, before)
    with tifffile.TiffFile(path) as tif:
        found = tif.pages[0].get_resolution("MICROMETER")
    assert found == pytest.approx([a / b / 1e4 for a, b in resolution], rel=1e-9)


@pytest.mark.parametrize("calibration", [FULL, Calibration(4.0, 4.0, 50.0, None, "nm", None), Calibration()])
def test_write_image(tmp_path, same_calibration, calibration):
    path = tmp_path / "a.tif"
    array = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5, 2)
    write_image(path, array, "ZYXC", calibration)
    with open_image(path) as read:
        assert read.axes == "ZCYX"
        assert same_calibration(read.calibration, calibration, rel=1e-8), read.calibration
        np.testing.assert_array_equal(pages(read), np.moveaxis(array, -1, 1))


@pytest.mark.parametrize(
    ("kind", "dtype", "expected"), [("imagej", "uint32", "ome"), ("ome", "float16", "plain")]
)
def test_types_that_a_flavour_lacks(tmp_path, kind, dtype, expected):
    path = tmp_path / "a.tif"
    array = np.arange(231).reshape(33, 7).astype(dtype)
    with ImageWriter(path, like(kind, "ZYX"), dtype) as out:
        out.write(array)
    with open_image(path) as read:
        assert (read.kind, read.axes, read.dtype) == (expected, "ZYX", np.dtype(dtype))
        np.testing.assert_array_equal(pages(read).ravel(), array.ravel())


@pytest.mark.parametrize(
    ("shape", "dtype", "channels", "big"),
    [
        ((2, 2**16, 2**15), "uint8", None, True),
        ((2, 2**15, 2**15), "uint8", None, False),
        ((2, 2**14, 2**15), "float32", None, True),
        ((1, 2**15, 2**15), "uint8", 4, True),
        ((2**24, 1, 1), "uint8", None, True),
    ],
)
def test_more_than_4_gb_make_a_bigtiff_which_imagej_cannot_read(tmp_path, shape, dtype, channels, big):
    image = like("imagej", "ZYX")
    image.shape = shape
    out = ImageWriter(tmp_path / "a.tif", image, dtype, channels, Layout(tiled=False))
    assert (out._big, out.kind) == (big, "ome" if big else "imagej")


def left_over(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_body_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"before")

    def fail():
        with ImageWriter(path, like("plain"), "uint8") as out:
            out.write(np.zeros((5, 7), np.uint8))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_bytes() == b"before"
    assert left_over(tmp_path) == ["a.tif"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.zeros((10, 7), np.uint8), "expected 11 rows, but 10 came"),
        (np.zeros((12, 7), np.uint8), "expected 11 rows, but more came"),
        (np.zeros((11, 8), np.uint8), r"expected rows of shape \(rows, 7\)"),
        (np.zeros((1, 11, 7), np.uint8), r"\(1, 11, 7\)"),
        (np.zeros((11, 7), np.uint16), "uint16 came"),
    ],
)
def test_rows_that_do_not_fit(tmp_path, rows, words):
    with (
        pytest.raises(ImageWriteError, match=words),
        ImageWriter(tmp_path / "a.tif", like("plain"), "uint8") as out,
    ):
        out.write(rows)
    assert left_over(tmp_path) == []


def test_no_folder_and_a_folder_of_this_name(tmp_path):
    (tmp_path / "a.tif").mkdir()
    for path, word in (
        (tmp_path / "a.tif", "folder has this name"),
        (tmp_path / "b" / "a.tif", "does not exist"),
    ):
        with pytest.raises(ImageWriteError, match=word), ImageWriter(path, like("plain"), "uint8"):
            pass
        with pytest.raises(ImageWriteError, match=word):
            write_json(path, {})
    assert left_over(tmp_path) == ["a.tif"]


def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    def refuse(path, *args):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ImageWriteError, match=r"a\.tif: cannot write the file: Permission denied"):
        write_image(tmp_path / "a.tif", np.zeros((3, 3), np.uint8), "YX")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is of POSIX")
@pytest.mark.parametrize("limit", [0, 100, 5_000, 300_000])
def test_a_full_disk(tmp_path, limit):
    """The file system takes `limit` bytes: one line, and nothing is left."""
    code = f"""
        import resource, signal, sys
        import numpy as np
        from unet2015.errors import ImageWriteError
        from unet2015.images.writer import write_image
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        array = np.random.default_rng(0).integers(0, 255, (700, 900), np.uint8)
        try:
            write_image({str(tmp_path / "a.tif")!r}, array, "YX")
        except ImageWriteError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{tmp_path / 'a.tif'}: cannot write the file: ")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert left_over(tmp_path) == []


def test_atomic_path(tmp_path):
    path = tmp_path / ("long" * 50 + ".txt")
    with atomic_path(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".tmp"
        assert not path.exists()
        temporary.write_text("first")
    assert path.read_text() == "first"
    assert left_over(tmp_path) == [path.name]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_atomic_path_keeps_errors_of_others(tmp_path):
    def fail(error):
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise error

    for error in (
        ImageReadError("b.tif: damaged"),
        FileNotFoundError(2, "No such file", "b.tif"),
        KeyError(),
    ):
        with pytest.raises(type(error)) as caught:
            fail(error)
        assert caught.value is error
    with pytest.raises(ImageWriteError, match=r"a\.txt: cannot write the file: No space left"):
        fail(OSError(28, "No space left on device"))
    assert left_over(tmp_path) == []


def test_write_json(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"unit": "µm", "sizes": [1, 2.5, None]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"unit": "µm", "sizes": [1, 2.5, None]}
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text(encoding="utf-8"))["unit"] == "µm"


@pytest.mark.parametrize(
    ("layout_of", "levels"), [({"tiled": True}, 0), ({"pyramid": True}, 2), ({"tiled": False}, 0)]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_a_bigtiff_has_the_colour_table_too(tmp_path, monkeypatch, layout_of, levels, dtype):
    monkeypatch.setattr(layout, "_CLASSIC_BYTES", 1)
    array = (np.arange(2 * 600 * 300).reshape(2, 600, 300) % 3).astype(dtype)
    image = like("plain", "ZYX", sizes={"Z": 2, "Y": 600, "X": 300})
    shown = display_of_classes(3) if dtype == np.uint8 else display_of_labels(2)
    with ImageWriter(tmp_path / "a.tif", image, dtype, None, Layout(**layout_of), display=shown) as writer:
        for page in array:
            writer.write(page)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_bigtiff
        every = [page for first in tif.pages for page in (first, *(first.pages or ()))]
        assert len(every) == 2 * (1 + levels)
        for page in every:
            assert page.photometric == tifffile.PHOTOMETRIC.MINISBLACK  # numbers for all that ask for it
            table = np.array(page.tags[320].value).reshape(3, 256).T // 257
            np.testing.assert_array_equal(table, shown.table(np.dtype(dtype), ranged=False))
            assert len(np.unique(table[: 3 if dtype == np.uint8 else 256], axis=0)) >= 3
    with open_image(tmp_path / "a.tif") as written:
        assert written.channels == 1
        np.testing.assert_array_equal(pages(written)[:, 0], array)
