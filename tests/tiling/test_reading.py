"""What a tile shows of an image."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import ArraySource
from unet2015.networks.unet2015 import UNet
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.reading import read_tile


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
