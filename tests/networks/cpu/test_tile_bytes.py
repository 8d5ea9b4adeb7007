"""A pixel has the same bits in every tile of a network's own geometry, the smallest included.

On processors with AMX it has the same value up to rounding: there oneDNN sums in another order for another
number of rows, also in plain convolutions of torch.
"""

import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks.cpu.networks import VARIANTS, image_for, made, winograd_from
from unet2015.device import has_matrix_units, multiplies_bfloat16
from unet2015.networks.cpu.packed_weights import can_pack
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


def test_held_to_avx_512_they_do_in_bfloat16_on_every_machine():
    """As up-convolutions are composed with the convolutions after them wherever bfloat16 is multiplied."""
    code = "from tests.networks.cpu import test_tile_bytes as t; t.check_without_matrix_units()"
    held = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=held, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def check_without_matrix_units():
    """Compare bits in bfloat16, also where some layers are composed and others use Winograd."""
    half, tiles = torch.bfloat16, [((0, 0), (1, 1)), ((2, 1), (0, 2)), ((1, 3), (2, 0))]
    for width, depth, cuts in ((16, 2, ()), (20, 3, (9_000, 7)), (36, 2, (60_000, 40))):
        network = made(width, 1, 2, width, depth)
        if multiplies_bfloat16() and can_pack(half):
            assert None not in RowStripUNet(network, half)._layers.composed
        same_in_tiles(network, width, tiles, cuts, half, exact=True)
    with winograd_from(64 * 32):
        same_in_tiles(made(5, 1, 2, 16, 3), 5, tiles, (), half, exact=True)


def same_in_tiles(network, seed, tiles, cuts=(), dtype=None, exact=None):
    """Assert that tiles of some more steps, from some steps on, have the bits of an image that holds them."""
    exact = not has_matrix_units() if exact is None else exact
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
        if exact:
            assert torch.equal(found, expected)
        else:
            most_off = ROUNDING[dtype or torch.float32] * float(scores.abs().max())
            assert float((found - expected).abs().max()) <= most_off
