"""A mapping of each page: every page has the numbers, and is told the things, of a file of its own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from unet2015.errors import ImageValueError
from unet2015.images.array_image import ArrayImage
from unet2015.images.mapped_image import MappedImage
from unet2015.images.mapping import choose_mapping, deviation, intensity_scale
from unet2015.settings import Mapping, MappingSettings

STANDARDISE = Mapping(method="standardise", each="page")
PERCENTILES = Mapping(method="image-percentiles", low=(1.0,), high=(99.0,), each="page")
BOTH = pytest.mark.parametrize("mapping", [STANDARDISE, PERCENTILES], ids=["standardise", "percentiles"])
TYPES = (np.uint8, np.int16, np.uint16, np.uint32, np.float32, np.float64)


def of_a_file(mapping):
    return mapping.model_copy(update={"each": "file"})


def stack(shape, dtype, seed):
    """Return pages of very different brightness, some of one value."""
    rng = np.random.default_rng(seed)
    gains = rng.choice([0, 0.01, 0.3, 1, 50], shape[:-2]) / 50
    pixels = rng.random(shape) * np.asarray(gains)[..., None, None]
    if np.dtype(dtype).kind == "f":
        return (pixels * rng.choice([1e-30, 1.0, 1e30])).astype(dtype)
    return (pixels * min(np.iinfo(dtype).max, 2**31)).astype(dtype)


@BOTH
@settings(max_examples=25)
@given(
    axes=st.sampled_from(["ZYX", "TYX", "TZYX", "TCYX", "TZCYX"]),
    lengths=st.lists(st.integers(1, 3), min_size=3, max_size=3),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    dtype=st.sampled_from(TYPES),
    fill_value=st.sampled_from([None, 0.0]),
    seed=st.integers(0, 2**16),
)
def test_each_page_is_read_as_from_a_file_of_its_own(mapping, axes, lengths, size, dtype, fill_value, seed):
    mapping = mapping.model_copy(update={"fill_value": fill_value})
    pixels = stack((*lengths[: len(axes) - 2], *size), dtype, seed)
    image = ArrayImage(pixels, axes)
    mapped = MappedImage(image, mapping)
    assert mapped.offset.shape == mapped.gain.shape == (image.pages, image.channels)
    again = MappedImage(image, mapping, (mapped.offset, mapped.gain))  # as a worker, or a run that goes on
    spread = deviation(image, mapping)
    for page in range(image.pages):
        raw = image.read(page, 0, size[0], 0, size[1])
        alone = MappedImage(ArrayImage(raw, "CYX"), of_a_file(mapping))
        expected = alone.read(0, 0, size[0], 0, size[1])
        assert (mapped.offset[page].tolist(), mapped.gain[page].tolist()) == (
            alone.offset.tolist(),
            alone.gain.tolist(),
        )
        for one in (mapped, again):
            assert one.read(page, 0, size[0], 0, size[1]).tobytes() == expected.tobytes()
        own = deviation(alone.image, of_a_file(mapping), (alone.offset, alone.gain))
        np.testing.assert_array_equal(np.broadcast_to(spread, mapped.gain.shape)[page], own)


@BOTH
def test_a_page_with_huge_numbers_does_not_change_how_the_others_round(mapping):
    pixels = np.random.default_rng(0).random((2, 8, 9))
    pixels[0] = (pixels[0] - 0.5) * 1.7e308
    image = ArrayImage(pixels, "TYX")
    mapped = MappedImage(image, mapping)
    for page in range(2):
        alone = MappedImage(ArrayImage(pixels[page], "YX"), of_a_file(mapping))
        np.testing.assert_array_equal(mapped.read(page, 0, 8, 0, 9), alone.read(0, 0, 8, 0, 9))


@BOTH
def test_a_page_of_one_value_is_0_and_its_neighbours_are_as_without_it(mapping):
    pixels = np.random.default_rng(0).integers(20, 90, (3, 8, 9)).astype(np.uint16)
    pixels[1] = 7
    mapped = MappedImage(ArrayImage(pixels, "TYX"), mapping)
    assert not mapped.read(1, 0, 8, 0, 9).any()
    assert mapped.gain[:, 0].astype(bool).tolist() == [True, False, True]


def test_pages_of_one_mapping_of_the_file_are_as_before():
    pixels = np.random.default_rng(0).integers(20, 90, (3, 8, 9)).astype(np.uint16)
    offset, gain = intensity_scale(of_a_file(STANDARDISE), ArrayImage(pixels, "TYX"))
    assert offset.tolist() == [pixels.mean()]
    np.testing.assert_allclose(gain, 1 / pixels.std())


def test_a_value_that_is_no_number_names_its_page():
    pixels = np.random.default_rng(0).random((3, 8, 9))
    pixels[2, 3, 3] = np.nan
    with pytest.raises(ImageValueError, match="page 2"):
        intensity_scale(STANDARDISE, ArrayImage(pixels, "TYX"))


@BOTH
def test_frames_may_differ_in_brightness_and_lost_ones_spoil_nothing(mapping):
    scene = np.random.default_rng(0).integers(20, 90, (64, 64))
    film = np.stack([scene * 5, scene, scene * 0]).astype(np.uint16)
    assert MappedImage(ArrayImage(film, "TYX"), mapping).notes == ()
    assert len(MappedImage(ArrayImage(film, "TYX"), of_a_file(mapping)).notes) == 2


@pytest.mark.parametrize(
    ("framed", "said"),
    [
        ([3], "18.8% of the pixels of page 3 are 0, in areas at the border; if"),
        ([0, 1, 2, 5, 9], "up to 18.8% of the pixels of pages 0, 1, 2 and 2 more are 0, in areas"),
    ],
)
def test_areas_without_image_are_said_by_page(framed, said):
    film = np.random.default_rng(0).integers(20, 90, (40, 64, 64)).astype(np.uint16)
    film[framed, :, :8] = 0
    film[framed[0], :, :12] = 0
    (note,) = MappedImage(ArrayImage(film, "TYX"), STANDARDISE).notes
    assert said in note
    assert "the result of the page: leave them out with --fill-value 0 (fill_value=0 in Python)" in note
    left_out = STANDARDISE.model_copy(update={"fill_value": 0.0})
    assert MappedImage(ArrayImage(film, "TYX"), left_out).notes == ()


class WithGaps(ArrayImage):
    """An image whose file declares that a page has nothing on its left."""

    def uncovered(self, page, y0, y1, x0, x1):
        if page != 1:
            return None
        return np.broadcast_to(np.arange(x0, x1) < 4, (self.channels, y1 - y0, x1 - x0))


@BOTH
def test_what_a_file_declares_not_to_be_there_is_left_out_of_its_page(mapping):
    pixels = np.random.default_rng(0).integers(20, 90, (3, 8, 9)).astype(np.uint16)
    offset, gain = intensity_scale(mapping, WithGaps(pixels, "TYX"))
    for page, left in ((0, 0), (1, 4), (2, 0)):
        kept = ArrayImage(pixels[page, :, left:], "YX")
        expected = np.ravel(intensity_scale(of_a_file(mapping), kept))
        assert [*offset[page], *gain[page]] == expected.tolist()


def test_settings_and_models_say_it_only_where_it_is_so():
    assert "each" not in MappingSettings().model_dump()
    assert "each" not in Mapping(method="standardise").model_dump()
    assert STANDARDISE.model_dump(mode="json")["each"] == "page"
    image = ArrayImage(np.zeros((2, 4, 4), np.uint16), "TYX")
    for method in ("standardise", "image-percentiles"):
        assert choose_mapping(MappingSettings(method=method, each="page"), [image]).of_each_page
        assert not choose_mapping(MappingSettings(method=method), [image]).of_each_page
    assert STANDARDISE.in_words() == "each page minus its mean, divided by its standard deviation"
    assert PERCENTILES.in_words() == "percentiles 1 and 99 of each page become 0 and 1"


@pytest.mark.parametrize("method", ["auto", "integer-range", "training-percentiles"])
def test_it_goes_only_with_what_measures(method):
    with pytest.raises(ValidationError, match='each = "page" is for method = "standardise"'):
        MappingSettings(method=method, each="page")
    with pytest.raises(ValidationError, match='each = "page" goes with what is measured'):
        Mapping(method="fixed", low=(0.0,), high=(1.0,), each="page")
