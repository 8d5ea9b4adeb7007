"""Frames of a film that differ in brightness are said where the mapping takes them together."""

import numpy as np
import pytest

from unet2015.images.array_image import ArrayImage
from unet2015.images.mapped_image import MappedImage
from unet2015.settings import Mapping

STANDARDISE = Mapping(method="standardise")
PERCENTILES = Mapping(method="image-percentiles", low=(1.0,), high=(99.8,))
FIXED = Mapping(method="fixed", low=(0.0,), high=(200.0,))


def film(gains, offsets=None, dtype=np.float32, size=64):
    """Return frames of one scene on a background of 10: signal 100 times a gain, and an offset."""
    rng = np.random.default_rng(0)
    scene = rng.random((size, size)) > 0.9
    noise = rng.random((len(gains), size, size))
    offsets = np.zeros(len(gains)) if offsets is None else np.asarray(offsets)
    frames = 10 + offsets[:, None, None] + noise + 100 * np.multiply.outer(gains, scene)
    return frames.astype(dtype)


def said(array, axes="TYX", mapping=STANDARDISE):
    return [note for note in MappedImage(ArrayImage(array, axes), mapping).notes if "differ in" in note]


@pytest.mark.parametrize("mapping", [STANDARDISE, PERCENTILES], ids=["standardise", "percentiles"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_a_film_that_bleaches_is_said_with_its_extreme_frames(mapping, dtype):
    frames = film(np.exp(-np.arange(10) / 6), dtype=dtype)
    (note,) = said(frames, mapping=mapping)
    first, last = (np.percentile(frames[page], (0.2, 99.8)) for page in (9, 0))
    for (low, high), page in ((first, 9), (last, 0)):
        assert f"{low:g} to {high:g} on page {page}" in note
    assert '--map-each page (map_each="page" in Python)' in note


def test_a_lamp_that_flickers_and_a_brighter_background_are_said():
    assert len(said(film([1, 1, 1, 3]))) == 1
    assert len(said(film([1, 1, 1], [0, 60, 0]))) == 1
    assert said(film([1, 0.7, 1.3], [0, 20, -5])) == []


def test_stacks_in_depth_and_mappings_that_are_not_of_the_file_have_no_such_note():
    frames = film([1, 0.2, 1])
    assert said(frames, axes="ZYX") == []
    assert said(frames, mapping=FIXED) == []
    assert said(frames[:1]) == []


def test_time_is_compared_within_each_depth_and_channel():
    depths = np.stack([film([1, 1, 1]), film([0.2, 0.2, 0.2])], axis=1)  # TZYX: alike in time
    assert said(depths, axes="TZYX") == []
    depths[2, 1] += film([0.3])[0]
    (note,) = said(depths, axes="TZYX")
    assert "on page 5" in note
    colours = np.stack([film([1, 1, 1]), film([1, 1, 0.3])], axis=1)
    (note,) = said(colours, axes="TCYX")
    assert "in channel 1: " in note


def test_empty_and_lost_frames_and_what_is_left_out_do_not_count():
    frames = film([1, 1, 1])
    frames[1] = 0
    assert said(frames) == []
    framed = film([1, 1, 1, 1])
    framed[1:, :, :20] = -500  # no picture there
    assert len(said(framed)) == 1
    assert said(framed, mapping=STANDARDISE.model_copy(update={"fill_value": -500.0})) == []


def test_large_frames_are_looked_at_in_bands_as_in_whole():
    frames = film([1, 0.3], size=700)
    (note,) = said(frames)
    low, high = np.percentile(frames[0][::5, ::5], (0.2, 99.8))  # 700 px a side: every fifth pixel
    assert f"{low:g} to {high:g} on page 0" in note


def test_extreme_numbers_overflow_nothing():
    frames = np.zeros((2, 8, 8))
    frames[0, :4], frames[0, 4:], frames[1, ::2] = -0.8e308, 0.8e308, 1.0
    assert len(said(frames, mapping=PERCENTILES)) == 1
