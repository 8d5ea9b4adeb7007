"""Every flavour of TIFF that is read: pixels, axes, calibration, and how little is decoded."""

import itertools
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from unet2015.errors import AxesError, ImageReadError
from unet2015.images.axes import Calibration
from unet2015.images.reader import open_image, read_pages
from unet2015.images.tiff import TiffImage


def pixels(shape, dtype, seed=0):
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return random.standard_normal(shape).astype(dtype)
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def whole(image):
    """The image as (pages, channels, height, width)."""
    return np.stack([image.read(page, 0, image.height, 0, image.width) for page in range(image.pages)])


@st.composite
def tiffs(draw):
    """An array of pages (pages, [samples,] height, width [, samples]) and how to write it."""
    dtype = draw(st.sampled_from(["uint8", "uint16", "float32", "int16", "int32", "uint32", "float64"]))
    height, width = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    pages = draw(st.integers(1, 3))
    compression = draw(st.sampled_from([None, "lzw", "zlib", "zstd", "packbits"]))
    options = {"compression": compression, "metadata": None}
    if compression in ("lzw", "zlib", "zstd") and dtype != "float64":
        options["predictor"] = draw(st.booleans())
    if draw(st.booleans()):
        options["tile"] = (draw(st.sampled_from([16, 32])), draw(st.sampled_from([16, 48])))
    else:
        options["rowsperstrip"] = draw(st.integers(1, height))
    layout = draw(st.sampled_from(["gray", "contig", "separate"]))
    shape = {
        "gray": (pages, height, width),
        "contig": (pages, height, width, 3),
        "separate": (pages, 3, height, width),
    }[layout]
    if layout == "gray":
        options["photometric"] = "minisblack"
    else:
        options |= {"photometric": "rgb", "planarconfig": layout}
    file = {"bigtiff": draw(st.booleans()), "byteorder": draw(st.sampled_from("<>"))}
    y = sorted(draw(st.lists(st.integers(0, height), min_size=2, max_size=2, unique=True)))
    x = sorted(draw(st.lists(st.integers(0, width), min_size=2, max_size=2, unique=True)))
    array = pixels(shape, dtype, draw(st.integers(0, 9)))
    return array, layout, options, file, (draw(st.integers(0, pages - 1)), *y, *x)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(tiffs())
def test_a_region_equals_the_slice_of_what_was_written(case):
    array, layout, options, file, (page, y0, y1, x0, x1) = case
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tif"
        tifffile.imwrite(path, array, **options, **file)
        with open_image(path) as image:
            expected = {
                "gray": array[:, None],
                "contig": np.moveaxis(array, -1, 1),
                "separate": array,
            }[layout]
            region = image.read(page, y0, y1, x0, x1)
            assert region.dtype == array.dtype
            assert region.dtype.isnative
            np.testing.assert_array_equal(region, expected[page, :, y0:y1, x0:x1])
            np.testing.assert_array_equal(whole(image), expected)
            lead = "I" if len(array) > 1 else ""
            assert image.axes == lead + {"gray": "YX", "contig": "YXC", "separate": "CYX"}[layout]
            assert image.shape == array.shape[len(array) == 1 :]


@pytest.mark.slow
@pytest.mark.parametrize("axes", ["TZCYX", "ZCYX", "TYX", "CYX", "ZYX", "TZYX", "YX"])
@pytest.mark.parametrize("kind", ["imagej", "imagej-truncated", "imagej-zlib", "ome", "shaped"])
def test_hyperstacks(tmp_path, kind, axes):
    sizes = {"T": 3, "Z": 2, "C": 4, "Y": 12, "X": 9}
    array = pixels([sizes[letter] for letter in axes], "uint16")
    options = {"photometric": "minisblack", "metadata": {"axes": axes}}
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    if kind == "imagej-zlib":
        options["compression"] = "zlib"
    if kind == "imagej-truncated":
        options["truncate"] = True
    tifffile.imwrite(path, array, imagej=kind.startswith("imagej"), **options)
    with open_image(path) as image:
        assert (image.axes, image.shape) == (axes, array.shape)
        source = kind.split("-")[0]
        assert image.axes_source == ("file" if source == "shaped" else source)
        assert image.kind == ("plain" if source == "shaped" else source)
        lead = [letter for letter in axes[:-2] if letter != "C"]
        assert image.page_axes == "".join(lead)
        pages = array if "C" in axes else np.expand_dims(array, -3)
        np.testing.assert_array_equal(whole(image), pages.reshape(-1, *pages.shape[-3:]))


@pytest.mark.parametrize("order", ["".join(order) for order in itertools.permutations("ZCT")])
def test_every_dimension_order_of_ome(tmp_path, order):
    path = tmp_path / "a.ome.tif"
    sizes = {"Z": 2, "C": 3, "T": 4}
    lead = order[::-1]
    array = pixels([sizes[letter] for letter in lead] + [5, 6], "uint8")
    metadata = {"axes": lead + "YX", "DimensionOrder": "XY" + order}
    tifffile.imwrite(path, array, photometric="minisblack", metadata=metadata)
    with open_image(path) as image:
        assert image.axes == lead + "YX"
        pages = np.moveaxis(array, lead.index("C"), 2).reshape(8, 3, 5, 6)
        np.testing.assert_array_equal(whole(image), pages)


@pytest.mark.parametrize("flavour", ["imagej", "ome", "shaped"])
def test_samples_and_channels_multiply(tmp_path, flavour):
    array = pixels((2, 5, 6, 3), "uint8")  # CYXS
    path = tmp_path / ("a.ome.tif" if flavour == "ome" else "a.tif")
    options = {"photometric": "rgb", "metadata": {"axes": "CYXS"}}
    tifffile.imwrite(path, array, imagej=flavour == "imagej", **options)
    with open_image(path) as image:
        assert (image.axes, image.shape) == ("CYX", (6, 5, 6))
        np.testing.assert_array_equal(whole(image)[0], np.moveaxis(array, -1, 1).reshape(6, 5, 6))


@pytest.mark.parametrize("flavour", ["imagej", "ome", "plain"])
def test_rgb_samples_are_channels(tmp_path, flavour):
    array = pixels((4, 5, 6, 3), "uint8")
    path = tmp_path / ("a.ome.tif" if flavour == "ome" else "a.tif")
    metadata = None if flavour == "plain" else {"axes": "ZYXS"}
    tifffile.imwrite(path, array, imagej=flavour == "imagej", photometric="rgb", metadata=metadata)
    with open_image(path) as image:
        assert (image.axes, image.channels, image.pages) == (
            "IYXC" if flavour == "plain" else "ZYXC",
            3,
            4,
        )
        np.testing.assert_array_equal(whole(image), np.moveaxis(array, -1, 1))


def test_tiffdata_says_which_directory_holds_a_plane(tmp_path):
    """Planes in the file: z = 2, 0, 1."""
    array = pixels((3, 4, 5), "uint8")
    blocks = "".join(f'<TiffData IFD="{i}" FirstZ="{z}" PlaneCount="1"/>' for i, z in enumerate([2, 0, 1]))
    xml = (
        '<?xml version="1.0"?>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="5" SizeY="4" SizeZ="3" SizeC="1" '
        f'SizeT="1">{blocks}</Pixels></Image></OME>'
    )
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array[[2, 0, 1]], photometric="minisblack", description=xml, metadata=None)
    with open_image(path) as image:
        assert image.axes == "ZYX"
        np.testing.assert_array_equal(whole(image)[:, 0], array)


def test_images_written_one_after_the_other_are_pages_in_sequence(tmp_path):
    array = pixels((4, 6, 7), "uint16")
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for page in array:
            writer.write(page)
    with open_image(path) as image:
        assert (image.axes, image.shape) == ("IYX", array.shape)
        np.testing.assert_array_equal(whole(image)[:, 0], array)


def test_thumbnails_that_say_so_are_left_out(tmp_path):
    array = pixels((6, 8), "uint8")
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(array, metadata=None)
        writer.write(array[::2, ::2], subfiletype=1, metadata=None)
    with open_image(path) as image:
        assert (image.axes, image.shape) == ("YX", (6, 8))


def test_an_imagej_stack_that_is_no_hyperstack_is_a_sequence(tmp_path):
    array = pixels((5, 4, 3), "uint8")
    path = tmp_path / "a.tif"
    description = f"ImageJ=1.53t\nimages={len(array)}\n"
    tifffile.imwrite(path, array, description=description, metadata=None, photometric="minisblack")
    with open_image(path) as image:
        assert (image.axes, image.axes_source, image.shape) == ("IYX", "imagej", (5, 4, 3))


@pytest.mark.parametrize("order", ["".join(order) for order in itertools.permutations("zct")])
def test_every_order_of_imagej(tmp_path, order):
    """The first letter is the fastest."""
    sizes = {"Z": 2, "C": 3, "T": 4}
    lead = order[::-1].upper()
    array = pixels([sizes[letter] for letter in lead] + [5, 6], "uint8")
    path = tmp_path / "a.tif"
    description = f"ImageJ=1.53t\nimages=24\nchannels=3\nslices=2\nframes=4\norder={order}\n"
    options = {"description": description, "metadata": None, "photometric": "minisblack"}
    tifffile.imwrite(path, array, **options)
    with open_image(path) as image:
        assert (image.axes, image.shape) == (lead + "YX", array.shape)
        pages = np.moveaxis(array, lead.index("C"), 2).reshape(8, 3, 5, 6)
        np.testing.assert_array_equal(whole(image), pages)


def test_samples_that_imagej_declares_as_channels(tmp_path):
    """As Bio-Formats does."""
    array = pixels((4, 3, 5, 6), "uint8")
    path = tmp_path / "a.tif"
    description = "ImageJ=\nimages=12\nchannels=3\nslices=4\n"
    options = {"description": description, "metadata": None, "photometric": "rgb", "planarconfig": "separate"}
    tifffile.imwrite(path, array, **options)
    with open_image(path) as image:
        assert (image.axes, image.shape) == ("ZCYX", array.shape)
        np.testing.assert_array_equal(whole(image), array)


def test_a_stack_beyond_4_gb_with_one_directory(tmp_path):
    """ImageJ's way to write large stacks; the file here is sparse."""
    path = tmp_path / "a.tif"
    shape = (5, 4, 16384, 16384)
    options = {"imagej": True, "truncate": True, "metadata": {"axes": "TZYX"}, "returnoffset": True}
    start, _ = tifffile.imwrite(path, None, shape=shape, dtype="uint8", **options)
    assert path.stat().st_size > 2**32
    page, y, x = 18, 16000, 15000
    with path.open("r+b") as file:
        file.seek(start + (page * 16384 + y) * 16384 + x)
        file.write(b"\x01\x02\x03")
    with open_image(path) as image:
        assert (image.axes, image.shape, image.pages) == ("TZYX", shape, 20)
        region = image.read(page, y - 1, y + 2, x - 1, x + 4)[0]
    np.testing.assert_array_equal(region, [[0] * 5, [0, 1, 2, 3, 0], [0] * 5])


def test_axes_that_the_file_does_not_name_are_asked_for(tmp_path):
    array = pixels((4, 3, 5, 6), "uint8")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, photometric="minisblack")
    with pytest.raises(AxesError, match=r"\(4, 3\).*--axes ZCYX"):
        open_image(path)
    with open_image(path, "zcyx") as image:
        assert (image.axes, image.axes_source, image.shape) == ("ZCYX", "--axes", (4, 3, 5, 6))
        np.testing.assert_array_equal(whole(image), array)
    with open_image(path, "CTYX") as image:
        np.testing.assert_array_equal(whole(image), array.swapaxes(0, 1))


@pytest.mark.parametrize(
    ("axes", "shape"), [("CYX", (3, 5, 6)), ("ZYX", (3, 5, 6)), ("TYX", (3, 5, 6)), ("SYX", (3, 5, 6))]
)
def test_axes_given_for_pages_in_sequence(tmp_path, axes, shape):
    array = pixels(shape, "uint8")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, photometric="minisblack", metadata=None)
    with open_image(path, axes) as image:
        assert (image.axes, image.shape) == (axes.replace("S", "C"), shape)
        assert image.channels == (3 if axes[0] in "CS" else 1)


def test_axes_given_may_keep_or_leave_out_those_of_length_1(tmp_path):
    path = tmp_path / "a.tif"
    array = pixels((1, 3, 1, 5, 6), "uint8")
    tifffile.imwrite(path, array, photometric="minisblack", metadata={"axes": "TZCYX"})
    for axes in ("TZCYX", "ZYX"):
        with open_image(path, axes) as image:
            assert image.axes == axes
            np.testing.assert_array_equal(whole(image), array[0])
    tifffile.imwrite(path, array[0, 0, 0])
    with open_image(path, "TZYX") as image:
        assert image.shape == (1, 1, 5, 6)


@pytest.mark.parametrize("axes", ["YX", "ZCYX", "YXZ", "ZXY", "ZZYX", "QYX", "ZY", "IYXC", "CYXS"])
def test_axes_given_that_do_not_fit(tmp_path, axes):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels((12, 5, 6), "uint8"), photometric="minisblack", metadata=None)
    with pytest.raises(AxesError, match=str(path)):
        open_image(path, axes)


@pytest.mark.parametrize("layout", [{"tile": (64, 64)}, {"rowsperstrip": 16}])
def test_a_region_decodes_only_what_it_touches_and_only_once(tmp_path, monkeypatch, layout):
    path = tmp_path / "a.tif"
    array = pixels((512, 512), "uint8")
    tifffile.imwrite(path, array, compression="zlib", **layout)
    decoded = []
    decode = TiffImage._decode
    monkeypatch.setattr(TiffImage, "_decode", lambda self, *key: decoded.append(key) or decode(self, *key))
    with open_image(path) as image:
        np.testing.assert_array_equal(image.read(0, 100, 120, 200, 250)[0], array[100:120, 200:250])
        # Tile 1, 3 of 8 x 8, or strips 6 and 7 of 32.
        touched = [(0, 11)] if "tile" in layout else [(0, 6), (0, 7)]
        assert decoded == touched
        image.read(0, 101, 119, 210, 240)
        assert decoded == touched


def test_an_uncompressed_region_reads_no_more_than_its_rows(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    array = pixels((300, 400), "uint16")
    tifffile.imwrite(path, array)
    count = []
    read = TiffImage._bytes
    monkeypatch.setattr(TiffImage, "_bytes", lambda self, *a: count.append(a[1]) or read(self, *a))
    with open_image(path) as image:
        np.testing.assert_array_equal(image.read(0, 10, 30, 50, 60)[0], array[10:30, 50:60])
    assert sum(count) == 20 * 10 * 2


def test_uncompressed_strips_in_any_order(tmp_path):
    path = tmp_path / "a.tif"
    array = pixels((12, 5), "uint16")
    tifffile.imwrite(path, array, rowsperstrip=4)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        offsets = tif.pages[0].tags[273]
        offsets.overwrite(offsets.value[::-1])
    with open_image(path) as image:
        expected = np.concatenate([array[8:], array[4:8], array[:4]])
        np.testing.assert_array_equal(image.read(0, 2, 11, 0, 5)[0], expected[2:11])
        np.testing.assert_array_equal(image.read(0, 2, 11, 1, 4)[0], expected[2:11, 1:4])


def test_decoded_segments_that_are_kept_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("unet2015.images.decoded.KEPT_BYTES", 3 * 64 * 64)
    path = tmp_path / "a.tif"
    array = pixels((512, 512), "uint8")
    tifffile.imwrite(path, array, compression="zlib", tile=(64, 64))
    with open_image(path) as image:
        np.testing.assert_array_equal(whole(image)[0, 0], array)
        assert image.kept_bytes == 3 * 64 * 64


def test_tiles_that_are_not_compressed_are_not_kept(tmp_path):
    path = tmp_path / "a.tif"
    array = pixels((512, 512), "uint16")
    tifffile.imwrite(path, array, tile=(64, 64))
    with open_image(path) as image:
        np.testing.assert_array_equal(whole(image)[0, 0], array)
        assert image.kept_bytes == 0


@pytest.mark.parametrize("how", [{"tile": (1024, 2048)}, {"predictor": True, "compression": "zlib"}])
def test_segments_that_are_large_or_compressed_are_kept(tmp_path, how):
    path = tmp_path / "a.tif"
    array = pixels((1024, 2048), "uint16")
    tifffile.imwrite(path, array, **how)
    with open_image(path) as image:
        np.testing.assert_array_equal(image.read(0, 5, 9, 0, 100)[0], array[5:9, :100])
        assert image.kept_bytes > 0


def test_one_channel_of_colours_keeps_no_memory_of_the_others(tmp_path):
    path = tmp_path / "a.tif"
    array = pixels((64, 64, 3), "uint16")
    tifffile.imwrite(path, array, photometric="rgb")
    with open_image(path) as image:
        found = image.read_channel(1, 0, 0, 64, 0, 64)
        np.testing.assert_array_equal(found[0], array[..., 1])
        assert found.base is None or found.base.nbytes == found.nbytes


def test_threads_read_the_same(tmp_path):
    path = tmp_path / "a.tif"
    array = pixels((4, 200, 300), "uint16")
    tifffile.imwrite(path, array, compression="lzw", tile=(32, 32), photometric="minisblack")
    wrong = []

    def work(seed):
        random = np.random.default_rng(seed)
        for _ in range(40):
            page, y, x = random.integers(4), random.integers(150), random.integers(250)
            if not np.array_equal(
                image.read(page, y, y + 50, x, x + 50)[0], array[page, y : y + 50, x : x + 50]
            ):
                wrong.append((page, y, x))

    with open_image(path) as image:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {
                "imagej": True,
                "resolution": (4, 2),
                "metadata": {"axes": "ZYX", "unit": "micron", "spacing": 3.5},
            },
            Calibration(0.5, 0.25, 3.5, None, "micron", None),
        ),
        (
            {
                "imagej": True,
                "resolution": (4, 2),
                "metadata": {"axes": "TYX", "unit": "\\u00B5m", "finterval": 7.5},
            },
            Calibration(0.5, 0.25, None, 7.5, "µm", "sec"),
        ),
        (
            {
                "imagej": True,
                "resolution": (5, 5),
                "resolutionunit": "CENTIMETER",
                "metadata": {"axes": "ZYX"},
            },
            Calibration(2000.0, 2000.0, None, None, "µm", None),
        ),
        ({"imagej": True, "metadata": {"axes": "ZYX"}}, Calibration()),
        (
            {"resolution": ((4294967295, 81604), (4294967295, 81604)), "resolutionunit": "CENTIMETER"},
            Calibration(81604e4 / 4294967295, 81604e4 / 4294967295, None, None, "µm", None),
        ),
        ({"resolution": (254, 508), "resolutionunit": "INCH"}, Calibration(50, 100, None, None, "µm", None)),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, Calibration()),
        ({"resolution": (3, 3), "resolutionunit": "NONE"}, Calibration()),
        ({"metadata": None}, Calibration()),
        (
            {
                "ome": True,
                "metadata": {
                    "axes": "TYX",
                    "PhysicalSizeX": 0.25,
                    "PhysicalSizeXUnit": "nm",
                    "PhysicalSizeY": 0.0005,
                    "PhysicalSizeZ": 2,
                    "TimeIncrement": 3,
                    "TimeIncrementUnit": "ms",
                },
            },
            Calibration(0.5, 0.25, 2000, 3, "nm", "ms"),
        ),
        (
            {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}},
            Calibration(0.5, 0.5, None, None, "µm", None),
        ),
        ({"ome": True, "metadata": {"axes": "ZYX"}}, Calibration()),
    ],
)
def test_calibration(tmp_path, same_calibration, options, expected):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels((3, 5, 6), "uint8"), photometric="minisblack", **options)
    with open_image(path) as image:
        found = image.calibration
    assert same_calibration(found, expected), found


def test_read_pages(tmp_path):
    path = tmp_path / "a.tif"
    array = pixels((2, 3, 5, 6), "uint16")
    tifffile.imwrite(path, array, photometric="minisblack", metadata={"axes": "TZYX"})
    np.testing.assert_array_equal(read_pages(path), array.reshape(6, 5, 6))


@pytest.mark.data
def test_real_images(data):
    with open_image(data / "isbi2012" / "train-volume.tif") as image:
        assert (image.axes, image.pages, image.dtype) == ("IYX", 30, np.uint8)
    with open_image(data / "ctc" / "DIC-C2DH-HeLa" / "01" / "t000.tif") as image:
        assert (image.axes, image.shape, image.calibration.unit) == ("YX", (512, 512), "µm")
        assert image.calibration.pixel_size_x == pytest.approx(0.19, rel=1e-4)
        assert image.calibration.pixel_size_y == pytest.approx(0.19, rel=1e-4)
    with open_image(data / "ctc" / "PhC-C2DH-U373" / "01" / "t000.tif") as image:
        assert (image.height, image.width) == (520, 696)
        assert image.calibration.pixel_size_x == pytest.approx(0.65, rel=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_colour_planes_of_several_channels_in_an_imagej_hyperstack(tmp_path, channels):
    array = pixels((2, channels, 6, 7, 3), "uint8")
    tifffile.imwrite(tmp_path / "a.tif", array, imagej=True, metadata={"axes": "ZCYXS"})
    with open_image(tmp_path / "a.tif") as image:
        assert (image.pages, image.channels) == (2, 3 * channels)
        found = np.stack([image.read(page, 0, 6, 0, 7) for page in range(2)])
    np.testing.assert_array_equal(found, np.moveaxis(array, -1, 2).reshape(2, 3 * channels, 6, 7))


def test_pages_whose_samples_lie_apart_and_together_are_told_apart(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(np.zeros((8, 9, 3), np.uint8), photometric="rgb", metadata=None)
        tif.write(np.zeros((3, 8, 9), np.uint8), photometric="rgb", planarconfig="separate", metadata=None)
    with pytest.raises(ImageReadError, match=r"bits, 3 samples together and .* bits, 3 samples apart"):
        open_image(tmp_path / "a.tif")
