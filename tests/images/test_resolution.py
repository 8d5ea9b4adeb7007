"""The size of a pixel in the resolution tags: its unit, odd values, and what is a screen's."""

import math

import numpy as np
import pytest
import tifffile
import zarr

from unet2015.images.reader import open_image

PIXELS = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)


@pytest.fixture
def opened(tmp_path):
    """Write a TIFF, change its tags, and return the calibration and the notes that it is read with."""

    def read(description=None, resolution=(2, 2), unit="NONE", tags=(), delete=(), metadata=None):
        path = tmp_path / "a.tif"
        options = {"description": description, "resolution": resolution, "resolutionunit": unit}
        tifffile.imwrite(path, PIXELS, metadata=metadata, photometric="minisblack", **options)
        with tifffile.TiffFile(path, mode="r+b") as tif:
            page = tif.pages[0]
            for code, value, kind in tags:
                page.tags[code].overwrite(value, dtype=kind)
            for code in delete:  # a number that no program knows
                tif.filehandle.seek(page.tags[code].offset)
                tif.filehandle.write((65535).to_bytes(2, "little"))
        with open_image(path) as image:
            said = [note for note in image.notes if "rising order" not in note]  # of what is deleted here
            return image.calibration, " ".join(said)

    return read


def imagej(unit=None, **values):
    lines = {"ImageJ": "1.53t", "images": 3, "slices": 3, **({"unit": unit} if unit else {}), **values}
    return "".join(f"{key}={value}\n" for key, value in lines.items())


MICROMETRE = ("um", "\\u00B5m", "micron", "microns", "micrometer")


@pytest.mark.parametrize("unit", MICROMETRE)
def test_pixels_per_centimetre_beside_micrometres(opened, unit):
    """1.531394 pixels per micrometre; as ImageJ takes it with unit=um."""
    found, notes = opened(imagej(unit, spacing=5), (15313.94, 7656.97), "CENTIMETER")
    assert found.pixel_size_x == pytest.approx(0.653, rel=1e-4)
    assert found.pixel_size_y == pytest.approx(1.306, rel=1e-4)
    assert found.z_spacing == 5, "in the header's unit"
    assert "6.53e-05" in notes


def test_pixels_per_inch_beside_nanometres(opened):
    found, notes = opened(imagej("nm"), (25.4e6 / 4, 25.4e6 / 4), "INCH")
    assert (found.pixel_size_x, found.unit) == (pytest.approx(4), "nm")
    assert "nm" in notes


@pytest.mark.parametrize("unit", ["um", "nm", "micron", "mm"])
def test_old_tifffile_wrote_inch_beside_sizes_in_the_headers_unit(opened, unit):
    found, notes = opened(imagej(unit), (0.373759, 0.373759), "INCH")
    assert found.pixel_size_x == pytest.approx(1 / 0.373759)
    assert found.unit == unit
    assert "resolution tags in" in notes


@pytest.mark.parametrize("unit", [*MICROMETRE, "nm", "mm", "inch", "cm", "furlong"])
def test_without_a_unit_of_the_tags_the_headers_is_taken(opened, unit):
    for more in ({"unit": "NONE"}, {"unit": "NONE", "delete": [296]}):
        found, notes = opened(imagej(unit), (153.1394, 153.1394), **more)
        assert found.pixel_size_x == pytest.approx(1 / 153.1394)
        assert found.unit == unit.replace("\\u00B5", "µ")
        assert not notes


@pytest.mark.parametrize(("unit", "tag"), [("inch", "INCH"), ("cm", "CENTIMETER")])
def test_units_that_agree_are_no_matter_for_a_note(opened, unit, tag):
    found, notes = opened(imagej(unit), (4000, 2000), tag)
    assert (found.pixel_size_x, found.pixel_size_y, found.unit) == (1 / 4000, 1 / 2000, unit)
    assert not notes


@pytest.mark.parametrize("unit", [None, "pixel", "pixels"])
def test_without_a_unit_of_the_header_the_tags_is_taken(opened, unit):
    found, notes = opened(imagej(unit, spacing=2), (20000, 10000), "CENTIMETER")
    assert (found.pixel_size_x, found.pixel_size_y, found.unit, found.z_spacing) == (0.5, 1.0, "µm", 2)
    assert "spacing" in notes
    assert opened(imagej(unit), (4, 4), "NONE")[0].pixel_size_x is None


@pytest.mark.parametrize("description", [None, imagej("um"), imagej()], ids=["plain", "imagej", "no unit"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ((0, 1), "2I"),
        ((5, 0), "2I"),
        ((0, 0), "2I"),
        ((-5, 1), "2i"),
        (math.nan, "d"),
        (math.inf, "d"),
        (-2.5, "d"),
        ("many", "s"),
    ],
    ids=str,
)
def test_an_odd_resolution_is_left_out_and_said(opened, description, value, kind):
    kinds = {"2I": 5, "2i": 10, "d": 12, "s": 2}
    found, notes = opened(
        description, (20000, 20000), "CENTIMETER", [(code, value, kinds[kind]) for code in (282, 283)]
    )
    assert (found.pixel_size_x, found.pixel_size_y) == (None, None)
    assert "XResolution" in notes
    assert "YResolution" in notes
    assert "left out" in notes


def test_a_resolution_of_another_type_is_read(opened):
    found, notes = opened(None, (1, 1), "CENTIMETER", [(282, 20000.0, 12), (283, 10000, 4)])
    assert (found.pixel_size_x, found.pixel_size_y, notes) == (0.5, 1.0, "")


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_an_odd_unit_is_left_out_and_said(opened, value):
    found, notes = opened(None, (20000, 20000), "CENTIMETER", [(296, value, 3)])
    assert found.pixel_size_x is None
    assert "ResolutionUnit" in notes
    found, notes = opened(imagej("um"), (4, 4), "CENTIMETER", [(296, value, 3)])
    assert (found.pixel_size_x, found.unit) == (0.25, "um")
    assert "ResolutionUnit" in notes


@pytest.mark.parametrize("per_inch", [96, 95.9866, 96.012, 144, 192, 72.009, 71.12, 96.52])
@pytest.mark.parametrize("description", [None, imagej(), imagej("um"), imagej("inch")])
def test_a_screens_resolution_is_no_calibration(opened, per_inch, description):
    for resolution, unit in ((per_inch, "INCH"), (per_inch / 2.54, "CENTIMETER")):
        found, notes = opened(description, (resolution, resolution), unit)
        assert (found.pixel_size_x, found.pixel_size_y) == (None, None)
        assert "screen" in notes


def test_72_pixels_per_inch_are_known_to_mean_nothing(opened):
    assert opened(None, (72, 72), "INCH")[1] == ""


@pytest.mark.parametrize(("resolution", "unit"), [(1, "INCH"), (1, "CENTIMETER"), (0.5, "CENTIMETER")])
def test_a_pixel_of_a_centimetre_is_no_calibration(opened, resolution, unit):
    found, notes = opened(None, (resolution, resolution), unit)
    assert found.pixel_size_x is None
    assert "no calibration" in notes


@pytest.mark.parametrize("per_inch", [150, 300, 600])
def test_a_printers_resolution_is_doubtful(opened, per_inch):
    found, notes = opened(None, (per_inch, per_inch), "INCH")
    assert found.pixel_size_x == pytest.approx(25400 / per_inch)
    assert "doubtful" in notes


@pytest.mark.parametrize(
    ("resolution", "unit"), [((96, 72), "INCH"), ((96, 96), "NONE"), ((254, 254), "INCH")]
)
def test_other_resolutions_are_taken_without_a_word(opened, resolution, unit):
    found, notes = opened(None, resolution, unit)
    assert (found.pixel_size_x is None) == (unit == "NONE")
    assert not notes


def shaped(unit):
    return {"axes": "ZYX", "spacing": 3, "unit": unit}


def test_who_names_a_unit_in_the_tags_means_them(opened):
    """As our own plain TIFFs: pixels per centimetre, though so many are those of a screen."""
    found, notes = opened(None, (96 / 2.54,) * 2, "CENTIMETER", metadata=shaped("mm"))
    assert (found.pixel_size_x, found.unit) == (pytest.approx(25.4 / 96), "mm")
    assert "not 0.0264583" in notes
    found, notes = opened(None, (20000, 10000), "CENTIMETER", metadata=shaped("um"))
    assert (found.pixel_size_x, found.pixel_size_y, found.unit, notes) == (0.5, 1.0, "um", "")
    found, notes = opened(None, (50, 50), "INCH", metadata=shaped("furlong"))
    assert (found.pixel_size_x, found.unit) == (pytest.approx(508), "µm"), "no other size is known"
    assert found.z_spacing is None
    assert "spacing, 3 furlong, is in no known unit of length: left out" in notes


@pytest.mark.parametrize("unit", ["furlong", "inch"])
def test_a_screens_pixels_per_inch_beside_a_unit_that_is_no_other(opened, unit):
    found, notes = opened(None, (96, 96), "INCH", metadata=shaped(unit))
    assert (found.pixel_size_x, found.z_spacing, found.unit) == (None, 3, unit)
    assert "screen" in notes


def test_a_spacing_without_a_unit_is_taken_in_that_of_the_tags(opened):
    found, notes = opened(None, (20000, 20000), "CENTIMETER", metadata={"axes": "ZYX", "spacing": 3})
    assert (found.pixel_size_x, found.z_spacing, found.unit) == (0.5, 3, "µm")
    assert "spacing of 3 has no unit" in notes


@pytest.mark.parametrize("unit", ["um", "µm", "micron", "nm", "mm"])
@pytest.mark.parametrize("tags", ["INCH", None])
def test_tifffile_writes_inch_beside_sizes_in_the_headers_unit(opened, unit, tags):
    found, notes = opened(None, (2, 4), tags, metadata=shaped(unit))
    assert (found.pixel_size_x, found.pixel_size_y, found.unit, found.z_spacing) == (0.5, 0.25, unit, 3)
    assert "resolution tags in" in notes
    assert f"taken as 0.5 {unit}" in notes


def test_pixels_per_inch_that_are_too_many_for_the_headers_unit(opened):
    found, notes = opened(None, (50_800, 25_400), "INCH", metadata=shaped("um"))
    assert (found.pixel_size_x, found.pixel_size_y, notes) == (pytest.approx(0.5), pytest.approx(1), "")


def test_a_screens_pixels_per_inch_beside_a_unit_of_the_header(opened):
    found, notes = opened(None, (96, 96), "INCH", metadata=shaped("um"))
    assert (found.pixel_size_x, found.z_spacing) == (None, 3)
    assert "screen" in notes


@pytest.mark.parametrize(
    ("unit", "tags", "resolution"),
    [
        ("cm", "CENTIMETER", 1),
        ("inch", "INCH", 2),
        ("furlong", "INCH", 1),
        ("cm", "NONE", 0.5),
        ("cm", "INCH", 1),
    ],
)
def test_a_pixel_of_a_centimetre_is_no_calibration_whoever_says_its_unit(opened, unit, tags, resolution):
    found, notes = opened(None, (resolution,) * 2, tags, metadata=shaped(unit))
    assert (found.pixel_size_x, found.pixel_size_y) == (None, None)
    assert "no calibration" in notes


def test_where_the_tags_would_make_a_pixel_of_a_centimetre_the_headers_unit_is_taken(opened):
    found, notes = opened(None, (0.5, 0.5), "CENTIMETER", metadata=shaped("um"))
    assert (found.pixel_size_x, found.unit) == (2, "um")
    assert "not 20000" in notes


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_micrometre_as_some_programs_write_it(opened, encoding):
    found, notes = opened(imagej("µm").encode(encoding))
    assert (found.pixel_size_x, found.unit, notes) == (0.5, "µm", "")


def test_a_calibration_of_values_is_said(opened):
    """As ImageJ has it for 16 bit with a sign."""
    assert "values of pixels" in opened(imagej("um", cf=0, c0=-32768.0, c1=1.0, vunit="Gray Value"))[1]


@pytest.mark.parametrize("flavour", ["imagej", "plain"])
@pytest.mark.parametrize(("key", "field"), [("spacing", "z_spacing"), ("finterval", "time_interval")])
def test_a_distance_has_no_sign(opened, flavour, key, field):
    def read(value):
        if flavour == "imagej":
            return opened(imagej("micron", **{key: value}))
        return opened(metadata={"axes": "ZYX", "unit": "um", key: value})

    assert getattr(read(1.5)[0], field) == 1.5
    assert read(1.5)[1] == ""
    found, notes = read(-1.5)
    assert getattr(found, field) == 1.5
    assert "-1.5" in notes
    for odd in (0, "nan", "inf", "-inf", "wide"):
        found, notes = read(odd)
        assert getattr(found, field) is None
        assert key in notes
        assert "left out" in notes


def paged(path, *resolutions, **options):
    """Write a TIFF of a page for each resolution: pixels per centimetre, or with a unit."""
    with tifffile.TiffWriter(path) as tif:
        for each in resolutions:
            pixels, unit = each if isinstance(each, tuple) else (each, "CENTIMETER")
            named = {} if pixels is None else {"resolution": (pixels, pixels), "resolutionunit": unit}
            tif.write(PIXELS[0], photometric="minisblack", metadata=None, contiguous=False, **named)
    return path


def test_pages_of_different_resolution_give_no_pixel_size(tmp_path):
    """A hundred thousandth of the areas of one page must not be said of another."""
    path = paged(tmp_path / "a.tif", 20000, 20000, 40000, 20000, 40000)
    with open_image(path) as image:
        assert (image.calibration.pixel_size_y, image.calibration.pixel_size_x) == (None, None)
        (note,) = (note for note in image.notes if "resolution" in note)
        assert "0.5 x 0.5 µm (pages 0-1, 3)" in note
        assert "0.25 x 0.25 µm (pages 2, 4)" in note
        assert "taken as no pixel size" in note


@pytest.mark.parametrize(
    ("other", "size"),
    [
        (20001, 0.5),  # rounded
        ((20000 * 2.54, "INCH"), 0.5),  # the same in another unit
        ((72, "INCH"), 0.5),  # as programs write for a screen
        ((1, "NONE"), 0.5),
        (None, 0.5),
    ],
)
def test_pages_that_say_nothing_else_keep_the_pixel_size(tmp_path, other, size):
    with open_image(paged(tmp_path / "a.tif", 20000, other)) as image:
        assert image.calibration.pixel_size_x == pytest.approx(size)
        assert image.notes == ()


def test_of_pages_in_sequence_only_a_few_are_named(tmp_path):
    path = paged(tmp_path / "a.tif", *range(10000, 40000, 1000))
    with open_image(path) as image:
        (note,) = image.notes
    assert len(note) < 400
    assert "more" in note


def test_a_header_for_all_pages_counts_more_than_their_tags(tmp_path):
    """ImageJ has one size for a stack, and a microscope its own tags."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        for i, pixels in enumerate((20000, 40000, 40000)):
            tif.write(
                PIXELS[0],
                resolution=(pixels, pixels),
                resolutionunit="CENTIMETER",
                metadata=None,
                contiguous=False,
                description=imagej() if i == 0 else None,
            )
    with open_image(path) as image:
        assert image.calibration.pixel_size_x == 0.5


def ome_lengths(width, height, unit):
    """Lengths of OME-XML."""
    return {f"PhysicalSize{letter}": size for letter, size in (("X", width), ("Y", height))} | {
        f"PhysicalSize{letter}Unit": unit for letter in "XY"
    }


@pytest.fixture
def declared(tmp_path):
    """Write lengths into the header of a flavour; return the calibration and the notes that are read."""

    def read(flavour, width, height, unit, spacing=None):
        path = tmp_path / f"a.{'zarr' if flavour == 'zarr' else 'ome.tif' if flavour == 'ome' else 'tif'}"
        tags: dict = {"resolution": (1 / width, 1 / height), "resolutionunit": "NONE"}
        tags["photometric"] = "minisblack"
        if flavour == "zarr":
            group = zarr.open_group(path, mode="w", zarr_format=3)
            group.create_array("0", shape=PIXELS.shape, dtype=PIXELS.dtype, chunks=PIXELS.shape)[...] = PIXELS
            axes = [{"name": name, "type": "space", "unit": unit} for name in "zyx"]
            steps = [{"type": "scale", "scale": [spacing or 1, height, width]}]
            images = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}]
            group.attrs["ome"] = {"version": "0.5", "multiscales": images}
        elif flavour == "ome":
            more = {"axes": "ZYX"} | (
                {"PhysicalSizeZ": spacing, "PhysicalSizeZUnit": unit} if spacing else {}
            )
            tifffile.imwrite(
                path, PIXELS, metadata=more | ome_lengths(width, height, unit), photometric="minisblack"
            )
        elif flavour == "imagej":
            header = imagej(unit, **({"spacing": spacing} if spacing else {}))
            tifffile.imwrite(path, PIXELS, description=header.encode(), metadata=None, **tags)
        else:
            tifffile.imwrite(
                path, PIXELS, metadata=shaped(unit) | ({"spacing": spacing} if spacing else {}), **tags
            )
        with open_image(path) as image:
            said = [note for note in image.notes if "rising order" not in note]  # of what is deleted here
            return image.calibration, " ".join(said)

    return read


FLAVOURS = ("ome", "imagej", "plain", "zarr")
UNITS = {"µm": 1, "mm": 1e-3, "nm": 1e3, "cm": 1e-4}


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(("per_inch", "unit"), [(72, "µm"), (96, "mm"), (144, "cm"), (192, "nm")])
def test_a_screens_pixels_are_no_calibration_as_lengths_either(declared, flavour, unit, per_inch):
    """Bio-Formats writes the resolution tags of any TIFF as lengths: 352.778 µm for 72 pixels per inch."""
    size = 25400 / per_inch * UNITS[unit]
    found, notes = declared(flavour, size, size, unit, spacing=3.0)
    assert (found.pixel_size_x, found.pixel_size_y) == (None, None)
    assert found.z_spacing == pytest.approx(3, rel=1e-6)
    assert f"is {per_inch} pixels per inch, as programs write for a screen: taken as no calibration" in notes


@pytest.mark.parametrize("size", [1e6 / 2834, 264.62, 352.78])
def test_a_screens_pixels_may_be_rounded(declared, size):
    assert declared("ome", size, size, "µm")[0].pixel_size_x is None


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_printers_pixels_as_lengths_are_doubtful(declared, flavour):
    found, notes = declared(flavour, 254 / 3, 254 / 3, "µm")
    assert found.pixel_size_x == pytest.approx(254 / 3, rel=1e-5)
    assert notes.count("is 300 pixels per inch, as programs write for printing: doubtful") == 1


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_length_of_a_centimetre_is_no_calibration(declared, flavour):
    for size, unit in ((25400, "µm"), (1, "cm")):
        found, notes = declared(flavour, size, size, unit)
        assert (found.pixel_size_x, found.pixel_size_y) == (None, None)
        assert "taken as no calibration" in notes


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(
    ("width", "height", "unit"),
    [
        (352.7, 264.6, "µm"),
        (351.5625, 351.5625, "µm"),
        (0.352778, 0.352778, "µm"),
        (352.778, 352.778, "furlong"),
    ],
)
def test_other_lengths_are_taken_without_a_word(declared, flavour, width, height, unit):
    found, notes = declared(flavour, width, height, unit)
    assert (found.pixel_size_x, found.pixel_size_y) == pytest.approx((width, height), rel=1e-5)
    assert not notes


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_pixel_of_less_than_a_picometre_is_doubtful(declared, flavour):
    """Metres without their unit: OME-XML has micrometres then."""
    found, notes = declared(flavour, 1.9e-7, 1.9e-7, "µm")
    assert found.pixel_size_x == pytest.approx(1.9e-7, rel=1e-5)
    assert "is 1.9e-07 µm wide, less than a picometre: its unit is doubtful" in notes
    assert declared(flavour, 2e-6, 2e-6, "µm")[1] == ""
