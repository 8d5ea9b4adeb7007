"""Mean and standard deviation against whole numbers of any length, however an image is cut."""

from fractions import Fraction
from math import isqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unet2015.images.moments import mean_and_deviation

INTEGERS = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
FLOATS = ["float16", "float32", "float64"]


def exactly(array):
    """Mean and deviation in fractions, rounded once."""
    values = [Fraction(value) for value in array.ravel().tolist()]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    root = Fraction(isqrt((variance.numerator << 2400) // variance.denominator), 1 << 1200)
    return float(mean), float(root)


def pages(dtype, elements=None):
    """Pages of several rows, in bands: shape (pages, channels, rows, width)."""
    shapes = st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 4), st.integers(1, 6))
    return shapes.flatmap(lambda shape: hnp.arrays(dtype, shape, elements=elements))


def finite(dtype):
    return st.floats(width=np.dtype(dtype).itemsize * 8, allow_nan=False, allow_infinity=False)


def whole(array):
    return mean_and_deviation([[page] for page in array], array.dtype, array.shape[1])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(INTEGERS).flatmap(pages))
def test_integers_are_summed_exactly(array):
    mean, deviation = whole(array)
    for channel in range(array.shape[1]):
        expected = exactly(array[:, channel])
        np.testing.assert_allclose((mean[channel], deviation[channel]), expected, rtol=4e-16)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.sampled_from(FLOATS).flatmap(lambda dtype: pages(dtype, finite(dtype))))
def test_floats_of_any_magnitude(array):
    mean, deviation = whole(array)
    for channel in range(array.shape[1]):
        pixels = array[:, channel].astype(np.float64)
        expected = exactly(pixels)
        largest = float(np.abs(pixels).max())
        np.testing.assert_allclose(mean[channel] / 4, expected[0] / 4, rtol=0, atol=1e-15 * largest + 1e-322)
        np.testing.assert_allclose(deviation[channel], expected[1], rtol=1e-14, atol=1e-322)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([*INTEGERS, *FLOATS]), st.integers(0, 99), st.data())
def test_bands_and_the_order_in_memory_do_not_matter(dtype, seed, data):
    """To the last bit: an image gets the same mapping from every format."""
    random = np.random.default_rng(seed)
    shape = (2, 2, data.draw(st.integers(1, 40)), data.draw(st.integers(1, 300)))
    array = (random.random(shape) * 100).astype(dtype)
    expected = whole(array)
    rows = data.draw(st.integers(1, shape[2]))
    bands = [[page[:, top : top + rows] for top in range(0, shape[2], rows)] for page in array]
    turned = [[np.asfortranarray(band) for band in page] for page in bands]
    for cut in (bands, turned):
        np.testing.assert_array_equal(mean_and_deviation(cut, dtype, 2), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint16"])
def test_pieces_of_large_bands(dtype, monkeypatch):
    array = (np.random.default_rng(0).random((1, 1, 70, 90)) * 900).astype(dtype)
    expected = whole(array)
    monkeypatch.setattr("unet2015.images.moments._PIECE", 200)
    np.testing.assert_allclose(whole(array), expected, rtol=1e-15)
    np.testing.assert_allclose(expected, [[array.mean(dtype=float)], [array.std(dtype=float)]], rtol=1e-13)


@pytest.mark.parametrize("value", [0.1, -1 / 3, 1e308, -1.7e308, 5e-324, 1e-40, 0.0, 65504.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_alike_pixels_do_not_deviate(dtype, value):
    if dtype == "float32":
        value = np.clip(value, -3e38, 3e38)
    array = np.full((3, 1, 7, 1001), value, dtype)
    mean, deviation = whole(array)
    np.testing.assert_allclose(mean, array.flat[0], rtol=1e-15, atol=2e-323)
    assert deviation == 0
    array[1, 0, 3, 5] = np.nextafter(array.flat[0], array.dtype.type(1))
    if abs(value) > 1e-300:
        assert whole(array)[1] > 0


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e9])
def test_small_differences_about_a_large_offset(offset):
    """Where the mean of squares less the square of the mean has no digit left."""
    array = offset + np.random.default_rng(0).integers(0, 64, (2, 1, 50, 60)) / 64
    np.testing.assert_allclose(whole(array)[1], (array - offset).std(), rtol=1e-13)
