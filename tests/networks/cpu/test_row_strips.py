"""The network in row strips gives the scores of the network, for every size and precision."""

import copy
import threading
from functools import cache
from math import inf
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks.cpu.networks import (
    VARIANTS,
    error_of,
    image_for,
    last,
    made,
    needs_bfloat16,
    scale_of,
    winograd_from,
    with_and_without_winograd,
)
from unet2015.errors import GeometryError
from unet2015.networks.cpu import row_blocks as row_blocks_module
from unet2015.networks.cpu import strip_pass
from unet2015.networks.cpu.row_blocks import columns_per_block, row_blocks
from unet2015.networks.cpu.row_strips import RowStripUNet
from unet2015.networks.cpu.winograd_layers import MIN_BFLOAT16_PRODUCT, tile_geometry
from unet2015.networks.unet2015 import UNet


def cases(deepest):
    return given(
        seed=st.integers(0, 2**32),
        shape=st.tuples(  # channels, classes, width, depth, variant
            *(st.integers(1, 3), st.integers(1, 4), st.integers(1, 9)),
            *(st.integers(0, deepest), st.sampled_from(VARIANTS)),
        ),
        extra=st.tuples(st.integers(0, 9), st.integers(0, 4)),
        cuts=st.tuples(st.integers(1, 200_000), st.integers(1, 60)),  # bytes of a block, pixels of a strip
        count=st.integers(1, 2),
    )


@settings(max_examples=60)
@cases(deepest=4)
def test_strips_equal_the_network(seed, shape, extra, cuts, count):
    network = made(seed, *shape).double()
    image = image_for(network, seed, extra, count)
    scores = network(image)
    found = RowStripUNet(network, None, *cuts)(image)
    assert found.shape == scores.shape
    assert found.dtype == torch.float64
    assert (found - scores).abs().max() <= 1e-12 * scale_of(scores)


@settings(max_examples=30)
@given(
    st.integers(0, 2**32),
    st.tuples(st.integers(1, 4), st.integers(0, 3), st.sampled_from(VARIANTS)),
    st.tuples(st.integers(0, 4), st.integers(0, 9)),
    st.integers(1, 20),
)
def test_blocks_of_columns_equal_the_network(seed, shape, extra, half):
    network = made(seed, 2, 3, *shape).double()
    image = image_for(network, seed, extra)
    scores = network(image)
    with mock.patch.object(strip_pass, "columns_per_block", return_value=2 * half):
        found = RowStripUNet(network, None, 20_000, 30)(image)
    assert (found - scores).abs().max() <= 1e-12 * scale_of(scores)


def test_columns_are_divided_where_matrix_units_gain_by_it(monkeypatch):
    half, most, least = torch.bfloat16, row_blocks_module.COLUMNS, row_blocks_module.LEAST_CHANNELS
    for units in (False, True):
        monkeypatch.setattr(row_blocks_module, "has_matrix_units", lambda units=units: units)
        assert columns_per_block(1000, least, half) == (most if units else 1000)
        assert columns_per_block(1000, least - 1, half) == 1000
        assert columns_per_block(1000, least, torch.float32) == 1000


def test_with_matrix_units_wide_maps_are_computed_in_blocks_of_columns(monkeypatch):
    monkeypatch.setattr(row_blocks_module, "has_matrix_units", lambda: True)
    network = made(13, 1, 2, 8, 2)
    image = image_for(network, 13, (2, 20)).float()
    compute, widths, real = RowStripUNet(network, torch.bfloat16), [], strip_pass.columns_of

    def watched(x, start, stop):
        widths.append(stop - start)
        return real(x, start, stop)

    monkeypatch.setattr(strip_pass, "columns_of", watched)
    whole = compute(image)
    assert max(widths) == image.shape[-1]
    widths.clear()
    monkeypatch.setattr(row_blocks_module, "LEAST_CHANNELS", 8)
    assert (compute(image) - whole).abs().max() <= 2e-2 * scale_of(whole)
    assert max(widths) <= row_blocks_module.COLUMNS + 4


@pytest.mark.slow
@with_and_without_winograd
@settings(max_examples=10)
@cases(deepest=3)  # that of the paper is looked at below
def test_packed_weights_round_as_the_network_does(least, seed, shape, extra, cuts, count):
    network = made(seed, *shape)
    enough = 12 // network.geometry.factor  # of few scores, either mean may be small by luck
    with winograd_from(least):
        geometry = tile_geometry(network)
        grid = geometry.factor // network.geometry.factor  # as many pixels with Winograd as without
        steps = [-(-(enough + more) // grid) for more in extra]
        image = image_for(network, seed, steps, count, geometry).float()
        found = RowStripUNet(network, None, *cuts)(image)
    plain = last(network)(last(image))
    exact = network.double()(image.double())
    assert error_of(found, exact) <= 4 * (error_of(plain, exact) + torch.finfo(torch.float32).eps)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("width", [4, 16, 32])
@with_and_without_winograd
def test_at_the_papers_depth_strips_are_as_exact_as_the_network(variant, width, least):
    image, plain, exact = at_the_papers_depth(variant, width)
    with winograd_from(least):
        network = made(0, 1, 2, width, 4, variant)
        found = RowStripUNet(network, block_bytes=200_000, strip_pixels=8)(image)
    # Winograd's sums are shorter, and so round less.
    assert error_of(found, exact) <= (1 if least == 1 else 1.25) * error_of(plain, exact)


@cache  # with and without Winograd
def at_the_papers_depth(variant, width):
    """An image, and the scores of the network in float32 and in float64."""
    network = made(0, 1, 2, width, 4, variant)
    image = image_for(network, 1, (6, 4)).float()
    plain = last(network)(last(image))
    return image, plain, network.double()(image.double())


def test_bfloat16_is_as_near_as_the_network_in_bfloat16():
    network = made(3, 1, 2, 16, 3)
    image = image_for(network, 1, (6, 5)).float()
    exact = network(image)
    found = RowStripUNet(network, torch.bfloat16, block_bytes=50_000, strip_pixels=8)(image)
    assert found.dtype == torch.float32
    plain = made(3, 1, 2, 16, 3).to(torch.bfloat16)
    plain.head.float()
    usual = (plain(image.bfloat16()) - exact).abs().max()
    assert 0 < (found - exact).abs().max() <= 2 * usual


@needs_bfloat16
def test_in_bfloat16_winograd_is_about_as_near_as_sums_over_the_window():
    """In the same layers of a U-Net of an eighth of the paper's width, with an eighth of the channels."""
    network, errors = made(3, 1, 2, 8, 4), []
    with winograd_from(MIN_BFLOAT16_PRODUCT // 64):
        image = image_for(network, 1, (1, 1), geometry=tile_geometry(network)).float()
        exact = copy.deepcopy(network).double()(image.double())
        for least in (0, inf):
            compute = RowStripUNet(network, torch.bfloat16, winograd_from=least)
            errors.append(error_of(compute(image), exact))
    assert errors[0] != errors[1]
    assert errors[0] <= 1.25 * errors[1]


def test_sizes_may_change_between_calls_and_bytes_do_not():
    network = made(7, 1, 2, 4, 3)
    compute = RowStripUNet(network, block_bytes=20_000, strip_pixels=8)
    images = [image_for(network, seed, (seed, 3)).float() for seed in range(3)]
    first = [compute(image) for image in images]
    for image, scores in zip(reversed(images), reversed(first), strict=True):
        assert torch.equal(compute(image), scores)
        assert torch.equal(RowStripUNet(network, block_bytes=20_000, strip_pixels=8)(image), scores)


def test_a_batch_has_the_bytes_of_its_images():
    network = made(8, 1, 2, 4, 2)
    compute = RowStripUNet(network)
    batch = image_for(network, 0, (2, 2), count=3).float()
    assert torch.equal(compute(batch), torch.cat([compute(image[None]) for image in batch]))


def test_the_network_may_change_afterwards():
    network = made(9, 1, 2, 4, 2)
    image = image_for(network, 0).float()
    compute = RowStripUNet(network)
    before = compute(image)
    for parameter in network.parameters():
        parameter.zero_()
    assert torch.equal(compute(image), before)
    assert scale_of(before) > 0


def test_threads_do_not_disturb_each_other():
    network = made(10, 1, 2, 4, 2)
    compute = RowStripUNet(network, block_bytes=4_000)
    images = [image_for(network, seed, (seed, 1)).float() for seed in range(4)]
    expected = [compute(image) for image in images]
    wrong = []

    def again(image, scores):
        for _ in range(10):
            if not torch.equal(compute(image), scores):
                wrong.append(image.shape)

    threads = [threading.Thread(target=again, args=pair) for pair in zip(images, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_illegal_size_is_refused():
    with pytest.raises(GeometryError, match="nearest legal"):
        RowStripUNet(UNet(width=1))(torch.zeros(1, 1, 571, 572))


def test_there_are_strips_and_row_blocks_at_all(monkeypatch):
    network = made(11, 1, 2, 2, 1)
    image = image_for(network, 0, (40, 10)).float()
    compute = RowStripUNet(network, block_bytes=2_000, strip_pixels=100)
    seen, cut = [], strip_pass.row_blocks

    def watched(start, stop, most):
        found = list(cut(start, stop, most))
        seen.append(len(found))
        return iter(found)

    monkeypatch.setattr(strip_pass, "row_blocks", watched)
    compute(image)
    assert len(seen) >= 3 * 4  # three levels, down, bottom and up
    assert max(seen) > 1


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 20))
def test_row_blocks_are_even_and_about_equal(start, more, half):
    start, most = 2 * start, 2 * half
    found = list(row_blocks(start, start + more, most))
    assert [row for low, high in found for row in range(low, high)] == list(range(start, start + more))
    assert all(low % 2 == 0 and high - low <= most for low, high in found)
    assert len(found) == -(-more // most)
