"""Private tags of microscopes: what they give is read, and what is not read is said."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.images import flavours
from tests.images.flavours import FLAVOURS, PAGES, STACK
from unet2015.errors import ImageReadError
from unet2015.images.axes import unit_factor
from unet2015.images.makers import MAKERS, UNREAD
from unet2015.images.reader import open_image


def facts(path):
    with open_image(path) as image:
        pages = [image.read(page, 0, image.height, 0, image.width) for page in range(image.pages)]
        return image.axes, image.calibration, " ".join(image.notes), np.stack(pages)


def test_every_maker_has_a_file():
    assert [name for name, _, _ in MAKERS] == list(flavours.MAKERS)


@pytest.mark.parametrize("name", FLAVOURS)
def test_what_a_flavour_gives(tmp_path, name):
    flavour = FLAVOURS[name]
    path = tmp_path / flavour.name
    flavour.write(path)
    axes, found, notes, pixels = facts(path)
    assert sorted(axes) == sorted(flavour.axes)
    read = (found.pixel_size_x, found.pixel_size_y, found.z_spacing, found.time_interval)
    assert read == (flavour.x, flavour.y, flavour.z, flavour.interval)
    assert unit_factor(found.unit, "µm") == 1 or flavour.x is None
    assert (found.time_unit or "")[:1] == ("" if flavour.interval is None else "s")
    pages = flavour.pixels if "C" in axes else np.expand_dims(flavour.pixels, -3)
    np.testing.assert_array_equal(pixels, pages.reshape(-1, *pages.shape[-3:]))
    assert notes == "" or "first of 2 directories" in notes


def test_the_table_in_the_documents():
    """Each row says what the file of this flavour gives."""
    text = (Path(__file__).parents[2] / "docs" / "files.md").read_text("utf-8")
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")]
        for line in text.splitlines()
        if line[:1] == "|"
    ]
    start = [row[0] for row in rows].index("flavour")
    found = {row[0]: row[2:6] for row in rows[start + 2 : start + 2 + len(FLAVOURS)]}
    assert list(found) == list(FLAVOURS)
    for name, flavour in FLAVOURS.items():
        planes = " ".join(letter for letter in "TZCI" if letter in flavour.axes) or "-"
        lengths = ("yes" if value else "no" for value in (flavour.x, flavour.z, flavour.interval))
        assert found[name] == [planes, *lengths], name


@pytest.mark.parametrize(
    ("name", "tag"), [("Zeiss LSM", 34412), ("FEI", 34682), ("Zeiss SEM", 34118), ("TVIPS", 37706)]
)
def test_damaged_private_tags_refuse_nothing(tmp_path, name, tag):
    path = tmp_path / "a.tif"
    FLAVOURS[name].write(path)
    with tifffile.TiffFile(path) as tif:
        place, count = tif.pages[0].tags[tag].valueoffset, tif.pages[0].tags[tag].count
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"\xff" * count)
    axes, found, notes, _ = facts(path)
    assert axes == ("ICYX" if name == "Zeiss LSM" else "YX")
    assert found.pixel_size_x is None
    assert f"{name}: its tags give no pixel size" in notes


@pytest.mark.parametrize(
    ("scan", "sizes", "axes"),
    [(6, (2, 3), "TZCYX"), (3, (6, 1), "TCYX"), (0, (1, 6), "ZCYX"), (1, (1, 6), "ICYX")],
)
def test_scans_of_an_lsm(tmp_path, scan, sizes, axes):
    flavours.lsm(tmp_path / "a.lsm", scan, sizes)
    found, calibration, notes, _ = facts(tmp_path / "a.lsm")
    with tifffile.TiffFile(tmp_path / "a.lsm") as tif:
        said = tif.series[0].get_axes()
    assert found == axes
    assert axes == said or "not of XY planes" in notes
    assert (calibration.z_spacing, calibration.time_interval) == (
        2 if "Z" in axes else None,
        2.5 if "T" in axes or axes == "ICYX" else None,
    )


@pytest.mark.parametrize(
    ("kind", "dtype", "bits"),
    [(2, np.uint16, 12), (1, np.uint16, 8), (0, np.uint16, None), (2, np.uint8, None)],
)
def test_bits_that_an_lsm_says_are_used(tmp_path, monkeypatch, kind, dtype, bits):
    monkeypatch.setattr(flavours, "STACK", flavours.STACK.astype(dtype))
    flavours.lsm(tmp_path / "a.lsm", DataType=kind)
    with open_image(tmp_path / "a.lsm") as image:
        assert (image.dtype, image.significant_bits) == (dtype, bits)


def test_an_lsm_whose_header_is_another_files(tmp_path):
    flavours.lsm(tmp_path / "a.lsm", sizes=(2, 4))
    axes, found, notes, _ = facts(tmp_path / "a.lsm")
    assert (axes, found.pixel_size_x) == ("ICYX", 0.25)
    assert "T=2 x Z=4, but the file holds 6 planes" in notes


def test_an_lsm_of_several_positions(tmp_path):
    flavours.lsm(tmp_path / "a.lsm", sizes=(1, 3), DimensionP=2)
    assert facts(tmp_path / "a.lsm")[0] == "IZCYX"


def test_a_compressed_lsm_counts_its_decoded_bytes(tmp_path):
    path = tmp_path / "a.lsm"
    flavours.lsm(path, compression="lzw")
    with tifffile.TiffFile(path, mode="r+b") as tif:
        for page in list(tif.pages)[::2]:
            page.aspage().tags[279].overwrite((9 * 16 * 50,) * 3)
    np.testing.assert_array_equal(facts(path)[3], STACK.reshape(6, 3, 9, 16))


def test_an_lsm_beyond_4_gb_is_refused(tmp_path):
    """Its offsets have 32 bits and begin again."""
    path = tmp_path / "a.lsm"
    flavours.lsm(path)
    with path.open("r+b") as file:
        file.truncate(2**32)
    with pytest.raises(ImageReadError, match="LSM files of 4 GB"):
        open_image(path)


def test_the_screen_of_a_zeiss_sem_is_not_the_image(tmp_path):
    path = tmp_path / "a.tif"
    flavours.zeiss_sem(path, "")
    assert facts(path)[1].pixel_size_x == 0.25
    flavours.zeiss_sem(path, "AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 0.75 \xb5m\r\n")
    assert facts(path)[1].pixel_size_x == 0.75


def test_an_ion_beam_of_fei(tmp_path):
    text = "[IRBeam]\r\nHFW=4e-06\r\nVFW=4.5e-06\r\n[Image]\r\nResolutionX=16\r\nResolutionY=9\r\n"
    flavours.fei(tmp_path / "a.tif", 34680, text)
    found = facts(tmp_path / "a.tif")[1]
    assert (found.pixel_size_x, found.pixel_size_y) == (0.25, 0.5)


@pytest.mark.parametrize(
    ("maker", "write", "said"),
    [
        (
            "FEI",
            partial(flavours.fei, code=34682, text="[Scan]\r\nPixelWidth=0.5\r\nPixelHeight=0.5\r\n"),
            "500000",
        ),
        (
            "Zeiss SEM",
            partial(flavours.zeiss_sem, text="AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 25 mm\r\n"),
            "25000",
        ),
        ("Gatan", partial(flavours.gatan, unit="m"), "2.5e+08 µm"),
    ],
)
def test_pixels_of_a_centimetre_and_more_are_no_calibration(tmp_path, maker, write, said):
    write(tmp_path / "a.tif")
    _, found, notes, _ = facts(tmp_path / "a.tif")
    assert (found.pixel_size_x, found.pixel_size_y) == (None, None)
    assert f"{maker} says that a pixel is {said}" in notes
    assert "taken as no calibration" in notes


def test_reciprocal_lengths_are_no_pixel_size(tmp_path):
    flavours.gatan(tmp_path / "a.tif", "1/nm")
    _, found, notes, _ = facts(tmp_path / "a.tif")
    assert found.pixel_size_x is None
    assert "Gatan" in notes


def test_what_is_recognised_and_not_read_is_said(tmp_path):
    path = tmp_path / "a.tif"
    options = {"metadata": None, "photometric": "minisblack"}
    for code, name in (
        (65330, "Nikon"),
        (4864, "Andor"),
        (34683, "FEI Titan"),
        (64000, "private tags"),
        (33445, "GEL"),
    ):
        tifffile.imwrite(path, PAGES[0], extratags=[(code, 4, 1, 7, True)], **options)
        assert name in facts(path)[2]
        assert "not read" in facts(path)[2]
    tifffile.imwrite(path, PAGES[0], software="SI.5", **options)
    assert "ScanImage" in facts(path)[2]
    assert len({name for name, _ in UNREAD}) == len(UNREAD)


def test_tags_of_any_program_are_no_matter_for_a_note(tmp_path):
    path = tmp_path / "a.tif"
    tags = [(code, 1, 4, b"abcd", True) for code in (33723, 34377, 34675, 37724)]
    tifffile.imwrite(path, PAGES[0], extratags=tags, metadata=None, photometric="minisblack")
    assert facts(path)[2] == ""


def test_resolution_before_magnification(tmp_path):
    path = tmp_path / "a.tif"
    options = {"resolution": (400, 400), "resolutionunit": "CENTIMETER", "metadata": None}
    tifffile.imwrite(
        path, PAGES[0], extratags=[(271, 2, 0, "JEOL Ltd.", True)], photometric="minisblack", **options
    )
    _, found, notes, _ = facts(path)
    assert found.pixel_size_x is None
    assert "JEOL" in notes
