"""Measures of objects, against regionprops of the whole page, whatever the strips."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.measure import regionprops

from unet2015.objects import measures
from unet2015.objects.measures import PageMeasures

PAGES = hnp.arrays(
    np.int64, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.sampled_from([0, 0, 1, 2, 3])
)


def measured(labels, values, rows, **options):
    channels = 0 if values is None else len(values)
    page = PageMeasures(*labels.shape, int(labels.max(initial=0)), channels, **options)
    for row in range(0, len(labels), rows):
        page.add(labels[row : row + rows], () if values is None else values[:, row : row + rows])
    return page.finish()


def smooth(seed, side):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((side, side + 3)), 1.5)
    return ndimage.label(noise > np.median(noise))[0].astype(np.int64)


LABELS = PAGES | st.builds(smooth, st.integers(0, 2**32), st.integers(5, 60))


@settings(max_examples=60)
@given(
    LABELS, st.integers(1, 60), st.integers(0, 2**32), st.sampled_from([(1.0, 1.0), (0.65, 0.65), (0.5, 2.0)])
)
def test_all_measures_are_those_of_regionprops(labels, rows, seed, size):
    values = np.random.default_rng(seed).integers(0, 4000, (2, *labels.shape)).astype(np.uint16)
    found = measured(labels, values, rows)
    major, minor = found.axes(*size)
    eccentricity = found.eccentricity(*size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-image warns of hulls of a single row
        for whole in regionprops(labels, np.moveaxis(values, 0, -1)):
            k = whole.label - 1
            assert found.area[k] == whole.area
            assert found.boxes[k].tolist() == list(whole.bbox)
            assert found.centroid[k] == pytest.approx(whole.centroid)
            assert found.perimeter[k] == pytest.approx(whole.perimeter)
            assert found.solidity[k] == pytest.approx(whole.solidity)
            assert found.sums[:, k] / found.area[k] == pytest.approx(whole.intensity_mean)
            assert found.lowest[:, k].tolist() == whole.intensity_min.tolist()
            assert found.highest[:, k].tolist() == whole.intensity_max.tolist()
        for whole in regionprops(labels, spacing=size):
            k = whole.label - 1
            assert major[k] == pytest.approx(whole.axis_major_length, abs=1e-6)
            assert minor[k] == pytest.approx(whole.axis_minor_length, abs=1e-6)
            assert eccentricity[k] == pytest.approx(whole.eccentricity, abs=1e-6)


@given(LABELS, st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=40)
def test_strips_do_not_change_a_bit(labels, rows, others):
    one, other = measured(labels, labels[None], rows), measured(labels, labels[None], others)
    for name, value in vars(one).items():
        assert np.array_equal(value, getattr(other, name), equal_nan=True), name


def test_pages_too_wide_for_whole_numbers_are_summed_in_floats_alike(monkeypatch):
    labels = smooth(3, 50)
    whole = measured(labels, labels[None], 7)
    monkeypatch.setattr(measures, "_SHORT", 0)
    for name, value in vars(measured(labels, labels[None], 7)).items():
        assert np.array_equal(value, getattr(whole, name), equal_nan=True), name


def test_sums_over_the_longest_runs_do_not_run_over():
    width = 2**20
    page = PageMeasures(2, width, 2)
    page.add(np.repeat(np.array([[1], [2]], np.int32), width, axis=1))
    found = page.finish()
    assert found.area.tolist() == [width] * 2
    assert found.centroid.tolist() == [[0, (width - 1) / 2], [1, (width - 1) / 2]]
    assert found.moments[:, 1] == pytest.approx((width**2 - 1) / 12)


@pytest.mark.parametrize("step", [2**9, 2**12, 2**19])
def test_the_axes_of_thin_long_objects_have_all_digits(step):
    page = PageMeasures(4, 4 * step, 1)
    for row in range(4):  # a stair
        strip = np.zeros((1, 4 * step), np.uint8)
        strip[0, row * step : (row + 1) * step] = 1
        page.add(strip)
    found = page.finish()
    yy, xx, yx = Fraction(5, 4), Fraction((4 * step) ** 2 - 1, 12), Fraction(5 * step, 4)
    assert found.moments[0] == pytest.approx([float(yy), float(xx), float(yx)], rel=1e-14)
    # Of a quadratic equation the second solution is what all are worth, divided by the first.
    longer = (yy + xx) / 2 + Fraction(math.sqrt(((yy - xx) / 2) ** 2 + yx**2))
    shorter = (yy * xx - yx**2) / longer
    expected = [4 * math.sqrt(longer), 4 * math.sqrt(shorter)]
    assert [axis[0] for axis in found.axes()] == pytest.approx(expected, rel=1e-12)
    halves = [one / 2 for one in expected]
    assert [axis[0] for axis in found.axes(0.5, 0.5)] == pytest.approx(halves, rel=1e-12)


def test_an_object_at_the_border_says_so():
    labels = np.zeros((9, 9), np.int64)
    labels[0, 4], labels[4, 0], labels[8, 4], labels[4, 8], labels[4, 4] = 1, 2, 3, 4, 5
    assert measured(labels, None, 4).touches_border.tolist() == [True, True, True, True, False]


def test_without_memory_for_hulls_there_is_no_solidity_and_all_else():
    labels = smooth(1, 40)
    found, full = measured(labels, None, 8, hull_bytes=1000), measured(labels, None, 8)
    assert np.isnan(found.solidity).all()
    assert not np.isnan(full.solidity[full.area > 0]).any()
    assert np.array_equal(found.perimeter, full.perimeter)


def test_a_label_that_no_pixel_has_has_no_area():
    labels = np.zeros((5, 5), np.int64)
    labels[2, 2] = 3
    found = measured(labels, None, 5)
    assert found.area.tolist() == [0, 0, 1]
