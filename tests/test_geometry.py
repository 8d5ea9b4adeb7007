"""Sizes: the declared geometry equals a walk through the network, for any depth."""

from dataclasses import FrozenInstanceError
from itertools import count

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unet2015.errors import GeometryError, UsageError
from unet2015.geometry import (
    Geometry,
    after_block,
    after_convolution,
    after_pooling,
    after_upsampling,
    before_block,
    before_pooling,
    before_upsampling,
    block_pixels,
    crop_border,
    inference_tile,
    unet_geometry,
    unet_sides,
)
from unet2015.networks.unet2015 import UNet

DEPTHS = st.integers(0, 6)


def walk(size: int, depth: int) -> int | None:
    """Return the output side, pixel by pixel through Fig. 1, or None where the network cannot go on."""
    for _ in range(depth):
        size -= 4
        if size < 1 or size % 2:
            return None
        size //= 2
    size -= 4
    for _ in range(depth):
        if size < 1:
            return None
        size = 2 * size - 4
    return size if size >= 1 else None


def test_the_papers_numbers() -> None:
    geometry = unet_geometry(4)
    assert geometry == Geometry(factor=16, margin=92, smallest=188)
    assert geometry.output_size(572) == 388
    assert geometry.output_size(188) == 4
    assert geometry.kept_size(572) == 384
    assert geometry.kept_size(188) == 0
    assert [size for size in range(1, 300) if geometry.is_legal(size)] == [16 * k + 60 for k in range(8, 15)]


@settings(deadline=None)
@given(depth=DEPTHS)
def test_legal_sizes_are_those_that_the_walk_allows(depth: int) -> None:
    geometry = unet_geometry(depth)
    assert geometry.factor == 2**depth
    for size in range(-5, geometry.smallest + 2 * geometry.factor + 2):
        expected = walk(size, depth)
        assert geometry.is_legal(size) == (expected is not None)
        if expected is not None:
            assert geometry.output_size(size) == expected == size - 2 * geometry.margin


@settings(deadline=None)
@given(depth=DEPTHS)
def test_the_smallest_legal_size_is_minimal(depth: int) -> None:
    geometry = unet_geometry(depth)
    assert geometry.smallest == next(size for size in count(1) if walk(size, depth) is not None)
    assert walk(geometry.smallest - geometry.factor, depth) is None
    assert not geometry.is_legal(geometry.smallest - geometry.factor)


@settings(deadline=None)
@given(depth=DEPTHS, output=st.integers(1, 1500))
def test_input_for_is_the_smallest_that_covers_the_output(depth: int, output: int) -> None:
    geometry = unet_geometry(depth)
    size = geometry.input_for(output)
    assert geometry.output_size(size) >= output
    smaller = size - geometry.factor
    assert not geometry.is_legal(smaller) or geometry.output_size(smaller) < output


@settings(deadline=None)
@given(depth=DEPTHS, size=st.integers(-50, 1500))
def test_nearest_legal_sizes_enclose_the_size(depth: int, size: int) -> None:
    geometry = unet_geometry(depth)
    nearest = geometry.nearest_legal(size)
    legal = [s for s in range(1, 1500 + 2 * geometry.smallest) if walk(s, depth) is not None]
    below = [s for s in legal if s <= size]
    above = [s for s in legal if s >= size]
    assert nearest == tuple(sorted({*below[-1:], above[0]}))


@settings(deadline=None)
@given(depth=DEPTHS, steps=st.integers(0, 40))
def test_kept_size_is_the_largest_multiple_of_the_factor(depth: int, steps: int) -> None:
    geometry = unet_geometry(depth)
    size = geometry.smallest + steps * geometry.factor
    multiples = [k for k in range(0, size, geometry.factor) if k <= geometry.output_size(size)]
    assert geometry.kept_size(size) == multiples[-1]


@pytest.mark.slow
@settings(deadline=None)
@given(depth=st.integers(0, 4), rows=st.integers(0, 3), columns=st.integers(0, 3))
def test_the_network_gives_what_its_geometry_declares(depth: int, rows: int, columns: int) -> None:
    with torch.device("meta"):
        network = UNet(width=1, depth=depth)
        sides = [network.geometry.smallest + k * network.geometry.factor for k in (rows, columns)]
        scores = network(torch.empty(1, 1, *sides))
    assert network.geometry == unet_geometry(depth)
    assert scores.shape == (1, 2, *map(network.geometry.output_size, sides))


@given(st.integers(5, 200))
def test_layers_need_and_give_what_torch_says(size):
    x = torch.empty(1, 1, size, size, device="meta")
    convolution = torch.nn.Conv2d(1, 1, 3, device="meta")
    up = torch.nn.ConvTranspose2d(1, 1, 2, stride=2, device="meta")
    once, twice = convolution(x), convolution(convolution(x))
    assert after_convolution(size) == once.shape[-1]
    assert after_block(size) == twice.shape[-1]
    assert before_block(after_block(size)) == size
    assert block_pixels(size, size) == once.numel() + twice.numel()
    assert after_pooling(size) == torch.nn.functional.max_pool2d(x, 2).shape[-1]
    assert after_pooling(before_pooling(size)) == size
    assert after_upsampling(size) == up(x).shape[-1]
    assert before_upsampling(after_upsampling(size)) == size


@settings(deadline=None)
@given(depth=DEPTHS, steps=st.integers(0, 9))
def test_sides_are_those_of_the_maps_that_run(depth: int, steps: int) -> None:
    with torch.device("meta"):
        network = UNet(width=1, depth=depth)
    size = network.geometry.smallest + steps * network.geometry.factor
    read: list[int] = []
    for block in (*network.contract, *network.expand):
        block.register_forward_hook(lambda module, inputs, output: read.append(inputs[0].shape[-1]))
    scores = network(torch.empty(1, 1, size, size, device="meta"))
    sides = unet_sides(size, depth)
    assert read == [*sides.contract, *reversed(sides.expand)]
    assert sides.output(0) == scores.shape[-1]
    for level in range(depth):
        assert sides.output(level) == after_block(sides.expand[level])
        assert after_block(sides.contract[level]) - 2 * crop_border(depth, level) == sides.expand[level]
    assert sides.output(depth) == after_block(sides.contract[-1])


def test_the_borders_of_the_paper() -> None:
    assert [crop_border(4, level) for level in range(4)] == [88, 40, 16, 4]


@pytest.mark.parametrize(
    ("size", "advice"),
    [
        (571, "nearest legal: 556 or 572"),
        (573, "nearest legal: 572 or 588"),
        (512, "nearest legal: 508 or 524"),
        (187, "nearest legal: 188"),
        (1, "nearest legal: 188"),
        (0, "nearest legal: 188"),
        (-16, "nearest legal: 188"),
    ],
)
def test_the_error_names_the_nearest_legal_sizes(size: int, advice: str) -> None:
    geometry = unet_geometry(4)
    for refused in (geometry.check, geometry.output_size, geometry.kept_size):
        with pytest.raises(GeometryError, match=f"{size} px.*188 \\+ k \\* 16.*{advice}$"):
            refused(size)
    with pytest.raises(GeometryError, match=advice):
        geometry.check(572, size)
    with torch.device("meta"), pytest.raises(GeometryError, match=advice):
        UNet(width=1)(torch.empty(1, 1, 572, max(0, size)))


def test_legal_sizes_pass() -> None:
    unet_geometry(4).check(188, 572, 1084)


def test_what_is_not_a_geometry_is_refused() -> None:
    for factor, margin, smallest in ((0, 92, 188), (16, -1, 188), (16, 92, 184)):
        with pytest.raises(GeometryError, match="factor >= 1, margin >= 0 and smallest > 2 \\* margin"):
            Geometry(factor, margin, smallest)
    with pytest.raises(GeometryError, match="0 or more poolings, not -1"):
        unet_geometry(-1)
    with pytest.raises(GeometryError, match="at least 1 px, not 0"):
        unet_geometry(4).input_for(0)
    assert issubclass(GeometryError, UsageError)
    assert issubclass(GeometryError, ValueError)


def test_a_geometry_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        unet_geometry(4).margin = 0  # type: ignore[misc]


def test_other_networks_can_declare_theirs() -> None:
    """One convolution of 3x3: no pooling, every size from 3 on."""
    geometry = Geometry(factor=1, margin=1, smallest=3)
    assert [geometry.output_size(size) for size in (3, 4, 100)] == [1, 2, 98]
    assert geometry.input_for(7) == 9
    assert geometry.kept_size(10) == 8
    assert Geometry(factor=1, margin=1, smallest=10).input_for(1) == 10
    with pytest.raises(GeometryError, match=r"nearest legal: 3$"):
        geometry.check(2)


def test_a_tile_of_inference_covers_what_a_tile_of_the_training_covers():
    paper, padded = unet_geometry(4), Geometry(16, 0, 32, exact=False)
    assert [inference_tile(paper, paper, tile) for tile in (188, 572)] == [188, 572]
    assert inference_tile(padded, padded, 48) == 48
    cropped = Geometry(16, 94, 192)
    for tile in range(32, 400, 16):
        side = inference_tile(cropped, padded, tile)
        assert cropped.output_size(side) >= tile
        assert cropped.kept_size(side) >= cropped.factor
        assert cropped.output_size(side) - 16 < tile
