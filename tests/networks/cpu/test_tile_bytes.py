"""A pixel has the same bits in every tile of a network's own geometry, the smallest included.

On processors with AMX it has the same value up to rounding: there oneDNN sums in another order for another
number of rows, also in plain convolutions of torch.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks.cpu.networks import VARIANTS, image_for, made
from unet2015.device import has_matrix_units
from unet2015.networks.cpu.row_strips import RowStripUNet
from unet2015.networks.cpu.winograd_layers import tile_geometry

ROUNDING = {torch.float32: 1e-6, torch.bfloat16: 2e-2}
"""What the package promises of tiles, next to the largest score."""

sides = st.tuples(st.integers(0, 6), st.integers(0, 6))


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 2**32),
    st.tuples(st.integers(1, 3), st.integers(2, 3), st.sampled_from([4, 8, 12, 16]), st.integers(1, 3)),
    st.sampled_from(VARIANTS),
    st.lists(st.tuples(sides, sides), min_size=1, max_size=3),
    st.tuples(st.integers(300, 200_000), st.integers(1, 60)),
)
def test_tiles_have_the_bits_of_the_whole_image(seed, shape, variant, tiles, cuts):
    same_in_tiles(made(seed, *shape, variant), seed, tiles, cuts)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tile", [(0, 0), (1, 0), (0, 2)])
def test_so_they_do_with_winograd_and_the_many_channels_of_the_paper_s_depth(tile, dtype):
    same_in_tiles(made(3, 1, 2, 16, 4), 3, [(tile, (1, 1))], dtype=dtype)


def same_in_tiles(network, seed, tiles, cuts=(), dtype=None):
    """Assert that tiles of some more steps, from some steps on, have the bits of an image that holds them."""
    geometry = tile_geometry(network)
    lost, whole = 2 * geometry.margin, RowStripUNet(network, dtype)
    most = [max(more[side] + start[side] for more, start in tiles) + 1 for side in (0, 1)]
    image = image_for(network, seed, most, geometry=geometry).float()
    scores, compute = whole(image), RowStripUNet(network, dtype, *cuts)
    for more, start in tiles:
        height, width = (geometry.smallest + geometry.factor * steps for steps in more)
        y, x = (geometry.factor * steps for steps in start)
        found = compute(image[:, :, y : y + height, x : x + width])
        expected = scores[:, :, y : y + height - lost, x : x + width - lost]
        if has_matrix_units():
            most_off = ROUNDING[dtype or torch.float32] * float(scores.abs().max())
            assert float((found - expected).abs().max()) <= most_off
        else:
            assert torch.equal(found, expected)
