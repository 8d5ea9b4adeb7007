"""What a tile shows of an image."""

import mmap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import ArraySource
from unet2015 import large_arrays
from unet2015.networks.unet2015 import UNet
from unet2015.tiling import reading
from unet2015.tiling.plan import TilePlan, mirror
from unet2015.tiling.reading import joined, read_tile


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_read_tile_is_a_window_on_the_padded_image(height, width, data):
    geometry = UNet(1, 2, 1, 2).geometry
    array = np.random.default_rng(0).random((1, 2, height, width))
    side = geometry.input_for(8)
    plan = TilePlan(1, height, width, (side, side), 1, geometry)
    tile = plan.tile_at(data.draw(st.integers(0, plan.tiles - 1)))
    edges = [(0, 0), (0, 0), (geometry.margin, side), (geometry.margin, side)]
    padded = np.pad(array, edges, mode="reflect")[0]
    y, x = tile.row.kept_start, tile.column.kept_start
    expected = padded[:, y : y + side, x : x + side]
    assert np.array_equal(read_tile(ArraySource(array), tile, height, width), expected)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_tiles_are_joined_as_by_an_index(data):
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    image = np.arange(2 * height * width).reshape(2, height, width)
    sides = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 30))
    regions, indices, expected = [], [], []
    for _ in range(data.draw(st.integers(1, 3))):
        starts = [data.draw(st.integers(-40, 20)) for _ in range(2)]
        rows, columns = (
            mirror(start, start + side, length)
            for start, side, length in zip(starts, sides, image.shape[1:], strict=True)
        )
        y, x = rows.min(), columns.min()
        regions.append(image[:, y : rows.max() + 1, x : columns.max() + 1])
        indices.append((rows - y, columns - x))
        expected.append(image[:, rows[:, None], columns])
    found = joined(regions, indices)
    assert found.dtype == image.dtype
    assert np.array_equal(found, expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_ROWS", 3)
        patch.setattr(large_arrays, "_LARGE", data.draw(st.sampled_from([1, 10**9])))
        mapped = joined(regions, indices, lambda number, pixels: pixels - 0.5 * number)
    assert mapped.dtype == np.float64
    assert np.array_equal(mapped, [one - 0.5 * number for number, one in enumerate(expected)])


def test_a_large_tile_is_no_part_of_the_heap():
    """Such as each thread has one, so that each would keep the tiles that it has read."""
    region, rows, columns = np.zeros((1, 3, 2), np.float32), np.arange(3), np.arange(2)
    bases = []
    with pytest.MonkeyPatch.context() as patch:
        for least in (24, 25):
            patch.setattr(large_arrays, "_LARGE", least)
            tiles = joined([region], [(rows, columns)])
            assert tiles.flags.writeable
            bases.append(tiles.base is not None)
    assert bases == [hasattr(mmap, "MAP_PRIVATE"), False]


@pytest.mark.parametrize(("start", "stop"), [(0, 9), (-4, 1), (9, 12), (8, 9), (2, 3)])
def test_what_is_mirrored_once_is_a_view(start, stop):
    """So that it is copied in blocks, not pixel by pixel."""
    region = np.arange(90).reshape(1, 9, 10)
    rows = mirror(start, stop, 9)
    for columns in (np.arange(10), np.arange(3, -1, -1)):
        found = reading._pixels(region, rows, columns)
        assert np.shares_memory(found, region)
        assert np.array_equal(found, region[:, rows[:, None], columns])


def test_memory_that_there_is_not_is_an_error_of_memory():
    with pytest.raises(MemoryError):
        large_arrays.large_array((2**55,), np.uint8)
