"""Two nearest cells against one distance transform per cell."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.ndimage import distance_transform_edt

from unet2015.errors import LabelError
from unet2015.training import distances
from unet2015.training.distances import compact, each_block


def two_nearest_cells(cells, limit=np.inf, threads=None):
    """Return d1 and d2 of each pixel; infinite without such a cell, or where their sum exceeds the limit."""
    d1, d2 = np.empty(cells.shape), np.empty(cells.shape)
    beyond = sum(cells.shape) - 1  # longer than any distance

    def keep(block, *squares):
        near, next_near = (np.where(q >= beyond**2, np.inf, np.sqrt(q, dtype=np.float64)) for q in squares)
        d1[block], d2[block] = np.where(near + next_near > limit, np.inf, (near, next_near))

    each_block(cells, limit, keep, threads)
    return d1, d2


def brute_force(cells):
    """Sort the distances to all cells: one full transform for each."""
    none = [np.full(cells.shape, np.inf)] * 2
    each = [distance_transform_edt(cells != cell) for cell in np.unique(cells[cells != 0])]
    d1, d2 = np.sort(np.stack(each + none), axis=0)[:2]
    return d1, d2


@st.composite
def cell_images(draw, side=40):
    """Noise, blobs or specks of a few cells, from 1 x 1 upwards, the larger ones of several blocks."""
    shape = draw(npst.array_shapes(min_dims=2, max_dims=2, max_side=side))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    ids = np.concatenate(([0], np.arange(1, draw(st.integers(1, 9)))))
    grain = draw(st.integers(1, 9))
    coarse = random.choice(ids, [-(-length // grain) for length in shape])
    cells = np.kron(coarse, np.ones((grain, grain), coarse.dtype))[: shape[0], : shape[1]]
    return np.where(random.random(shape) < draw(st.sampled_from([1, 0.5, 0.02])), cells, 0)


@pytest.fixture(params=["one block", "many blocks"])
def _blocks(request, monkeypatch):
    if request.param == "many blocks":
        monkeypatch.setattr(distances, "_ROWS", 5)
        monkeypatch.setattr(distances, "_COLUMNS", 7)


@pytest.mark.usefixtures("_blocks")
class TestAgainstBruteForce:
    @given(cells=cell_images())
    @settings(max_examples=80, deadline=None)
    @example(cells=np.zeros((3, 4), int))
    @example(cells=np.ones((3, 4), int))
    @example(cells=np.arange(12).reshape(3, 4))
    @example(cells=np.array([[0, 0, 3, 0, 0, 0, 9, 0]]))
    @example(cells=np.array([[0, 0, 3, 0, 0, 0, 9, 0]]).T)
    @example(cells=np.arange(300)[:, None] % 2 + 1)  # far to look, but nothing is far
    @example(cells=np.arange(300)[None] % 2 + 1)
    def test_without_limit_equal_to_the_last_bit(self, cells):
        np.testing.assert_array_equal(two_nearest_cells(cells), brute_force(cells))

    @pytest.mark.slow
    @given(cells=cell_images(), limit=st.one_of(st.integers(0, 60), st.floats(0, 60)))
    @settings(max_examples=100, deadline=None)
    @example(cells=np.array([[1, 0, 2]]), limit=2)
    def test_within_a_limit_equal_beyond_it_infinite(self, cells, limit):
        d1, d2 = brute_force(cells)
        expected = np.where(d1 + d2 > limit, np.inf, (d1, d2))
        np.testing.assert_array_equal(two_nearest_cells(cells, limit), expected)


@given(
    values=npst.arrays(np.uint8, npst.array_shapes(min_dims=2, max_dims=2, max_side=40)),
    reach=st.integers(0, 50),
)
@settings(max_examples=60, deadline=None)
def test_greatest_above_is_that_of_a_window_of_at_least_reach(values, reach):
    found = distances._greatest_above(values.copy(), reach)
    everything = np.maximum.accumulate(values, axis=0)
    for y in range(len(values)):
        window = values[max(y - reach, 0) : y + 1].max(axis=0)
        assert (found[y] >= window).all()
        assert (found[y] <= everything[y]).all()


def test_at_half_the_limit_from_one_cell_and_farther_from_the_next():
    """limit / 2 is the distance to the first; its square is a little less than the whole number 13."""
    cells = np.zeros((8, 9), np.uint8)
    cells[1, 1], cells[6, 7] = 1, 2
    d1, d2 = brute_force(cells)
    limit = 2 * 13**0.5
    assert d1[3, 4] == 13**0.5 < d2[3, 4]
    expected = np.where(d1 + d2 > limit, np.inf, (d1, d2))
    np.testing.assert_array_equal(two_nearest_cells(cells, limit), expected)


@pytest.mark.slow
def test_blocks_of_the_real_size_join_without_a_seam():
    random = np.random.default_rng(3)
    cells = np.zeros((230, 1100), np.uint16)  # three by two blocks
    cells[random.integers(0, 230, 20), random.integers(0, 1100, 20)] = np.arange(1, 21)
    d1, d2 = brute_force(cells)
    np.testing.assert_array_equal(two_nearest_cells(cells), (d1, d2))
    near = np.where(d1 + d2 > 31.5, np.inf, (d1, d2))
    np.testing.assert_array_equal(two_nearest_cells(cells, 31.5), near)


@pytest.mark.parametrize("length", [12, 300, 1500])
def test_distances_that_need_wider_integers(length):
    """Squared distances up to 8 bits and beyond 8 and 16, across and down."""
    cells = np.zeros((1, length), np.uint8)
    cells[0, :2] = 1, 2
    x = np.arange(length)
    expected = np.array([[np.minimum(x, abs(x - 1))], [np.maximum(x, abs(x - 1))]])
    np.testing.assert_array_equal(two_nearest_cells(cells), expected)
    np.testing.assert_array_equal(two_nearest_cells(cells.T), expected.swapaxes(1, 2))


def test_squared_distances_beyond_32_bits():
    cells = np.zeros((70_000, 1), np.uint8)
    cells[:2, 0] = 1, 2
    d1, d2 = two_nearest_cells(cells)
    assert (d1[-1, 0], d2[-1, 0]) == (69_998, 69_999)


def test_more_cells_than_16_bits_hold():
    cells = np.arange(1, 300 * 300 + 1, dtype=np.uint32).reshape(300, 300)
    d1, d2 = two_nearest_cells(cells)
    assert (d1 == 0).all()
    assert (d2 == 1).all()


@pytest.mark.usefixtures("_blocks")
@given(cells=cell_images(), step=st.sampled_from([1, 1000, 2**28 - 1]), threads=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_neither_numbering_nor_threads_matter(cells, step, threads):
    expected = two_nearest_cells(cells, threads=1)
    shuffled = np.where(cells > 0, (9 - cells) * step, 0).astype(np.uint32)
    np.testing.assert_array_equal(two_nearest_cells(shuffled, threads=threads), expected)


@pytest.mark.parametrize(
    "turn", [np.flipud, np.fliplr, np.transpose, np.rot90], ids=lambda turn: turn.__name__
)
@given(cells=cell_images(), limit=st.floats(1, 30))
@settings(max_examples=20, deadline=None)
def test_turns_with_the_image(turn, cells, limit):
    expected = [turn(d) for d in two_nearest_cells(cells, limit)]
    np.testing.assert_array_equal(two_nearest_cells(turn(cells), limit), expected)


def test_an_image_without_pixels():
    d1, d2 = two_nearest_cells(np.zeros((0, 5), int))
    assert d1.shape == d2.shape == (0, 5)


@given(
    labels=npst.arrays(
        np.uint64, npst.array_shapes(min_dims=1, max_dims=2), elements=st.sampled_from([0, 1, 7, 2**64 - 1])
    )
)
def test_compact_keeps_order_and_zero(labels):
    numbers, values = compact(labels)
    ids = np.unique(np.append(labels.ravel(), np.uint64(0)))
    np.testing.assert_array_equal(ids[numbers], labels)
    np.testing.assert_array_equal(values, np.unique(labels))


@pytest.mark.parametrize(
    "cells",
    [np.zeros((2, 2)), np.zeros((2, 2, 2), int), np.array([[-1, 0]])],
    ids=["float", "3-D", "negative"],
)
def test_refuses_what_is_not_a_plane_of_cells(cells):
    with pytest.raises(LabelError):
        two_nearest_cells(cells)
