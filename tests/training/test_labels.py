"""Labels read as the settings say, and what is said about those that cannot be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from unet2015.errors import LabelError
from unet2015.settings import LabelSettings
from unet2015.training.checks.annotated import file_notes
from unet2015.training.labels import (
    IGNORED,
    balanced_weights,
    class_frequencies,
    holds_ids,
    make_targets,
    separation_border,
)

INSTANCES = LabelSettings(separation_border=False)
MEMBRANE = LabelSettings(kind="membrane")
MASK = 'kind = "mask" .--label-kind mask. if 0 is background, "membrane" if'

few_cells = npst.arrays(
    np.uint16,
    npst.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.sampled_from([0, 3, 5, 60_000]),
)


def border_pixel_by_pixel(labels):
    """The plugin's rule, read aloud."""
    out = labels.copy()
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            for v, u in ((y - 1, x - 1), (y - 1, x), (y - 1, x + 1), (y, x - 1)):
                if v >= 0 and 0 <= u < width and labels[v, u] not in (0, labels[y, x]):
                    out[y, x] = 0
    return out


class TestSeparationBorder:
    @given(labels=few_cells)
    @settings(deadline=None)
    def test_is_the_plugins_rule(self, labels):
        drawn = separation_border(labels)
        np.testing.assert_array_equal(drawn, border_pixel_by_pixel(labels))
        assert drawn.dtype == labels.dtype

    @given(labels=few_cells)
    @settings(deadline=None)
    def test_afterwards_no_two_cells_touch(self, labels):
        drawn = np.pad(separation_border(labels), 1)
        for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
            other = np.roll(drawn, shift, (0, 1))
            assert not ((drawn != other) & (drawn != 0) & (other != 0)).any()
        np.testing.assert_array_equal(separation_border(drawn), drawn)

    def test_by_hand(self):
        labels = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [0, 3, 0, 0]])
        np.testing.assert_array_equal(separation_border(labels), [[1, 1, 0, 2], [1, 0, 0, 2], [0, 0, 0, 0]])

    def test_pages_by_themselves(self):
        stack = np.array([[[1, 1]], [[2, 2]]])
        np.testing.assert_array_equal(separation_border(stack), stack)

    def test_ignored_pixels_stay_and_separate_nothing(self):
        labels = np.array([[1, 9, 2, 3]])
        np.testing.assert_array_equal(separation_border(labels, ignore=9), [[1, 9, 2, 0]])


class TestTargets:
    def test_instances(self):
        labels = np.array([[70_000, 70_000, 0], [2**31 - 1, 9, 9]], np.uint32)
        targets = make_targets(labels, INSTANCES.model_copy(update={"ignore": 9}), "a.tif")
        np.testing.assert_array_equal(targets.classes, [[1, 1, 0], [1, IGNORED, IGNORED]])
        np.testing.assert_array_equal(targets.cells, [[1, 1, 0], [2, 0, 0]])
        assert (targets.classes.dtype, targets.cells.dtype) == (np.uint8, np.int32)

    def test_instances_with_separation_border(self):
        targets = make_targets(np.array([[4, 4, 6, 6]]), LabelSettings(), "a.tif")
        np.testing.assert_array_equal(targets.classes, [[1, 1, 0, 1]])
        np.testing.assert_array_equal(targets.cells, [[1, 1, 0, 2]])

    def test_membrane(self):
        labels = np.array([[255, 0, 255], [0, 255, 128]], np.uint8)
        targets = make_targets(labels, LabelSettings(kind="membrane", ignore=128), "a.tif")
        np.testing.assert_array_equal(targets.classes, [[1, 0, 1], [0, 1, IGNORED]])
        np.testing.assert_array_equal(targets.cells, [[1, 0, 2], [0, 3, 0]])

    def test_mask(self):
        labels = np.array([[255, 0, 7], [0, 255, 128]], np.uint8)
        targets = make_targets(labels, LabelSettings(kind="mask", ignore=128), "a.tif")
        np.testing.assert_array_equal(targets.classes, [[1, 0, 1], [0, 1, IGNORED]])
        np.testing.assert_array_equal(targets.cells, [[1, 0, 2], [0, 3, 0]])
        for touching in ([[True, True, False]], [[1, 2, 0]], [[0.0, 3.0, 255.0]]):
            assert make_targets(np.array(touching), LabelSettings(kind="mask"), "a.tif").cells.max() == 1

    def test_membrane_of_one_bit(self):
        targets = make_targets(np.array([[True, False]]), MEMBRANE, "a.tif")
        np.testing.assert_array_equal(targets.classes, [[1, 0]])

    def test_classes(self):
        labels = np.array([[1, 2, 0], [1, 2, -1]])
        targets = make_targets(labels, LabelSettings(kind="classes", classes=3, ignore=-1), "a.tif")
        np.testing.assert_array_equal(targets.classes, [[1, 2, 0], [1, 2, IGNORED]])
        np.testing.assert_array_equal(targets.cells, [[1, 2, 0], [1, 2, 0]])

    def test_the_labels_are_left_alone(self):
        labels = np.array([[1, 2, 9]])
        make_targets(labels, LabelSettings(ignore=9), "a.tif")
        np.testing.assert_array_equal(labels, [[1, 2, 9]])

    @pytest.mark.parametrize(
        ("labels", "coding", "hint"),
        [
            ([[0, 255]], INSTANCES, MASK),
            ([[255, 255]], INSTANCES, MASK),
            ([[False, True]], INSTANCES, MASK),
            ([[0, -3]], INSTANCES, "ignore = -3"),
            ([[0, 1.5]], MEMBRANE, "1.5"),
            ([[0, np.inf]], MEMBRANE, "inf"),
            ([[0, 2.0**60]], MEMBRANE, "whole numbers"),
            ([[0, 255]], LabelSettings(kind="classes", classes=3), "0 to 2.*255"),
            ([[0, 1j]], MEMBRANE, "complex"),
            ([[[0, 1]]], MEMBRANE, "YX"),
            ([[]], MEMBRANE, "YX"),
        ],
    )
    def test_refusals_name_the_file_and_what_to_do(self, labels, coding, hint):
        with pytest.raises(LabelError, match=f"a.tif.*{hint}"):
            make_targets(np.array(labels), coding, "a.tif")

    @given(
        labels=npst.arrays(np.uint8, (5, 6), elements=st.integers(0, 4)),
        ids=st.permutations([255, 254, 256, 511, 65_535, 1]),
        ignore=st.booleans(),
        border=st.booleans(),
    )
    @settings(max_examples=50)
    def test_what_the_ids_are_changes_nothing(self, labels, ids, ignore, border):
        # An id of 255 above all, which is the class of ignored pixels and the value of a mask.
        coding = LabelSettings(ignore=7 if ignore else None, separation_border=border)
        named = np.array([0, *ids[:3], 7 if ignore else ids[3]], np.uint16)[labels]
        expected = make_targets(np.where(labels == 4, 7, labels) if ignore else labels, coding, "a.tif")
        targets = make_targets(named, coding, "a.tif", numbered=True)
        np.testing.assert_array_equal(targets.classes, expected.classes)
        assert (targets.classes == IGNORED).any() == (ignore and (labels == 4).any())
        both = np.stack([targets.cells.ravel(), expected.cells.ravel()], axis=1)
        assert len(np.unique(both, axis=0)) == len(np.unique(both[:, 0])) == len(np.unique(both[:, 1]))

    def test_255_is_an_id_where_other_pages_have_ids(self):
        page = np.array([[0, 255], [255, 255]], np.uint8)
        with pytest.raises(LabelError, match="mask"):
            make_targets(page, LabelSettings(), "a.tif")
        targets = make_targets(page, LabelSettings(), "a.tif", numbered=True)
        np.testing.assert_array_equal(targets.cells, [[0, 1], [1, 1]])
        np.testing.assert_array_equal(targets.classes, [[0, 1], [1, 1]])

    @pytest.mark.parametrize(
        ("labels", "ignore", "ids"),
        [
            ([0, 255], None, False),
            ([0, 0], None, False),
            ([1, 255], None, True),
            ([0, 7, 255], 7, False),
            ([-1, 255, 254], -1, True),
        ],
    )
    def test_a_mask_shows_no_ids(self, labels, ignore, ids):
        assert holds_ids(np.array([labels]), LabelSettings(ignore=ignore)) == ids

    def test_half_floats_are_read_too(self):
        targets = make_targets(np.array([[0, 2]], np.float16), INSTANCES, "a.tif")
        np.testing.assert_array_equal(targets.cells, [[0, 1]])


class TestClassWeights:
    def test_frequencies_leave_out_what_is_ignored(self):
        coding = LabelSettings(kind="classes", classes=4, ignore=9)
        targets = make_targets(np.array([[0, 1, 1, 3, 9]]), coding, "a.tif")
        np.testing.assert_array_equal(class_frequencies(targets, 4), [1, 2, 0, 1])

    def test_balanced_by_hand(self):
        assert balanced_weights([1, 3]) == (2.0, 4 / 6)
        assert balanced_weights([5, 0, 5]) == (1.0, 1.0, 1.0)
        assert balanced_weights([0, 0]) == (1.0, 1.0)

    @given(counts=st.lists(st.integers(0, 10**12), min_size=1, max_size=9))
    def test_classes_weigh_the_same_and_one_on_average(self, counts):
        weights = balanced_weights(counts)
        total = sum(counts)
        sums = [count * weight for count, weight in zip(counts, weights, strict=True) if count]
        assert sum(sums) == pytest.approx(total)
        assert all(each == pytest.approx(total / len(sums)) for each in sums)


@given(
    labels=npst.arrays(np.uint8, npst.array_shapes(min_dims=2, max_dims=2), elements=st.integers(0, 12)),
    classes=st.integers(1, 14),
)
def test_frequencies_are_those_that_bincount_gives(labels, classes):
    coding = LabelSettings(kind="classes", classes=13, ignore=12)
    expected = np.bincount(labels[labels != 12], minlength=20)[:classes]
    np.testing.assert_array_equal(
        class_frequencies(make_targets(labels, coding, "labels"), classes), expected
    )


def test_the_advice_for_values_beyond_the_classes_fits_them():
    settings = LabelSettings(kind="classes", classes=3)
    for values, helps, harms in (
        ([0, 255], "write 1 for 255", "ignore = 255"),  # a mask; to ignore its cells would leave background
        ([0, 1, 5], "set classes = 6", ""),
        ([0, 1, 255], "set ignore = 255", "set classes"),  # more classes than there may be
    ):
        with pytest.raises(LabelError, match=helps) as raised:
            make_targets(np.array([values], np.uint8), settings, "a.tif")
        assert not harms or harms not in str(raised.value)


def test_a_background_of_minus_one_gets_advice_that_can_be_followed():
    page = np.full((9, 9), -1, np.int16)
    page[2:5, 2:5] = 1
    with pytest.raises(LabelError, match="if it is the background, save that as 0"):
        make_targets(page, LabelSettings(), "a.tif")
    settings = LabelSettings(ignore=-1)
    notes = [*file_notes(page, np.array([[0, 9]]), settings, "a.tif")]
    assert notes[0].endswith(
        "if -1 means background, leave out --ignore -1, and save it as a number from 0 on"
    )


@pytest.mark.parametrize("page", [np.eye(9, dtype=bool), np.eye(9, dtype=np.uint8) * 255])
def test_a_mask_is_not_called_membrane_without_a_condition(page):
    with pytest.raises(LabelError, match=r"mask\) if 0 is background, .membrane. if 0 is the membrane"):
        make_targets(page, LabelSettings(), "a.tif")
