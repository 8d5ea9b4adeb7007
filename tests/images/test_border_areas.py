"""Areas without image do not count where they are named, and are said where they are not."""

import numpy as np
import pytest

from unet2015.images.array_image import ArrayImage
from unet2015.images.border_areas import BorderAreas, is_possible
from unet2015.images.mapped_image import MappedImage
from unet2015.images.mapping import deviation, intensity_scale
from unet2015.settings import Mapping, MappingSettings

STANDARDISE = Mapping(method="standardise")
PERCENTILES = Mapping(method="image-percentiles", low=(1.0,), high=(99.8,))
KINDS = ["uint8", "uint16", "int16", "float32", "float64"]


def picture(dtype, shape=(3, 40, 50)):
    return np.random.default_rng(0).integers(20, 100, shape).astype(dtype)


def shifted(array, by, value=0):
    """Return a film in a larger frame, each picture further to the lower right: as after drift correction."""
    pages, height, width = array.shape
    room = by * pages
    out = np.full((pages, height + room, width + room), value, array.dtype)
    for page in range(pages):
        out[page, by * page : by * page + height, by * page : by * page + width] = array[page]
    return out


def said(array, mapping=STANDARDISE, axes="TYX"):
    return MappedImage(ArrayImage(array, axes), mapping).notes


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("mapping", [STANDARDISE, PERCENTILES], ids=["standardise", "percentiles"])
def test_with_its_fill_value_a_film_in_a_frame_is_mapped_as_without(dtype, mapping):
    film = picture(dtype)
    value = 0 if np.dtype(dtype).kind == "u" else -7
    framed = ArrayImage(shifted(film, 4, value), "TYX")
    filled = mapping.model_copy(update={"fill_value": float(value)})
    plain = ArrayImage(film, "TYX")
    assert intensity_scale(filled, framed) == intensity_scale(mapping, plain)
    assert intensity_scale(mapping, framed) != intensity_scale(mapping, plain)
    np.testing.assert_array_equal(deviation(framed, filled), deviation(plain, mapping))


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("mapping", [STANDARDISE, PERCENTILES], ids=["standardise", "percentiles"])
@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 1e300, 65536.0])
def test_a_value_that_no_pixel_has_changes_nothing(dtype, mapping, value):
    image = ArrayImage(picture(dtype), "TYX")
    filled = mapping.model_copy(update={"fill_value": value})
    assert intensity_scale(filled, image) == intensity_scale(mapping, image)


def test_rotated_pictures_count_by_their_pixels():
    float_film = picture("float32", (2, 60, 70)) + np.float32(0.1)
    y, x = np.mgrid[:60, :70]
    inside = np.stack([abs(y - 30) + abs(x - 35) < 25, abs(y - 25) + abs(x - 30) < 10])
    float_film[~inside] = 0
    image = ArrayImage(float_film, "TYX")
    offset, gain = intensity_scale(STANDARDISE.model_copy(update={"fill_value": 0.0}), image)
    kept = float_film[inside].astype(np.float64)
    assert offset[0] == pytest.approx(kept.mean(), rel=1e-13)
    assert 1 / gain[0] == pytest.approx(kept.std(), rel=1e-12)


def test_a_channel_that_is_dark_alone_holds_an_image():
    array = np.stack([picture("uint8")[0], np.zeros((40, 50), "u1")])
    array[:, :10] = 0
    offset, gain = intensity_scale(
        STANDARDISE.model_copy(update={"fill_value": 0.0}), ArrayImage(array, "CYX")
    )
    assert offset.tolist() == [array[0, 10:].mean(), 0]
    assert gain[1] == 0


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("mapping", [STANDARDISE, PERCENTILES], ids=["standardise", "percentiles"])
def test_an_image_that_is_all_filling_becomes_0(dtype, mapping):
    filled = mapping.model_copy(update={"fill_value": 0.0})
    offset, gain = intensity_scale(filled, ArrayImage(np.zeros((2, 9, 8), dtype), "TYX"))
    assert (offset.tolist(), gain.tolist()) == ([0], [0])


def _lost():
    film = picture("uint8")
    film[1] = 0
    return film


@pytest.mark.parametrize(
    ("array", "value", "share"),
    [
        (shifted(picture("uint8"), 4), 0, 1 - 40 * 50 / (52 * 62)),
        (shifted(picture("uint8"), 4, 255), 255, 1 - 40 * 50 / (52 * 62)),
        (shifted(picture("int16"), 4, -32768), -32768, 1 - 40 * 50 / (52 * 62)),
        (shifted(picture("float64"), 4), 0, 1 - 40 * 50 / (52 * 62)),
        (_lost(), 0, 1 / 3),
        (np.where(np.tri(40, 50, -25, bool), 0, picture("uint8")), 0, np.tri(40, 50, -25).mean()),
    ],
    ids=["drift", "white", "int16", "float", "lost frame", "corner"],
)
def test_areas_without_image_are_said_with_what_leaves_them_out(array, value, share):
    (note,) = said(array)
    assert f"{share:.1%} of the pixels are {value}, in areas at the border or whole pages" in note
    assert f"--fill-value {value} (fill_value={value} in Python)" in note
    assert said(array, PERCENTILES) == (note,)
    assert said(array, STANDARDISE.model_copy(update={"fill_value": float(value)})) == ()
    assert said(array, Mapping(method="fixed", low=(0.0,), high=(1.0,))) == ()


def _dark_cells():
    """Return a dark background of true zeros, with cells all over."""
    cells = np.zeros((1, 60, 60), "u1")
    for top in range(2, 60, 8):
        for left in range(2, 60, 8):
            cells[0, top : top + 4, left : left + 4] = 90
    return cells


@pytest.mark.parametrize(
    "array",
    [
        picture("uint8"),
        np.zeros((2, 30, 30), "u1"),
        np.random.default_rng(0).integers(0, 3, (2, 40, 40)).astype("u1"),
        _dark_cells(),
        shifted(picture("uint8"), 4, 7),
    ],
    ids=["plain", "all equal", "dark noise", "dark background", "a value in between"],
)
def test_nothing_is_said_of_other_images(array):
    assert said(array) == ()


def test_a_band_counts_once_however_often_the_image_is_read():
    image = ArrayImage(shifted(picture("float64"), 4), "TYX")
    once, twice = BorderAreas(image), BorderAreas(image)
    for areas, times in ((once, 1), (twice, 2)):
        for page in [*range(image.pages)] * times:
            for number, band in enumerate(image.bands(page)):
                areas.add(page, number * image.band_rows, band)
    assert list(once.found(None)) == list(twice.found(None)) != []


def test_the_setting_is_for_mappings_that_measure_each_image():
    assert MappingSettings(fill_value=0).fill_value == 0
    with pytest.raises(ValueError, match='not for "integer-range"'):
        MappingSettings(method="integer-range", fill_value=0)
    assert "fill_value" not in MappingSettings().model_dump()
    assert "fill_value" not in Mapping(method="standardise").model_dump()
    assert Mapping(method="standardise", fill_value=0).in_words().endswith("without its pixels of value 0")


@pytest.mark.parametrize(
    ("dtype", "value", "possible"),
    [
        ("float32", -3.4028235e38, True),  # as the limit is printed: a little beyond it
        ("float32", 3.41e38, False),
        ("float16", 65520.0, False),
        ("float64", 1e308, True),
        ("float32", float("inf"), False),
        ("uint8", 255.0, True),
        ("uint8", 0.5, False),
    ],
)
def test_a_fill_value_is_one_that_pixels_can_have(dtype, value, possible):
    assert is_possible(np.dtype(dtype), value) == possible
