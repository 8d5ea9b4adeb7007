"""Tiled BigTIFF, with and without smaller copies: what goes in comes out, calibrated."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.images.bands import write_in_bands
from unet2015.errors import UsageError
from unet2015.images import layout as layouts
from unet2015.images import tiles
from unet2015.images.array_image import ArrayImage
from unet2015.images.axes import Calibration
from unet2015.images.reader import open_image
from unet2015.images.tiles import halved
from unet2015.images.writer import ImageWriter, Layout


def like(kind, shape, axes="ZYX", calibration=Calibration()):  # noqa: B008
    image = ArrayImage(np.zeros(shape, np.uint8), axes, calibration)
    image.kind = kind
    return image


def mode(array):
    """Halve plane by plane, pixel by pixel, as the words say."""
    out = np.empty([-(-side // 2) for side in array.shape], array.dtype)
    padded = np.pad(array, [(0, side % 2) for side in array.shape], mode="edge")
    for y, x in np.ndindex(out.shape):
        four = padded[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].ravel().tolist()
        if array.dtype.kind == "f":
            out[y, x] = np.mean(np.array(four, np.float64))
        else:
            out[y, x] = max(four, key=four.count)  # the first of equally frequent ones
    return out


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(["uint8", "float32"]), st.integers(0, 99))
def test_halved(height, width, dtype, seed):
    array = np.random.default_rng(seed).integers(0, 4, (height, width)).astype(dtype)
    came = halved(array)
    assert came.dtype == array.dtype
    np.testing.assert_array_equal(came, mode(array))


@pytest.mark.slow
@settings(max_examples=20)
@given(st.data())
def test_bands_of_any_height_make_the_same_file_of_tiles(data):
    height, width, count = data.draw(st.integers(1, 75)), data.draw(st.integers(1, 60)), 2
    channels = data.draw(st.sampled_from([None, 2]))
    dtype, kind = (
        data.draw(st.sampled_from(["uint8", "float32"])),
        data.draw(st.sampled_from(["imagej", "ome", "plain"])),
    )
    pyramid = data.draw(st.booleans())
    cuts = sorted(data.draw(st.lists(st.integers(0, count * height), max_size=5)))
    array = np.random.default_rng(0).integers(0, 3, (channels or 1, count * height, width)).astype(dtype)
    image = like(kind, (count, height, width), calibration=Calibration(0.25, 0.5, 2.0, None, "µm", None))
    layout = Layout(tiled=True, pyramid=pyramid)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE", 16)
        patch.setattr(tiles.TileWriter, "rows", 16)
        path = Path(folder) / "a.tif"
        files = [
            write_in_bands(path, image, array, channels, bands, layout)
            for bands in ([0, *cuts, count * height], [0, count * height])
        ]
        assert files[0] == files[1]
        expected = array.reshape(channels or 1, count, height, width).swapaxes(0, 1)
        with tifffile.TiffFile(path) as tif:
            assert tif.is_bigtiff
            assert len(tif.pages) == count * (channels or 1)
            for page, plane in zip(tif.pages, expected.reshape(-1, height, width), strict=True):
                assert (page.is_tiled, page.compression, page.tilewidth) == (True, 8, 16)
                levels = [page, *(page.pages or [])]
                for level in levels:
                    np.testing.assert_array_equal(level.asarray(), plane)
                    assert bool(level.subfiletype & 1) == (level is not page)
                    plane = mode(plane)
                assert max(levels[-1].shape) <= 16 or not pyramid
                assert len(levels) == 1 or pyramid
        with open_image(path) as read:
            assert read.axes == ("ZCYX" if channels else "ZYX")
            assert read.kind == ("plain" if kind == "plain" else "ome")
            sizes = (read.calibration.pixel_size_y, read.calibration.pixel_size_x)
            assert sizes == pytest.approx((0.25, 0.5))
            for page in range(count):
                np.testing.assert_array_equal(read.read(page, 0, height, 0, width), expected[page])


def test_a_large_page_is_tiled_and_a_small_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, "_LARGE_PAGE", 50 * 60)
    for shape, layout, tiled in [
        ((1, 50, 60), Layout(), False),
        ((1, 51, 60), Layout(), True),
        ((1, 51, 60), Layout(tiled=False), False),
        ((9, 20, 20), Layout(), False),
        ((1, 9, 9), Layout(tiled=True), True),
    ]:
        path = tmp_path / "a.tif"
        with ImageWriter(path, like("ome", shape), np.uint8, layout=layout) as out:
            out.write(np.zeros((shape[0] * shape[1], shape[2]), np.uint8))
        with tifffile.TiffFile(path) as tif:
            assert (tif.pages[0].is_tiled, tif.is_bigtiff) == (tiled, tiled)


def test_a_striped_pyramid_is_refused():
    with pytest.raises(UsageError, match="always tiled"):
        Layout(tiled=False, pyramid=True)


@pytest.mark.parametrize("options", [{"tile": (64, 64)}, {"rowsperstrip": 200}, {"rowsperstrip": 16}])
def test_large_strips_and_tiles_say_what_they_cost(tmp_path, monkeypatch, options):
    monkeypatch.setattr("unet2015.images.decoded.KEPT_BYTES", 10_000)
    array = np.random.default_rng(0).integers(0, 9, (200, 200)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", array, compression="zlib", bigtiff=True, **options)
    with open_image(tmp_path / "a.tif") as image:
        segment = 2 * np.prod(options.get("tile") or (options["rowsperstrip"], 200))
        assert 2 * segment - 10_000 <= image.decoding_bytes <= 4 * segment
        np.testing.assert_array_equal(image.read(0, 30, 170, 50, 190)[0], array[30:170, 50:190])
    tifffile.imwrite(tmp_path / "b.tif", array, rowsperstrip=200)
    with open_image(tmp_path / "b.tif") as image:
        assert image.decoding_bytes == 0


@pytest.mark.parametrize("shape", [(2, 3, 600, 700), (3, 600, 700), (600, 700)])
def test_tifffile_reads_axes_and_smaller_copies_of_its_own_form(tmp_path, caplog, shape):
    axes, path = "TZYX"[-len(shape) :] if len(shape) != 3 else "TYX", tmp_path / "a.tif"
    pages = np.random.default_rng(0).integers(0, 3, (int(np.prod(shape[:-2])), *shape[-2:])).astype(np.uint8)
    rows = pages.reshape(1, -1, 700)
    write_in_bands(path, like("plain", shape, axes), rows, None, [0, rows.shape[1]], Layout(pyramid=True))
    with tifffile.TiffFile(path) as tif:
        series, *others = tif.series
        levels = [
            *series.levels,
            *others,
        ]  # a stack's copies are others: for tifffile its slices are halved, too
        assert bool(others) == ("Z" in axes)
        assert (series.kind, series.axes, series.shape) == ("shaped", axes, shape)
        assert [level.shape for level in levels] == [
            (*shape[:-2], *size) for size in ((600, 700), (300, 350), (150, 175))
        ]
        assert np.array_equal(series.asarray().reshape(pages.shape), pages)
        assert np.array_equal(levels[1].asarray().reshape(-1, 300, 350)[-1], halved(pages[-1]))
    assert not caplog.records
