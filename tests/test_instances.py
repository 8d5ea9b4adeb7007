"""Objects from probabilities: against SciPy, and the choices one by one."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from unet2015.errors import DataSetError, UsageError
from unet2015.instances import label_objects

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


def test_more_objects_than_16_bits_hold_are_refused():
    page = np.zeros((600, 600))
    page[::2, ::2] = 1
    with pytest.raises(DataSetError, match="90000 objects"):
        label_objects(page)


@settings(max_examples=1000)
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
