"""What metadata of an input bring into the headers of our outputs: numbers and plain text, nothing else."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from unet2015.images.array_image import ArrayImage
from unet2015.images.axes import Calibration, plain_unit, time_symbol, unit_factor, unit_symbol
from unet2015.images.imagej import describe_imagej
from unet2015.images.ngff_description import describe_axes
from unet2015.images.ome_description import describe_ome
from unet2015.images.plain import describe_plain
from unet2015.images.reader import open_image
from unet2015.images.writer import ImageWriter

PAGE = np.arange(30, dtype=np.uint8).reshape(5, 6)


@pytest.mark.parametrize(
    ("unit", "kept"),
    [
        ("µm", "µm"),
        ("reference frame", "reference frame"),
        ("um\nimages=5", "um"),
        ("um\r\nslices=9\n", "um"),
        ("um\x85frames=2", "um"),
        ("um\u2028frames=2", "um"),
        ("\n um", "um"),
        ("u\0m", "um"),
        ("um\ud800", "um"),
        ("\ufeffum", "um"),
        ("um=images", "umimages"),
        ("um\\u000Aimages", "umu000Aimages"),
        ("\x1b[31mum", "[31mum"),
        ("\0\n\ud800", None),
        ("", None),
        ("m" * 65, None),
        ("m" * 10**6, None),
        (7, None),
        (["um"], None),
        (None, None),
    ],
)
def test_of_a_unit_only_its_plain_text_is_kept(unit, kept):
    assert plain_unit(unit) == kept
    found = Calibration(0.5, 0.5, 2.0, 3.0, unit, unit)
    assert (found.unit, found.time_unit) == (kept, kept)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0, 0.0, 1e-320, 1e300])
def test_what_is_no_size_is_none(number):
    found = Calibration(number, number, number, number)
    assert found == Calibration()


@given(st.text(max_size=40), st.floats())
@settings(max_examples=60)
def test_no_unit_adds_to_a_header(unit, size):
    found = Calibration(size, size, size, size, unit, unit)
    plain = Calibration(
        found.pixel_size_y, found.pixel_size_x, found.z_spacing, found.time_interval, "u", "u"
    )
    arguments = ("TZYX", (1, 2, 5, 6))
    keys = [line.split("=")[0] for line in describe_imagej(*arguments, found).splitlines()]
    expected = [line.split("=")[0] for line in describe_imagej(*arguments, plain).splitlines()]
    assert [key for key in expected if found.unit or "unit" not in key] == keys
    root = ElementTree.fromstring(describe_ome(*arguments, np.uint8, found))
    assert sum(1 for _ in root.iter()) == 5
    describe_ome(*arguments, np.uint8, found).encode("ascii")
    json.loads(describe_plain(*arguments, found))
    json.dumps(describe_axes("TZYX", found), ensure_ascii=False).encode()


def written(path, kind, calibration):
    """Write a page like one of this flavour; return what is read back."""
    like = ArrayImage(PAGE[None], "ZYX", calibration)
    like.kind = kind
    with ImageWriter(path, like, np.uint8) as writer:
        writer.write(PAGE)
    with open_image(path) as image:
        return image


@pytest.mark.parametrize("kind", ["imagej", "ome", "plain"])
@pytest.mark.parametrize("unit", ["\U0001f600m", "u\nm", "Å"])
def test_headers_that_are_written_are_read_back(tmp_path, kind, unit):
    calibration = Calibration(0.5, 0.25, 2.0, None, unit)
    image = written(tmp_path / "a.tif", kind, calibration)
    assert image.shape[-2:] == (5, 6)
    assert image.calibration.pixel_size_y == pytest.approx(0.5)
    if kind != "ome":  # which has no unit of its own
        assert image.calibration.unit == calibration.unit


def test_an_ome_unit_with_a_line_break_forges_no_imagej_header(tmp_path):
    path = tmp_path / "a.tif"
    header = "ImageJ=1.54f\nimages=2\nslices=2\nunit=um\\u000Aimages=7\nspacing=2.0\n"
    tifffile.imwrite(path, np.stack([PAGE, PAGE]), description=header, metadata=None, resolution=(2, 2))
    with open_image(path) as image:
        assert image.calibration.unit == "um"
        with ImageWriter(tmp_path / "out.tif", image, np.uint8) as writer:
            writer.write(np.concatenate([PAGE, PAGE]))
    with tifffile.TiffFile(tmp_path / "out.tif") as tif:
        assert tif.imagej_metadata["images"] == 2


@pytest.mark.parametrize(
    ("unit", "symbol"),
    [("Micron", "µm"), ("MICRONS", "µm"), ("Nanometer", "nm"), ("Inch", "in"), ("MM", None), ("M", None)],
)
def test_names_of_units_are_known_in_any_case_and_symbols_as_they_are(unit, symbol):
    assert unit_symbol(unit) == symbol
    assert unit_factor(unit, "µm") == (symbol and unit_factor(symbol, "µm"))


@pytest.mark.parametrize(
    ("unit", "symbol", "name"),
    [
        ("d", "d", "day"),
        ("ks", "ks", "kilosecond"),
        ("ps", "ps", "picosecond"),
        ("Milliseconds", "ms", "millisecond"),
        ("microsecond", "µs", "microsecond"),
        ("hours", "h", "hour"),
        ("sec", "s", "second"),
        ("ds", "ds", "decisecond"),
        ("frame", None, "frame"),
    ],
)
def test_units_of_time_are_called_as_each_format_has_them(unit, symbol, name):
    assert time_symbol(unit) == symbol
    (axis,) = describe_axes("T", Calibration(time_interval=2.0, time_unit=unit))
    assert axis["unit"] == name


@pytest.mark.parametrize(
    ("unit", "name"), [("km", "kilometer"), ("µm", "micrometer"), ("ft", "foot"), ("u", "u")]
)
def test_units_of_length_are_called_as_ome_zarr_has_them(unit, name):
    (axis,) = describe_axes("X", Calibration(pixel_size_x=2.0, unit=unit))
    assert axis["unit"] == name


def test_without_a_pixel_size_an_imagej_header_has_no_unit_for_one(tmp_path):
    """ImageJ would take pixels of 1 micron; the spacing in z keeps its unit."""
    for known in (Calibration(unit="micron"), Calibration(pixel_size_y=0.5, unit="micron")):
        assert "unit=" not in describe_imagej("ZYX", (2, 5, 6), known)
    known = Calibration(z_spacing=2.0, time_interval=3.0, unit="\u00b5m", time_unit="s")
    lines = describe_imagej("ZYX", (2, 5, 6), known).splitlines()
    assert "zunit=\\u00B5m" in lines
    assert not [line for line in lines if line.startswith("unit=")]
    image = written(tmp_path / "a.tif", "imagej", known)
    assert image.calibration == known
    assert image.notes == ()


def test_a_spacing_with_a_unit_of_its_own_is_in_that(tmp_path):
    header = "ImageJ=1.54f\nimages=2\nslices=2\nzunit=nm\nspacing=2000\n"
    tags = {"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "a.tif", np.stack([PAGE, PAGE]), description=header, metadata=None, **tags)
    with open_image(tmp_path / "a.tif") as image:
        assert image.calibration == Calibration(0.5, 0.5, 2.0, None, "µm")
        assert image.notes == ()
