"""Strips take each row once, as soon as it can be had, and what is alive does not grow with the height."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unet2015.networks.cpu.ring_buffer import Rolling, Sides, Workspace, alive, strips
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
    sides = Sides.of(network, height, height)
    found = list(strips(network, height, height, rows))
    assert len(found) == -(-height // rows)
    columns = [
        *([strip.down[level] for strip in found] for level in range(depth + 1)),
        *([strip.skips[level] for strip in found] for level in range(depth)),
        *([strip.up[level] for strip in found] for level in range(depth)),
    ]
    wholes = [
        *(y - 4 for y, _ in sides.inputs),
        *(y for y, _ in sides.skips),
        *(y for y, _ in sides.outputs[:-1]),
    ]
    for ranges, whole in zip(columns, wholes, strict=True):
        assert [row for start, stop in ranges for row in range(start, stop)] == list(range(whole))


@given(depths, st.integers(0, 30), st.integers(1, 400))
def test_a_row_waits_for_nothing_but_what_it_needs(depth, more, rows):
    network = network_of(depth)
    height = height_of(network, more)
    geometry = network.geometry
    for entered, strip in enumerate(strips(network, height, height, rows), start=1):
        known = min(entered * rows, height)
        out = strip.up[0][1] if depth else strip.down[0][1]
        # No fewer than an image of the rows so far would have, cut to a legal height; no more than filled up.
        if known >= geometry.smallest:
            odd = geometry.factor if known < height else 0  # the lowest level goes by twos
            assert out >= geometry.output_size(min(geometry.nearest_legal(known))) - odd
        assert out <= geometry.output_size(max(geometry.nearest_legal(known)))


@given(depths, st.integers(1, 60))
def test_what_is_alive_does_not_grow_with_the_height(depth, rows):
    network = network_of(depth, 3)
    width = height_of(network, 1)
    tall = [alive(network, height_of(network, more), width, rows) for more in (400, 800, 1600)]
    assert tall[0] == tall[1] == tall[2]


@given(depths, st.integers(0, 30), st.integers(1, 400))
def test_the_workspace_has_what_is_said(depth, more, rows):
    network = UNet(1, 2, 2, depth)
    height, width = height_of(network, more), height_of(network, 2)
    space = Workspace(network, height, width, rows, torch.float32)
    memories = [rolling._memory for rolling in (*space.inputs, *space.skips, *space.outputs)]
    assert sum(memory.numel() for memory in memories) == alive(network, height, width, rows)


@given(st.data(), st.integers(1, 3), st.integers(1, 3))
def test_rows_stay_until_they_are_dropped(data, channels, width):
    room = data.draw(st.integers(1, 12))
    rolling = Rolling(channels, width, room, torch.float64)
    first = last = 0
    for _ in range(20):
        count = data.draw(st.integers(0, room - (last - first)))
        rolling.add(count).copy_(torch.arange(last, last + count, dtype=torch.float64)[:, None])
        last += count
        first = data.draw(st.integers(first, last))
        rolling.drop(first)
        found = rolling.rows(first, last)
        assert found.shape == (1, channels, last - first, width)
        assert torch.equal(found, torch.arange(first, last, dtype=torch.float64)[:, None].expand_as(found))


def test_rows_beyond_the_room_or_already_dropped_are_refused():
    rolling = Rolling(1, 1, 3, torch.float32)
    rolling.add(2)
    with pytest.raises(AssertionError):
        rolling.add(2)
    rolling.clear()
    rolling.add(3)
    rolling.drop(1)
    with pytest.raises(AssertionError):
        rolling.rows(0, 2)
