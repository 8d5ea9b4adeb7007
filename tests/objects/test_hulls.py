"""Areas of convex hulls: those of scikit-image's images of them, in bounded memory."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.morphology import convex_hull_image

from unet2015.objects import hulls as hulls_module
from unet2015.objects.hulls import ROW_BYTES, Hulls
from unet2015.objects.measures import PageMeasures


def extents_of(labels):
    """Object, row, first and last column, row by row."""
    found = []
    for row, line in enumerate(labels):
        for number in np.unique(line[line > 0]):
            there = np.flatnonzero(line == number)
            found.append((number - 1, row, there[0], there[-1]))
    return np.array(found, np.int64).reshape(-1, 4).T


def by_image(labels, objects):
    return [
        int(convex_hull_image(labels == k).sum()) if (labels == k).any() else 0 for k in range(1, objects + 1)
    ]


def rounded(seed, height, width):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((height, width)), 3)
    return ndimage.label(noise > np.median(noise))[0]


SCATTERED = hnp.arrays(
    np.int64, st.tuples(st.integers(1, 30), st.integers(1, 30)), elements=st.sampled_from([0] * 9 + [1, 2, 3])
)
ROUND = st.builds(rounded, st.integers(0, 2**32), st.integers(1, 70), st.integers(1, 70))


@settings(max_examples=150, deadline=None)
@given(SCATTERED | ROUND, st.integers(1, 40))
def test_areas_are_those_of_scikit_image_whatever_comes_together(labels, rows):
    objects = int(labels.max(initial=0)) + 1
    expected = by_image(labels, objects)
    for memory in (2**20, ROW_BYTES * 100, ROW_BYTES * 40):
        hulls = Hulls(objects, memory)
        for row in range(0, len(labels), rows):
            extents = extents_of(labels[row : row + rows])
            extents[1] += row
            hulls.add(extents)
        found = hulls.areas()
        known = found >= 0
        assert found[known].tolist() == np.array(expected)[known].tolist()
        assert known.all() or memory < 2**20


def test_rows_that_do_not_count_are_dropped_where_memory_is_scarce():
    y = np.arange(-400, 401)
    half = np.sqrt(400**2 - y**2).astype(np.int64)
    circle = np.stack([np.zeros(801, np.int64), y + 400, 400 - half, 400 + half])
    plenty, scarce = Hulls(1, 2**20), Hulls(1, 320 * ROW_BYTES)
    for start in range(0, 801, 20):
        for hulls in (plenty, scarce):
            hulls.add(circle[:, start : start + 20])
    assert scarce.areas().tolist() == plenty.areas().tolist()
    image = abs(np.arange(-400, 401)) <= half[:, None]
    assert plenty.areas().tolist() == [convex_hull_image(image).sum()]


def test_a_large_object_takes_no_image_of_its_hull():
    side = 3000
    ring = np.zeros((side, side), np.int64)
    ring[:: side - 1] = ring[:, :: side - 1] = 1
    page = PageMeasures(side, side, 1)
    for row in range(0, side, 100):
        page.add(ring[row : row + 100])
    tracemalloc.start()
    found = page.finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.solidity[0] == pytest.approx((4 * side - 4) / side**2)
    assert peak < side**2 / 4


def test_the_memory_is_what_was_allowed_with_all_that_sorting_takes(monkeypatch):
    monkeypatch.setattr(hulls_module, "_BLOCK", 2**12)
    drawn, allowed = np.random.default_rng(0), 4 * 2**20
    tracemalloc.start()
    hulls = Hulls(3000, allowed)
    before = tracemalloc.get_traced_memory()[0]
    for row in range(100):
        columns = np.sort(drawn.integers(0, 900, (2, 3000)), axis=0)
        hulls.add(np.stack([np.arange(3000), np.full(3000, row), *columns]))
    assert (hulls.areas() > 0).all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 4 * allowed < 100 * 3000 * ROW_BYTES
    assert peak - before < allowed + 2**21  # what is looked at together


def test_more_corners_than_memory_holds_are_said():
    hulls = Hulls(3000, 3000 * ROW_BYTES)
    for row in range(3):
        hulls.add(np.stack([np.arange(3000), *np.full((3, 3000), row)]))
    assert hulls.too_many
    assert (hulls.areas() == -1).all()


def test_objects_that_have_ended_make_room_and_one_that_goes_on_is_not_known():
    hulls = Hulls(901, 1000 * ROW_BYTES)
    for row in range(900):
        for number in {row, 900} if row in (0, 899) else {row}:
            hulls.add(np.array([[number] * 3, [9 * row, 9 * row + 1, 9 * row + 2], [5, 4, 5], [5, 6, 5]]))
    assert hulls.areas().tolist() == [5] * 900 + [-1]


def test_a_steep_side_is_exact_on_the_largest_pages():
    side = 2**20
    thin = np.array([[0, 0], [0, side - 1], [0, side - 2], [0, side - 2]], np.int64)
    hulls = Hulls(1, 2**20)
    hulls.add(thin)
    assert hulls.areas()[0] == side  # the hull is a pixel wide in each row
