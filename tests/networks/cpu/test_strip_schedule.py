"""Strips compute each row once, as soon as the rows that it needs are there."""

from hypothesis import given
from hypothesis import strategies as st

from unet2015.geometry import after_block, unet_sides
from unet2015.networks.cpu.strip_schedule import strips
from unet2015.networks.unet2015 import UNet

depths = st.integers(0, 5)


def network_of(depth, width=1):
    return UNet(1, 2, width, depth).to("meta")


def height_of(network, more):
    return network.geometry.smallest + network.geometry.factor * more


@given(depths, st.integers(0, 30), st.integers(1, 400))
def test_each_row_is_computed_once(depth, more, rows):
    network = network_of(depth)
    height = height_of(network, more)
    sides = unet_sides(height, depth)
    found = list(strips(depth, height, rows))
    assert len(found) == -(-height // rows)
    columns = [
        *([strip.contract[level] for strip in found] for level in range(depth + 1)),
        *([strip.skips[level] for strip in found] for level in range(depth)),
        *([strip.expand[level] for strip in found] for level in range(depth)),
    ]
    wholes = [
        *map(after_block, sides.contract),
        *sides.expand,
        *map(sides.output, range(depth)),
    ]
    for ranges, whole in zip(columns, wholes, strict=True):
        assert [row for start, stop in ranges for row in range(start, stop)] == list(range(whole))


@given(depths, st.integers(0, 30), st.integers(1, 400))
def test_a_row_waits_for_nothing_but_what_it_needs(depth, more, rows):
    network = network_of(depth)
    height = height_of(network, more)
    geometry = network.geometry
    for entered, strip in enumerate(strips(depth, height, rows), start=1):
        known = min(entered * rows, height)
        out = strip.expand[0][1] if depth else strip.contract[0][1]
        # No fewer than an image of the rows so far would have, cut to a legal height; no more than filled up.
        if known >= geometry.smallest:
            odd = geometry.factor if known < height else 0  # the lowest level goes by twos
            assert out >= geometry.output_size(min(geometry.nearest_legal(known))) - odd
        assert out <= geometry.output_size(max(geometry.nearest_legal(known)))
