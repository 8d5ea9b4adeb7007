"""Ring buffers hold the rows that are needed, and do not grow with the height of the input."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unet2015.networks.cpu.ring_buffer import RingBuffer, Workspace, buffer_values
from unet2015.networks.unet2015 import UNet

depths = st.integers(0, 5)


def network_of(depth, width=1):
    return UNet(1, 2, width, depth).to("meta")


def height_of(network, more):
    return network.geometry.smallest + network.geometry.factor * more


@pytest.mark.slow
@settings(max_examples=40)
@given(depths, st.integers(1, 60))
def test_what_is_held_does_not_grow_with_the_height(depth, rows):
    network = network_of(depth, 3)
    width = height_of(network, 1)
    # From 400 steps on strips of up to 60 rows have met the poolings of every level in every phase.
    one, twice = (buffer_values(network, height_of(network, more), width, rows) for more in (400, 800))
    assert one == twice


@pytest.mark.slow
@given(depths, st.integers(0, 30), st.integers(1, 400))
def test_the_workspace_has_what_is_said(depth, more, rows):
    network = UNet(1, 2, 2, depth)
    height, width = height_of(network, more), height_of(network, 2)
    space = Workspace(network, height, width, rows, torch.float32)
    memories = [buffer._memory for buffer in (*space.inputs, *space.skips, *space.outputs)]
    assert sum(memory.numel() for memory in memories) == buffer_values(network, height, width, rows)


@pytest.mark.slow
@given(st.data(), st.integers(1, 3), st.integers(1, 3))
def test_rows_stay_until_they_are_dropped(data, channels, width):
    capacity = data.draw(st.integers(1, 12))
    buffer = RingBuffer(channels, width, capacity, torch.float64)
    first = last = 0
    for _ in range(20):
        count = data.draw(st.integers(0, capacity - (last - first)))
        buffer.add(count).copy_(torch.arange(last, last + count, dtype=torch.float64)[:, None])
        last += count
        first = data.draw(st.integers(first, last))
        buffer.drop(first)
        found = buffer.rows(first, last)
        assert found.shape == (1, channels, last - first, width)
        assert torch.equal(found, torch.arange(first, last, dtype=torch.float64)[:, None].expand_as(found))


def test_rows_beyond_the_capacity_or_already_dropped_are_refused():
    buffer = RingBuffer(1, 1, 3, torch.float32)
    buffer.add(2)
    with pytest.raises(AssertionError):
        buffer.add(2)
    buffer.clear()
    buffer.add(3)
    buffer.drop(1)
    with pytest.raises(AssertionError):
        buffer.rows(0, 2)
