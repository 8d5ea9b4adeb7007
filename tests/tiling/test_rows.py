"""Rows of tiles that are kept in few bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unet2015.tiling import rows
from unet2015.tiling.rows import Packed, Rows


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=3),
    st.integers(1, 20),
    st.sampled_from([(), (1,), (3,)]),
    st.sampled_from([0, 1, 2, 3, 15, 16, 255]),
    st.sampled_from(["u1", "f4"]),
    st.integers(1, 9),
)
def test_rows_are_those_that_were_packed(widths, height, planes, largest, dtype, block):
    random = np.random.default_rng(0)
    tiles = [random.integers(0, largest + 1, (*planes, height, width)).astype(dtype) for width in widths]
    expected = np.concatenate(tiles, axis=-1)
    kept = Rows([Packed(tile) for tile in tiles])
    for tile in tiles:
        tile[...] = 99  # they are copied
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "BLOCK", block)
        parts = list(kept.blocks())
    assert (kept.shape, kept.dtype) == (expected.shape, expected.dtype)
    assert {part.shape[-2] for part in parts[:-1]} <= {block}
    for found in (np.asarray(kept), np.concatenate(parts, axis=-2)):
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)


@pytest.mark.parametrize(("classes", "bits"), [(1, 0), (2, 1), (3, 2), (4, 2), (16, 4), (17, 8)])
def test_classes_take_as_few_bits_as_they_need(classes, bits):
    pixels = (np.arange(64 * 64) % classes).astype(np.uint8).reshape(64, 64)
    packed = Packed(pixels)
    arrays = [*(packed._bits or []), *([] if packed._bits is not None else [packed._pixels])]
    assert sum(array.nbytes for array in arrays) == 64 * 64 * bits // 8
