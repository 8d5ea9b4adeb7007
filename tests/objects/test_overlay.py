"""Previews show the image, and each outline in the colour of its label, whatever the strips and the size."""

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.objects.array_labels import ArrayLabels
from unet2015.images.array_image import ArrayImage
from unet2015.images.display import colours_of_labels, stretched
from unet2015.objects.overlay import write_overlay

COLOURS = colours_of_labels()


def preview(tmp_path, image, labels, rows=None, longest=2000):
    path = tmp_path / "x.overlay.png"
    write_overlay(path, image, ArrayLabels(labels[None], rows), longest)
    return imagecodecs.png_decode(path.read_bytes())


def gray_image(shape, seed=0):
    return ArrayImage(np.random.default_rng(seed).integers(100, 200, shape).astype(np.uint16))


@pytest.mark.parametrize("rows", [1, 2, 3, 20])
def test_outlines_are_the_pixels_beside_another_object(tmp_path, rows):
    labels = np.zeros((17, 15), np.uint16)
    labels[2:8, 2:9], labels[8:17, 2:9], labels[0, 14] = 1, 2, 3
    image = gray_image(labels.shape)
    found = preview(tmp_path, image, labels, rows)
    inside = np.zeros(labels.shape, bool)
    inside[3:7, 3:8] = inside[9:16, 3:8] = True
    outlined = (labels > 0) & ~inside
    assert np.array_equal(found[outlined], COLOURS[labels[outlined]])
    gray = found[~outlined]
    assert (gray == gray[:, :1]).all()
    pixels = image.read(0, 0, 17, 0, 15)[0][~outlined]
    assert np.all(np.diff(gray[np.argsort(pixels, kind="stable"), 0].astype(int)) >= 0)
    assert gray.min() < 5
    assert gray.max() > 250


@pytest.mark.parametrize("rows", [1, 4, 50])
def test_large_images_become_smaller_and_no_object_is_lost(tmp_path, rows):
    labels = np.zeros((50, 31), np.uint16)
    labels[7, 9], labels[20:45, 12:30] = 1, 2
    values = np.arange(50 * 31, dtype=np.float32).reshape(50, 31)
    found = preview(tmp_path, ArrayImage(values), labels, rows, longest=13)
    assert found.shape == (13, 8, 3)  # 4 x 4 pixels become one
    assert (found[1, 2] == COLOURS[1]).all()
    outlined = (found == COLOURS[2]).all(axis=2)
    assert outlined.sum() == 2 * 5 + 2 * 7 - 4
    corner = values[:4, :4].mean()
    means = [values[y : y + 4, x : x + 4].mean() for y in range(0, 50, 4) for x in range(0, 31, 4)]
    low, high = np.percentile(np.float32(means), (0.5, 99.5))
    assert found[0, 0, 0] == round(255 * max(0, (corner - low) / (high - low)))


def test_colours_are_shown_as_they_are(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (9, 8, 3)).astype(np.uint8)
    found = preview(tmp_path, ArrayImage(pixels, "YXC"), np.zeros((9, 8), np.uint8))
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize("value", [7.0, np.nan])
def test_images_without_contrast_are_black(tmp_path, value):
    found = preview(tmp_path, ArrayImage(np.full((4, 5), value, np.float32)), np.zeros((4, 5), np.uint8))
    assert not found.any()


def test_colours_of_labels_differ_and_are_bright():
    assert len({tuple(colour) for colour in COLOURS.tolist()}) == 256
    steps = np.abs(np.diff(COLOURS[1:].astype(int), axis=0)).sum(axis=1)
    assert steps.min() > 100
    assert COLOURS[1:].max(axis=1).min() > 150
    assert not COLOURS[0].any()


@pytest.mark.parametrize(
    ("dtype", "factor", "offset"),
    [
        (np.uint32, 1, 2**31),
        (np.int64, 1, -(2**52)),
        (np.float32, 2.0**-130, 0),
        (np.float64, 1, 1e9),
        (np.float64, 2.0**-160, 0),
        (np.float64, 2.0**-1040, 0),
        (np.float64, 2.0**1015, 0),
        (np.float64, -(2.0**1015), 0),
    ],
)
def test_values_of_any_size_are_shown_alike(dtype, factor, offset, tmp_path):
    """The picture is that of the same pixels in 8 bits; of negative ones, that of the negative."""
    plain = np.random.default_rng(3).integers(0, 256, (21, 20)).astype(np.uint8)
    labels = np.zeros(plain.shape, np.uint8)
    labels[3:9, 4:11] = 1
    with np.errstate(all="raise", under="ignore"):
        found = preview(tmp_path, ArrayImage((plain * dtype(factor) + dtype(offset)).astype(dtype)), labels)
    wanted = preview(tmp_path, ArrayImage(plain if factor > 0 else 255 - plain), labels)
    assert np.abs(found.astype(int) - wanted).max() <= 1  # a rounding


@given(
    arrays(np.int16, (5, 4)),
    st.tuples(st.floats(0, 49), st.floats(51, 100)),
)
def test_stretched_is_what_the_percentiles_say(pixels, ends):
    low, high = np.percentile(pixels.astype(np.float64), ends)
    wanted = np.zeros(pixels.shape) if low == high else ((pixels - low) / (high - low)).clip(0, 1)
    assert np.allclose(stretched(pixels, ends), wanted, rtol=0, atol=1e-6)


def test_what_is_not_finite_does_not_count():
    pixels = np.array([[np.nan, -np.inf, 0.0], [1.0, 4.0, np.inf]])
    assert stretched(pixels, (0, 100)).tolist() == [[0, 0, 0], [0.25, 1, 1]]
    assert not stretched(np.full((2, 2), np.nan), (0, 100)).any()
