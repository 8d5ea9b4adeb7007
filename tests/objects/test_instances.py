"""Objects from probabilities: against SciPy, and the choices one by one."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from unet2015.errors import ImageValueError, UsageError
from unet2015.objects.instances import Markers, label_objects

PAGES = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.floats(0, 1, width=32)
)


@given(PAGES, st.floats(0, 1), st.sampled_from([1, 2]))
def test_objects_are_the_connected_parts_above_the_threshold(page, threshold, connectivity):
    found = label_objects(page, threshold, connectivity=connectivity, fill_holes=False)
    expected, count = ndimage.label(page > threshold, ndimage.generate_binary_structure(2, connectivity))
    assert found.dtype == np.uint16
    assert len(np.unique(found[found > 0])) == count == found.max(initial=0)
    pairs = set(zip(found.ravel().tolist(), expected.ravel().tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@given(PAGES, st.integers(0, 6), st.integers(0, 6))
def test_small_objects_and_those_outside_the_field_are_left_out_and_no_others(page, smallest, frame):
    every = label_objects(page, 0.5)
    found = label_objects(page, 0.5, smallest=smallest, frame=frame)
    inner = np.zeros(page.shape, bool)
    inner[frame : page.shape[0] - frame, frame : page.shape[1] - frame] = True
    for number in range(1, every.max(initial=0) + 1):
        here = every == number
        kept = here.sum() >= smallest and bool((here & inner).any())
        assert ((found[here] > 0) == kept).all()
    assert np.array_equal(np.unique(found[found > 0]), np.arange(1, found.max(initial=0) + 1))


def test_holes_are_filled_and_a_cell_inside_a_ring_stays_apart():
    page = np.zeros((9, 9))
    page[1:8, 1:8] = 1
    page[2:7, 2:7] = 0
    page[4, 4] = 1
    filled, open_ = label_objects(page), label_objects(page, fill_holes=False)
    assert filled[2, 2] == 1
    assert filled[4, 4] == 2
    assert open_[2, 2] == 0
    # The area that counts is the filled one.
    assert label_objects(page, smallest=40).max() == 1


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.5}, {"connectivity": 3}, {"smallest": -1}, {"frame": -2}, {"threshold": np.nan}]
)
def test_options_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError, match="expected a threshold"):
        label_objects(np.zeros((4, 4)), **wrong)
    with pytest.raises(UsageError, match="one page"):
        label_objects(np.zeros((2, 4, 4)))


def test_labels_have_16_bits_or_where_these_do_not_suffice_32():
    page = np.zeros((600, 600))
    page[::2, ::2] = 1
    found = label_objects(page)
    assert found.dtype == np.uint32
    assert found.max() == 90_000
    assert label_objects(page[:400, :400]).dtype == np.uint16


@pytest.mark.slow
@settings(max_examples=400)
@given(PAGES)
@example(np.float32([[0, 1, 1, 1], [1, 0, 1, 1], [1, 1, 1, 1]]))
def test_filled_objects_are_those_of_scipy_one_by_one(page):
    bare, filled = label_objects(page, 0.5, fill_holes=False), label_objects(page, 0.5)
    for number in range(1, bare.max(initial=0) + 1):
        here = bare == number
        expected = ndimage.binary_fill_holes(here) & ((bare == 0) | here)
        own = np.unique(filled[here])
        assert len(own) == 1
        # What two rings enclose belongs to one of them.
        assert (filled[expected] > 0).all()
        assert expected[filled == own[0]].all()


MARKERS = st.builds(Markers, level=st.floats(0, 1), blur=st.sampled_from([0.0, 0.5, 1.0, 2.0]))
BUMPS = st.lists(st.tuples(st.integers(0, 23), st.integers(0, 23)), min_size=0, max_size=6)


def bumps(places, size=24):
    """A page of round hills, of which near ones touch."""
    y, x = np.mgrid[:size, :size]
    hills = [np.exp(-((y - a) ** 2 + (x - b) ** 2) / 18) for a, b in places]
    return np.max(hills, axis=0).astype(np.float32) if hills else np.zeros((size, size), np.float32)


def hearts(page, threshold, markers, connectivity):
    """The markers as their definition says, by SciPy, and how many."""
    smooth = ndimage.gaussian_filter(page, markers.blur)
    neighbours = ndimage.generate_binary_structure(2, connectivity)
    return ndimage.label((smooth > markers.level) & (page > threshold), neighbours)


@given(BUMPS.map(bumps) | PAGES, st.floats(0, 1), MARKERS, st.sampled_from([1, 2]))
def test_a_watershed_divides_parts_among_their_markers(page, threshold, markers, connectivity):
    found = label_objects(page, threshold, connectivity=connectivity, fill_holes=False, markers=markers)
    neighbours = ndimage.generate_binary_structure(2, connectivity)
    parts, count = ndimage.label(page > threshold, neighbours)
    seeds, _ = hearts(page, threshold, markers, connectivity)
    assert np.array_equal(found > 0, page > threshold)  # nothing is lost, nothing is won
    for number in range(1, found.max(initial=0) + 1):
        here = found == number
        assert ndimage.label(here, neighbours)[1] == 1
        assert len(np.unique(parts[here])) == 1
        assert len(np.unique(seeds[here & (seeds > 0)])) <= 1
    for part in range(1, count + 1):
        here = parts == part
        inside = np.unique(seeds[here & (seeds > 0)])
        assert len(np.unique(found[here])) == max(1, len(inside))
    firsts = [np.flatnonzero(found.ravel() == n)[0] for n in range(1, found.max(initial=0) + 1)]
    assert firsts == sorted(firsts)


@given(BUMPS.map(bumps), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_with_one_marker_a_part_or_none_markers_change_nothing(page, threshold, level, fill_holes):
    markers = Markers(level, 1.0)
    plain = label_objects(page, threshold, fill_holes=fill_holes)
    found = label_objects(page, threshold, fill_holes=fill_holes, markers=markers)
    parts = ndimage.label(page > threshold)[0]
    seeds, count = hearts(page, threshold, markers, 1)
    if len({int(parts[seeds == n][0]) for n in range(1, count + 1)}) == count:
        assert np.array_equal(found, plain)
    else:
        assert found.max() > plain.max()


def test_two_cells_that_touch_are_told_apart_where_they_are_thinnest():
    page = bumps([(12, 6), (12, 17)])
    assert label_objects(page, 0.2).max() == 1
    found = label_objects(page, 0.2, markers=Markers(0.5, 1.0))
    assert found.max() == 2
    assert set(np.unique(found[:, :11])) == {0, 1}
    assert set(np.unique(found[:, 13:])) == {0, 2}
    # Size and field of interest are those of the divided objects.
    half = int((found == 1).sum())
    assert not label_objects(page, 0.2, markers=Markers(0.5, 1.0), smallest=half + 20).any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_pixel_that_is_no_number_is_no_background(dtype):
    page = bumps([(12, 6), (12, 17)]).astype(dtype)
    page[12, 6:8] = np.nan
    with pytest.raises(ImageValueError, match=f"NaN in 2 of {page.size} pixels; .* put 0 for background"):
        label_objects(page, 0.2)
    assert label_objects(np.nan_to_num(page, nan=0), 0.2).max() == 1


@pytest.mark.parametrize("wrong", [(1.5, 2), (-0.1, 2), (np.nan, 2), (0.5, -1), (0.5, np.nan), (0.5, np.inf)])
def test_markers_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError, match="markers need a level"):
        Markers(*wrong)


def test_a_map_the_other_way_round_is_asked_about(caplog):
    """As the command `label` asks of a file: the background is one object that reaches all borders."""
    page = np.zeros((40, 40), np.float32)
    page[5:15, 5:15] = page[25:35, 20:30] = 0.95
    assert label_objects(page).max() == 2
    assert label_objects(np.pad(np.ones((9, 9)), ((0, 0), (1, 0)))).max() == 1
    assert not caplog.text
    assert label_objects(1 - page).max() == 1
    assert "probability: one object reaches all borders and covers 100% of the page" in caplog.text
    assert "is it the background" in caplog.text
    caplog.clear()
    assert label_objects(1 - page, fill_holes=False).max() == 1
    assert "covers 88% of the page" in caplog.text
