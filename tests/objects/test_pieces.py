"""Objects in several pieces, found strip by strip as on the whole page."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from unet2015.metrics.several_pieces import several_pieces
from unet2015.objects.pieces import Pieces


def found(labels, rows):
    pieces = Pieces(labels.shape[1])
    for top in range(0, len(labels), rows):
        pieces.add(labels[top : top + rows])
    return pieces.several()


@settings(max_examples=300, deadline=None)
@given(
    arrays.arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)),
    st.integers(1, 9),
)
def test_they_are_those_of_the_whole_page(labels, rows):
    assert found(labels, rows) == several_pieces(labels)


def test_a_ring_that_closes_in_the_last_strip_is_one_piece():
    labels = np.zeros((9, 9), np.uint32)
    labels[1:8, 1] = labels[1:8, 7] = labels[7, 1:8] = 4_000_000_000
    assert found(labels, 2) == []
    labels[7, 4] = 0
    assert found(labels, 2) == [4_000_000_000]


def test_the_ends_of_rows_do_not_touch():
    labels = np.array([[0, 0, 5], [5, 0, 0], [0, 0, 0]], np.uint8)
    assert found(labels, 3) == found(labels, 1) == [5]
    assert found(np.zeros((3, 4), np.uint8), 2) == []
    assert Pieces(3).several() == []
