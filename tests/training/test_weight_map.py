"""Eq. 2 as published, against one distance transform per cell."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from unet2015.errors import LabelError, UsageError
from unet2015.settings import LabelSettings, WeightMapSettings
from unet2015.training.labels import make_targets
from unet2015.training.weight_map import gap_limit, target_weights, weight_map


def equation_2(cells, w_c, w0=10.0, sigma=5.0, where=None):
    """Eq. 2 with one full distance transform per cell, the second term on `where` (None: outside)."""
    ids = np.unique(cells[cells != 0])
    if ids.size < 2:
        return np.asarray(w_c, float)
    d1, d2 = np.sort([ndimage.distance_transform_edt(cells != i) for i in ids], axis=0)[:2]
    where = cells == 0 if where is None else where
    return w_c + w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2)) * where


def balanced(cells):
    """w_c by its definition, for background and cells."""
    share = np.count_nonzero(cells) / cells.size
    if share in (0, 1):
        return np.ones(cells.shape)
    return np.where(cells > 0, 1 / (2 * share), 1 / (2 * (1 - share)))


@st.composite
def instance_labels(draw):
    """Specks and blobs, touching or apart; ids far from consecutive."""
    height, width = draw(st.tuples(st.integers(1, 50), st.integers(1, 50)))
    ids = draw(st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=6, unique=True))
    if ids == [255]:
        ids = [254]
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    grain = draw(st.integers(1, 12))
    coarse = random.choice([0, *ids], (-(-height // grain), -(-width // grain)))
    labels = np.kron(coarse, np.ones((grain, grain), np.int64))[:height, :width]
    labels = np.where(random.random((height, width)) < draw(st.sampled_from([1, 0.6, 0.03])), labels, 0)
    return np.where(labels == 255, 254, labels).astype(
        draw(st.sampled_from([np.uint32, np.int64, np.uint64]))
    )


@given(
    labels=instance_labels(),
    w0=st.sampled_from([0, 1e-3, 1, 10, 500]),
    sigma=st.floats(0.1, 40) | st.just(1000.0),
)
@settings(max_examples=100, deadline=None)
def test_equals_one_distance_transform_per_cell(labels, w0, sigma):
    everywhere = weight_map(labels, w0, sigma, gaps="everywhere")
    background = weight_map(labels, w0, sigma, gaps="background")
    assert everywhere.dtype == background.dtype == np.float32
    assert everywhere.shape == background.shape == labels.shape
    w_c = balanced(labels)
    np.testing.assert_allclose(everywhere, equation_2(labels, w_c, w0, sigma, where=True), rtol=1e-6)
    np.testing.assert_allclose(background, equation_2(labels, w_c, w0, sigma), rtol=1e-6)
    np.testing.assert_array_equal(weight_map(labels, w0, sigma), background)


@given(labels=instance_labels())
@settings(max_examples=20, deadline=None)
def test_on_background_alone_the_gaps_gain_a_larger_share(labels):
    """What inside cells would take from the gaps goes to them: so no class but 0 gains by w0."""
    plain, background = weight_map(labels, w0=0), weight_map(labels)
    everywhere = weight_map(labels, gaps="everywhere")
    np.testing.assert_array_equal(background[labels > 0], plain[labels > 0])
    np.testing.assert_allclose(background[labels == 0], everywhere[labels == 0], rtol=1e-6)
    shares = [w[labels == 0].sum(dtype=float) / w.sum(dtype=float) for w in (plain, background, everywhere)]
    assert shares[1] >= max(shares) - 1e-6


@given(
    labels=instance_labels(),
    w_c=st.tuples(*[st.sampled_from([0, 1e-12, 1e-3, 1, 1e6])] * 2),
    sigma=st.floats(0.3, 5),
    gaps=st.sampled_from(["background", "everywhere"]),
)
@settings(max_examples=100, deadline=None)
def test_given_class_weights_even_tiny_or_none(labels, w_c, sigma, gaps):
    where = None if gaps == "background" else True
    expected = equation_2(labels, np.where(labels > 0, w_c[1], w_c[0]), 10, sigma, where)
    # Where w_c is 0, exact down to the smallest numbers that a float32 holds with full precision.
    np.testing.assert_allclose(
        weight_map(labels, sigma=sigma, class_weights=w_c, gaps=gaps), expected, rtol=1e-6, atol=1.2e-38
    )


def test_far_gaps_count_when_nothing_else_does():
    labels = np.zeros((1, 60), int)
    labels[0, [0, -1]] = 1, 2
    weights = weight_map(labels, class_weights=(0, 0))
    assert weights[0, 30] == pytest.approx(10 * math.exp(-(59**2) / 50), rel=1e-6)


def test_many_small_cells_on_several_blocks():
    random = np.random.default_rng(0)
    coarse = np.zeros((20, 60), int)
    coarse.flat[random.permutation(coarse.size)[:30]] = np.arange(1, 31)
    labels = np.kron(coarse, np.ones((5, 5), int))
    np.testing.assert_allclose(weight_map(labels), equation_2(labels, balanced(labels)), rtol=1e-6)


def test_by_hand():
    labels = np.array([[1, 0, 0, 2, 2], [0, 0, 0, 0, 0]])
    weights = weight_map(labels, class_weights=(0.5, 2), gaps="everywhere")
    # d1 + d2: own cell 0 + other 3; gap 1 + 2; corner below cell 1: 1 + sqrt(10); far end: 0 + 4
    assert weights[0, 0] == pytest.approx(2 + 10 * math.exp(-9 / 50))
    assert weights[0, 1] == pytest.approx(0.5 + 10 * math.exp(-9 / 50))
    assert weights[1, 0] == pytest.approx(0.5 + 10 * math.exp(-((1 + math.sqrt(10)) ** 2) / 50))
    assert weights[0, 4] == pytest.approx(2 + 10 * math.exp(-16 / 50))
    background = weight_map(labels, class_weights=(0.5, 2))
    np.testing.assert_array_equal(background, np.where(labels > 0, 2, weights))
    plain = weight_map(labels, w0=0)
    np.testing.assert_allclose(plain[labels > 0], 10 / (2 * 3))
    np.testing.assert_allclose(plain[labels == 0], 10 / (2 * 7))


@pytest.mark.parametrize("labels", [np.zeros((4, 5), int), np.full((4, 5), 7), np.eye(5, dtype=int) * 3])
def test_fewer_than_two_cells_leave_w_c(labels):
    np.testing.assert_allclose(weight_map(labels), balanced(labels), rtol=1e-6)


def test_stack_shares_frequencies_but_not_distances():
    labels = np.zeros((3, 12, 15), np.uint16)
    labels[0, 2:5, 2:5], labels[0, 2:5, 7:9] = 1, 2
    labels[1, 4:6, 7:9] = 2
    expected = [equation_2(page, w_c, 10, 5) for page, w_c in zip(labels, balanced(labels), strict=True)]
    np.testing.assert_allclose(weight_map(labels), expected, rtol=1e-6)


@given(labels=instance_labels(), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_ignored_pixels_weigh_nothing_and_count_nowhere(labels, seed):
    ignored = np.random.default_rng(seed).random(labels.shape) < 0.3
    ignored[0, 0] = False
    cells = np.where(ignored, 0, labels)
    weights = weight_map(np.where(ignored, 255, labels), ignore=255)
    assert (weights[ignored] == 0).all()
    w_c = np.zeros(labels.shape)
    w_c[~ignored] = balanced(cells[~ignored])
    np.testing.assert_allclose(weights[~ignored], equation_2(cells, w_c)[~ignored], rtol=1e-6)


def test_everything_ignored():
    assert not weight_map(np.full((3, 3), 9), ignore=9).any()


@given(labels=instance_labels())
@settings(max_examples=30, deadline=None)
def test_balanced_weights_have_mean_one(labels):
    weights = weight_map(labels, w0=0)
    assert weights.mean(dtype=float) == pytest.approx(1, rel=1e-6)
    sums = [weights[labels == 0].sum(dtype=float), weights[labels > 0].sum(dtype=float)]
    if min(sums) > 0:
        assert sums[0] == pytest.approx(sums[1], rel=1e-5)


@given(labels=instance_labels(), sigma=st.floats(0.5, 9))
@settings(max_examples=20, deadline=None)
def test_numbering_flips_and_transposition(labels, sigma):
    weights = weight_map(labels, sigma=sigma)
    values, inverse = np.unique(labels, return_inverse=True)
    renumbered = np.where(values == 0, 0, 1000 - np.arange(values.size))[inverse].reshape(labels.shape)
    np.testing.assert_array_equal(weight_map(renumbered, sigma=sigma), weights)
    for turn in (np.flipud, np.fliplr, np.transpose):
        np.testing.assert_array_equal(weight_map(turn(labels), sigma=sigma), turn(weights))


@pytest.mark.parametrize("foreground", [True, 255, 1, 3])
def test_membrane_cells_are_4_connected(foreground):
    interior = np.array(
        [
            [1, 1, 0, 1, 1, 1],
            [1, 0, 0, 1, 1, 1],
            [0, 1, 1, 0, 0, 0],
            [0, 1, 1, 0, 1, 1],
        ]
    )
    cells, count = ndimage.label(interior)
    assert count == 4
    labels = interior * foreground if foreground is not True else interior.astype(bool)
    kind = {} if foreground is True else {"kind": "membrane"}
    np.testing.assert_allclose(weight_map(labels, **kind), equation_2(cells, balanced(cells)), rtol=1e-6)


def test_classes_have_weights_and_cells_of_their_own():
    labels = np.zeros((9, 20), np.uint8)
    labels[1:4, 1:5], labels[1:4, 5:8], labels[5:8, 12:15], labels[0, 19] = 1, 3, 1, 9
    cells = np.zeros((9, 20), int)
    cells[1:4, 1:5], cells[1:4, 5:8], cells[5:8, 12:15] = 1, 2, 3
    annotated = labels != 9
    w_c = np.zeros(labels.shape)
    for value in (0, 1, 3):
        w_c[labels == value] = annotated.sum() / (3 * (labels == value).sum())
    weights = weight_map(labels, kind="classes", ignore=9)
    np.testing.assert_allclose(weights[annotated], equation_2(cells, w_c)[annotated], rtol=1e-6)
    assert weights[0, 19] == 0
    # Class 0 is the background; every other class has cells, and no gaps.
    everywhere = weight_map(labels, kind="classes", ignore=9, gaps="everywhere")
    expected = equation_2(cells, w_c, where=True)
    np.testing.assert_allclose(everywhere[annotated], expected[annotated], rtol=1e-6)
    assert everywhere[0, 19] == 0
    given_weights = weight_map(labels, w0=0, kind="classes", ignore=9, class_weights=(1, 2, 3, 4))
    np.testing.assert_array_equal(given_weights[annotated], labels[annotated] + 1)


def test_whole_numbers_in_floats_are_labels():
    labels = np.array([[1, 0, 2], [0, 0, 2]])
    np.testing.assert_array_equal(weight_map(labels.astype(np.float32)), weight_map(labels))


@pytest.mark.parametrize(
    ("labels", "more", "hint"),
    [
        (np.array([[0, 255]], np.uint8), {}, 'kind = "mask"'),
        (np.array([[0, -1]]), {}, "ignore = -1"),
        (np.array([[0, 0.5]]), {}, "0.5"),
        (np.array([[0, np.nan]]), {"kind": "classes"}, "nan"),
        (np.array([[0, 255]]), {"kind": "classes"}, "255"),
        (np.array([0, 1]), {}, "shape"),
        (np.zeros((0, 3, 3), int), {}, "shape"),
        (np.zeros((9, 8, 3), int), {}, "np.moveaxis.*pages of 8 x 3 px"),
        (np.zeros((9, 8, 4), bool), {}, "np.moveaxis"),
    ],
)
def test_refuses_labels_that_are_none(labels, more, hint):
    with pytest.raises(LabelError, match=hint):
        weight_map(labels, **more)


@pytest.mark.parametrize(
    ("more", "hint"),
    [
        ({"w0": -1}, "w0"),
        ({"w0": 1e300}, "w0"),
        ({"class_weights": (1, 1e39)}, "class_weights"),
        ({"sigma": 0}, "sigma"),
        ({"sigma": math.nan}, "sigma"),
        ({"kind": "cells"}, "kind"),
        ({"class_weights": (1, -1)}, "class_weights"),
        ({"class_weights": (1,)}, "class weights"),
        ({"class_weights": "equal"}, "class_weights"),
        ({"gaps": "borders"}, "gaps = 'borders'.*'background' or 'everywhere'"),
    ],
)
def test_refuses_parameters_out_of_range(more, hint):
    with pytest.raises(UsageError, match=hint):
        weight_map(np.array([[0, 1]]), **more)


def test_the_largest_weights_are_finite():
    result = weight_map(np.array([[1, 0, 2]]), w0=1e30, sigma=1e3, class_weights=(1e30, 1e30))
    np.testing.assert_allclose(result, [[1e30, 2e30, 1e30]], rtol=1e-4)


def test_training_uses_the_weights_of_the_whole_set():
    targets = make_targets(np.array([[1, 1, 2, 0, 7]]), LabelSettings(ignore=7), "page")
    weights = target_weights(targets, WeightMapSettings(sigma=2), (0.5, 3.0))
    # The separation border is drawn: cell 2 lost its only pixel, so that no gap is left.
    np.testing.assert_array_equal(weights, np.array([[3, 3, 0.5, 0.5, 0]], np.float32))
    # Weights beyond the last possible class never reach the ignored pixels.
    assert target_weights(targets, WeightMapSettings(), (1.0,) * 300)[0, 4] == 0


def test_training_puts_the_gaps_where_the_settings_say():
    labels = np.array([[1, 1, 0, 2, 2, 0, 7]])
    targets = make_targets(labels, LabelSettings(ignore=7), "page")
    background = target_weights(targets, WeightMapSettings(), (0.5, 3.0))
    everywhere = target_weights(targets, WeightMapSettings(gaps="everywhere"), (0.5, 3.0))
    assert (background[:, [0, 1, 3, 4]] == 3).all()
    assert (everywhere[:, [0, 1, 3, 4]] > 3.5).all()
    np.testing.assert_array_equal(background[:, [2, 5, 6]], everywhere[:, [2, 5, 6]])
    assert background[0, 2] > 5
    assert background[0, 6] == 0


def test_huge_sigma_is_the_same_weight_everywhere():
    np.testing.assert_allclose(
        weight_map(np.array([[1, 0, 0, 2]]), sigma=1e300, class_weights=(0, 0), gaps="everywhere"), 10
    )
    assert gap_limit(0, 5, 1) == gap_limit(1e-9, 5, 1) == 0
    assert gap_limit(10, 5, 0) > 2 * gap_limit(10, 5, 0.5)
