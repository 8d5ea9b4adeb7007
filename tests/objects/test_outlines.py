"""Outlines are closed lines along the edges of pixels, whose polygons are exactly the objects."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from tests.objects.array_labels import ArrayLabels
from unet2015.objects.outlines import outlines, shoelace

SHAPES = st.tuples(st.just(1), st.integers(1, 9), st.integers(1, 9))
SOME = arrays.arrays(np.uint16, SHAPES, elements=st.sampled_from([0, 1, 1, 2, 7]))


def found(array, rows=None, page=0):
    labels = ArrayLabels(array, rows)
    return {one.number: one.polygons for one in outlines(labels, page, labels.bottoms(page))}


def winding(polygons, shape):
    """How often the rings go around each pixel: by their vertical lines, at the left of it."""
    around = np.zeros((shape[0], shape[1] + 1), int)
    for ring in (ring for polygon in polygons for ring in polygon):
        for (x, y), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if x == x1:
                around[min(y, y1) : max(y, y1), x] += np.sign(y - y1)
    return around.cumsum(axis=1)[:, :-1]


def is_a_simple_ring(ring):
    """Whether lines are upright and level in turn, and no corner comes twice."""
    steps = np.roll(ring, -1, axis=0) - ring
    level = steps[:, 1] == 0
    turning = (level != np.roll(level, 1)).all() and ((steps != 0).sum(axis=1) == 1).all()
    return turning and len(np.unique(ring, axis=0)) == len(ring)


@given(SOME, st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_polygons_are_the_objects_whatever_the_strips(array, rows):
    names = ArrayLabels(array).names(0)
    polygons = found(array, rows)
    assert sorted(polygons) == list(range(1, len(names) + 1))
    for number, pieces in polygons.items():
        here = array[0] == names[number - 1]
        assert np.array_equal(winding(pieces, here.shape), here)
        assert sum(shoelace(ring) for piece in pieces for ring in piece) == here.sum()
        parts, count = ndimage.label(here)
        assert len(pieces) == count  # a polygon for each piece whose pixels share edges
        for piece in pieces:
            assert all(is_a_simple_ring(ring) for ring in piece)
            assert [shoelace(ring) > 0 for ring in piece] == [True] + [False] * (len(piece) - 1)
            inside = winding([piece], here.shape)
            assert np.array_equal(inside, parts == parts[inside > 0][0])
            holes = ndimage.label(np.pad(~(inside > 0), 1, constant_values=True))[1] - 1
            assert len(piece) - 1 == holes
    whole = found(array)
    for number, pieces in polygons.items():
        assert [[ring.tolist() for ring in piece] for piece in pieces] == [
            [ring.tolist() for ring in piece] for piece in whole[number]
        ]


def test_a_square_has_four_corners_clockwise_from_the_upper_left():
    array = np.zeros((1, 5, 6), np.uint8)
    array[0, 1:3, 2:5] = 4
    assert [ring.tolist() for ring in found(array)[1][0]] == [[[2, 1], [5, 1], [5, 3], [2, 3]]]


@pytest.mark.parametrize("page", [0, 1])
def test_pages_have_their_own_objects(page):
    array = np.zeros((2, 4, 4), np.uint8)
    array[0, :2], array[1, 2:, 1:3], array[1, 0, 3] = 1, 1, 2
    assert len(found(array, 1, page)) == page + 1


def test_no_objects_no_outlines():
    assert found(np.zeros((1, 4, 4), np.uint8), 2) == {}


def test_a_hole_belongs_to_the_innermost_piece_around_it():
    array = np.zeros((1, 9, 9), np.uint8)
    for side in (0, 2, 4):  # rings of one object inside each other, which do not touch
        array[0, side : 9 - side, side : 9 - side] = 1
        array[0, side + 1 : 8 - side, side + 1 : 8 - side] = 0
    array[0, 4, 4] = 1
    pieces = found(array, 2)[1]
    sizes = [[abs(shoelace(ring)) for ring in piece] for piece in pieces]
    assert sorted(sizes) == [[1], [25, 9], [81, 49]]
