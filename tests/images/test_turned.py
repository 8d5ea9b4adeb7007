"""Mirrored and turned copies of a page are known, as in sets that were augmented before."""

import numpy as np
import pytest

from unet2015.images.turned import TurnedDigest

RANDOM = np.random.default_rng(0)
TURNS = [
    lambda page, k=k, flip=flip: np.rot90(page[..., ::-1] if flip else page, k, (-2, -1))
    for k in range(4)
    for flip in (False, True)
]


def digests(page, rows=3):
    found = TurnedDigest()
    for top in range(0, page.shape[1], rows):
        found.update(page[:, top : top + rows])
    return found.digests()


def digest(page, rows=3):
    return digests(page, rows).turned


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 8, 11), (3, 7, 7), (1, 1, 9)])
def test_the_eight_copies_of_a_page_are_alike_in_any_bands_and_no_other_page(dtype, shape):
    page = (RANDOM.random(shape) * 100).astype(dtype)
    assert {digest(turn(page), rows) for turn in TURNS for rows in (1, 3, 20)} == {digest(page)}
    others = [RANDOM.permuted(page, axis=2), page + 1, np.roll(page, 1, axis=2), page[:, :, 1:]]
    assert digest(page) not in {digest(other) for other in others}
    if shape[0] > 1:
        assert digest(page[::-1]) != digest(page)


@pytest.mark.parametrize("dtype", [np.uint8, ">u2", np.float32])
def test_copies_are_told_from_mirrored_ones_in_any_bands(dtype):
    page = (RANDOM.random((2, 9, 9)) * 100).astype(dtype)
    assert {digests(page, rows) for rows in (1, 3, 20)} == {digests(page)}
    turned = [digests(turn(page)).exact for turn in TURNS]
    assert turned.count(digests(page).exact) == 1
    assert digests(page.astype(page.dtype.newbyteorder("="))) == digests(page)


def test_equal_sums_of_other_values_are_no_copy():
    one = np.array([[[1, 3], [3, 1]]], np.uint8)
    other = np.array([[[2, 2], [2, 2]]], np.uint8)
    assert digest(one) != digest(other)


def test_equal_values_are_equal_in_any_type():
    values = RANDOM.integers(0, 100, (2, 9, 9))
    kinds = (np.uint8, ">u2", np.int32, np.float16, np.float32, np.float64)
    assert len({digests(values.astype(kind)) for kind in kinds}) == 1
    assert digests((values - 50).astype(np.int16)) == digests((values - 50).astype(np.float32))
    assert digests(values * np.float32(-0.0)) == digests(values * 0)
    assert digests(values / 255) != digests(values)


def test_what_models_keep_stays_the_same():
    """It is in their files: another way to compute it would know none of their pages."""
    assert digests(np.arange(24, dtype=np.uint8).reshape(2, 3, 4)).short == "f3784848aac7e7fe"
