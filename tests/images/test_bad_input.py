"""What cannot be read or contradicts itself: one line that names the file, what was expected, what came."""

import re
import struct
import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unet2015.errors import AxesError, ImageReadError, ImageValueError, UNet2015Error, UsageError
from unet2015.images.array_image import ArrayImage
from unet2015.images.reader import open_image, read_pages

STACK = np.random.default_rng(0).integers(0, 255, (10, 16, 12), np.uint8)


def refused(path, *words, error=ImageReadError):
    """Opening and reading all of `path` fails with one line of the file's name and `words`."""

    def read_all():
        with open_image(path) as image:
            for page in range(image.pages):
                image.read(page, 0, image.height, 0, image.width)

    with pytest.raises(error) as caught:
        read_all()
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


def patch(path, old, new):
    """Replace bytes in a file by as many others."""
    data = path.read_bytes()
    assert data.count(old) >= 1
    assert len(old) == len(new)
    path.write_bytes(data.replace(old, new, 1))


def test_no_file(tmp_path):
    refused(tmp_path / "a.tif", "No such file")


def test_a_folder_named_like_a_file(tmp_path):
    (tmp_path / "a.tif").mkdir()
    refused(tmp_path / "a.tif", "folder")


@pytest.mark.parametrize(("content", "word"), [(b"", "empty"), (b"no TIFF", "no TIFF"), (b"II*\0", "TIFF")])
def test_no_image(tmp_path, content, word):
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    refused(path, word)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK)

    def refuse(name, flags):
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr("unet2015.safe_files.reading._without_waiting", refuse)
    refused(path, "Permission denied")


@pytest.mark.slow
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", ["imagej", "imagej-truncated", "ome", "shaped", "shaped-truncated", "plain"])
def test_cut_short_anywhere(tmp_path, kind, compression):
    """Every length below the whole is refused on opening, or is only missing bytes nobody needs."""
    if "truncated" in kind and compression:
        return
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    options = {"photometric": "minisblack", "compression": compression}
    options["metadata"] = None if kind == "plain" else {"axes": "ZYX"}
    if "truncated" in kind:
        options["truncate"] = True
    tifffile.imwrite(path, STACK, imagej=kind.startswith("imagej"), **options)
    data = path.read_bytes()
    padding = len(data) - len(data.rstrip(b"\0")) + 64
    for size in [*range(0, len(data) - padding, 97), len(data) - padding]:
        path.write_bytes(data[:size])
        try:
            with open_image(path) as image:
                read = np.stack([image.read(page, 0, 16, 0, 12)[0] for page in range(image.pages)])
        except ImageReadError as error:
            assert str(path) in str(error)  # noqa: PT017 - both outcomes are allowed
        else:
            np.testing.assert_array_equal(read, STACK)


def test_an_imagej_stack_shorter_than_it_declares(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, imagej=True, truncate=True, metadata={"axes": "ZYX"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 400])
    refused(path, "10 planes", str(len(data) - 400), "cut short")


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_an_imagej_header_that_declares_more(tmp_path, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "ZYX"}, compression=compression)
    patch(path, b"images=10\nslices=10", b"images=12\nslices=12")
    refused(path, "12", "10")


@pytest.mark.parametrize("imagej", [True, False])
@pytest.mark.parametrize("added", [1, 2, 10])
def test_pages_that_were_added_after_the_header_are_not_said_to_be_missing(tmp_path, imagej, added):
    """As by `append` of tifffile: nothing was cut short, and another copy would not help."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, imagej=imagej, metadata={"axes": "ZYX"}, compression="zlib")
    tifffile.imwrite(path, STACK[:added], append="force", metadata=None, compression="zlib")
    said = refused(path, "declares 10 planes", f"holds {10 + added} pages", f"{added} more", "in one go")
    assert "cut short" not in said
    assert "copy" not in said


def test_an_imagej_header_that_is_damaged(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "ZYX"})
    patch(path, b"slices=10", b"slices=-1")
    refused(path, "slices=-1")


@pytest.mark.parametrize("letter", "ZCT")
def test_ome_that_declares_more(tmp_path, letter):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack", metadata={"axes": letter + "YX"})
    patch(path, f'Size{letter}="10"'.encode(), f'Size{letter}="13"'.encode())
    refused(path, f"Size{letter}=13", "10")


def test_ome_that_declares_another_size(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack", metadata={"axes": "ZYX"})
    patch(path, b'SizeX="12"', b'SizeX="15"')
    refused(path, "16 x 15", "16 x 12")


def test_ome_that_is_damaged(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack", metadata={"axes": "ZYX"})
    patch(path, b'SizeX="12"', b'SizeX="12 ')
    refused(path, "OME-XML")


def test_ome_of_several_images(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(STACK[0])
        writer.write(STACK[1])
    refused(path, "2", "one image")


def test_a_shaped_header_that_declares_more(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack", compression="zlib", metadata={"axes": "ZYX"})
    patch(path, b"[10, 16", b"[11, 16")
    refused(path, "11", "10")


def test_pages_of_different_sizes(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(STACK[0], metadata=None)
        writer.write(STACK[0, :8], metadata=None)
    refused(path, "16 x 12", "8 x 12")


def test_pages_of_different_types(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(STACK[0], metadata=None)
        writer.write(STACK[0].astype("uint16"), metadata=None)
    refused(path, "uint8", "uint16")


def test_a_chain_of_directories_that_bites_its_tail(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[:2], photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path) as tif:
        first, second = (page.offset for page in tif.pages)
        end = tif.pages.next_page_offset
    data = bytearray(path.read_bytes())
    data[end : end + 4] = struct.pack("<I", first)
    assert second != first
    path.write_bytes(bytes(data))
    refused(path, "directory")


def tag_value(path, code, change, page=0):
    """Overwrite the value of a tag."""
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tag = tif.pages[page].tags[code]
        tag.overwrite(change(tag.value))


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
def test_strips_outside_the_file(tmp_path, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, STACK, photometric="minisblack", compression=compression, rowsperstrip=4, metadata=None
    )
    tag_value(path, 273, lambda offsets: (*offsets[:-1], 10**6), page=3)
    refused(path, "page 3", str(path.stat().st_size))


@pytest.mark.parametrize("count", [0, 5])
def test_strips_with_too_few_bytes(tmp_path, count):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack", rowsperstrip=4, metadata=None)
    tag_value(path, 279, lambda counts: (counts[0], count, *counts[2:]), page=1)
    refused(path, "page 1", "strip or tile 1", "48 bytes", f"has {count}")


@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd"])
@pytest.mark.parametrize("layout", [{"tile": (16, 16)}, {"rowsperstrip": 8}])
def test_compressed_data_cut_short(tmp_path, compression, layout):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, np.tile(STACK, (1, 4, 4)), photometric="minisblack", compression=compression, **layout
    )
    tag_value(
        path, 325 if "tile" in layout else 279, lambda counts: (*counts[:2], counts[2] // 2, *counts[3:])
    )
    refused(path, "page 0", "strip or tile 2")


def test_a_palette(tmp_path):
    path = tmp_path / "a.tif"
    colours = np.zeros((3, 256), np.uint16)
    tifffile.imwrite(path, STACK[0], photometric="palette", colormap=colours)
    data = path.read_bytes()  # without the tag ColorMap
    path.write_bytes(
        data.replace((320).to_bytes(2, "little") + b"\3\0", (64000).to_bytes(2, "little") + b"\3\0")
    )
    refused(path, "palette that is not there")
    # ImageJ's palette is a way of display: the pixels are intensities.
    tifffile.imwrite(path, STACK[0], imagej=True, colormap=colours)
    np.testing.assert_array_equal(read_pages(path)[0], STACK[0])


@pytest.mark.parametrize("dtype", ["bool", "complex64"])
def test_types_that_are_no_intensities(tmp_path, dtype):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0].astype(dtype), photometric="minisblack")
    refused(path, "not supported")


def test_volumetric_tiles(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((16, 16, 16), np.uint8), tile=(16, 16, 16), photometric="minisblack")
    refused(path, "volumetric")


def test_labels_of_several_channels(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((16, 16, 3), np.uint8), photometric="rgb")
    with pytest.raises(ImageValueError, match="has 3"):
        read_pages(path)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_bytes_give_no_other_error(tmp_path, changes):
    """Whatever bytes of the header change, the file is read or refused as this package refuses."""
    path = tmp_path / "a.tif"
    if not (tmp_path / "whole.tif").exists():
        options = {"imagej": True, "metadata": {"axes": "ZYX"}, "compression": "zlib"}
        tifffile.imwrite(tmp_path / "whole.tif", STACK, **options)
    data = bytearray((tmp_path / "whole.tif").read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    path.write_bytes(bytes(data))
    try:
        with open_image(path) as image:
            if image.height * image.width < 10**6:
                image.read(0, 0, image.height, 0, image.width)
    except UNet2015Error:
        pass


@pytest.mark.slow
def test_tifffile_does_not_write_to_the_terminal(tmp_path):
    """What it would only log, here of a tag of an unknown type, is no noise in a user's terminal."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0], metadata=None)
    with tifffile.TiffFile(path) as tif:
        place = tif.pages[0].tags[282].offset
    data = bytearray(path.read_bytes())
    data[place + 2] = 99
    path.write_bytes(bytes(data))
    for module, noise in (("unet2015.images.reader", False), ("tifffile", True)):
        reading = f"from {module} import *; {'TiffFile' if noise else 'open_image'}({str(path)!r}).close()"
        done = subprocess.run([sys.executable, "-c", reading], capture_output=True, text=True, check=True)
        assert bool(done.stderr) == noise


def test_regions_outside_an_image():
    image = ArrayImage(STACK)
    for region in [(10, 0, 1, 0, 1), (0, -1, 1, 0, 1), (0, 0, 17, 0, 1), (0, 3, 3, 0, 1), (0, 0, 1, 5, 13)]:
        with pytest.raises(UsageError, match="not inside"):
            image.read(*region)


def test_arrays_need_axes_beyond_three_dimensions():
    with pytest.raises(AxesError, match=re.escape("(1, 10, 16, 12)")):
        ArrayImage(STACK[None])
    with pytest.raises(ImageReadError, match="empty"):
        ArrayImage(STACK[:0])
    with pytest.raises(AxesError):
        ArrayImage(STACK, "YX")
    image = ArrayImage(STACK, "YXC")
    assert (image.height, image.width, image.channels, image.pages) == (10, 16, 12, 1)
    np.testing.assert_array_equal(image.read(0, 2, 5, 3, 9), np.moveaxis(STACK[2:5, 3:9], -1, 0))


def png(path, array):
    path.write_bytes(imagecodecs.png_encode(array))
    return path


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_png(tmp_path, dtype, samples):
    limit = np.iinfo(dtype).max
    array = np.random.default_rng(0).integers(0, limit, (13, 17, samples), dtype, endpoint=True)
    if samples in (2, 4):
        array[..., -1] = limit
    path = png(tmp_path / "a.tif", array.squeeze())  # what it is follows from its bytes
    channels = 1 if samples < 3 else 3
    with open_image(path) as image:
        assert (image.axes, image.dtype) == ("YX" if channels == 1 else "YXC", np.dtype(dtype))
        assert (image.channels, image.pages, image.path) == (channels, 1, path)
        expected = np.moveaxis(array[..., :channels], -1, 0)
        np.testing.assert_array_equal(image.read(0, 2, 9, 3, 16), expected[:, 2:9, 3:16])
    if channels == 1:
        with open_image(path, "ZYX") as image:
            assert image.shape == (1, 13, 17)
        with pytest.raises(AxesError):
            open_image(path, "YXZ")


def test_png_with_transparency(tmp_path):
    array = np.full((4, 5, 4), 255, np.uint8)
    array[1, 2, 3] = 254
    refused(png(tmp_path / "a.png", array), "transparent")


def test_png_cut_short_anywhere(tmp_path):
    path = png(tmp_path / "a.png", STACK[0])
    data = path.read_bytes()
    for size in range(8, len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(ImageReadError, match=re.escape(str(path))):
            open_image(path)


def test_png_with_a_palette_or_few_bits(tmp_path):
    path = png(tmp_path / "a.png", STACK[0])
    data = path.read_bytes()
    for bits, colour, word in [(8, 3, "palette"), (1, 0, "1 bit")]:
        path.write_bytes(data[:24] + bytes([bits, colour]) + data[26:])
        refused(path, word)


def test_png_with_damaged_pixels(tmp_path):
    path = png(tmp_path / "a.png", STACK[0])
    data = bytearray(path.read_bytes())
    data[60:70] = bytes(10)
    path.write_bytes(bytes(data))
    refused(path, "PNG")
