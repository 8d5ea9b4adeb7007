from contextlib import suppress
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks.cpu.networks import winograd_from
from unet2015.errors import GeometryError, MemoryLimitError
from unet2015.networks import architecture_of
from unet2015.networks.cpu import layers, row_blocks
from unet2015.networks.cpu.memory import weight_values, workspace_values
from unet2015.networks.cpu.row_strips import RowStripUNet
from unet2015.networks.cpu.winograd_layers import is_aligned, tile_geometry
from unet2015.networks.live_values import LiveBytes
from unet2015.networks.unet2015 import UNet
from unet2015.tiling import memory, tile_sizes
from unet2015.tiling.engine import AHEAD
from unet2015.tiling.memory import (
    LIBRARIES,
    GiB,
    Stored,
    choose_plan,
    default_cap,
    image_bytes,
    job_bytes,
)
from unet2015.tiling.plan import TilePlan

CPU = torch.device("cpu")
WIDE = UNet(width=16)
unet = cache(UNet)  # weights are drawn once, not for each example


@pytest.mark.parametrize("variant", ["paper", "release"])
@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(0, 4), st.integers(1, 3), st.integers(2, 4), st.data())
def test_the_network_knows_how_much_it_holds(variant, width, depth, channels, classes, data):
    network = UNet(channels, classes, width, depth, variant).eval()
    sides = [
        network.geometry.smallest + network.geometry.factor * data.draw(st.integers(0, 12)) for _ in range(2)
    ]
    with torch.no_grad(), LiveBytes() as live:
        network(torch.empty(1, channels, *sides))
    assert live.peak == 4 * architecture_of(network).peak_values(network, *sides)


def held_and_said(network, sides, cuts, least, dtype):
    image = torch.ones(1, network.in_channels, *sides, dtype=network.head.weight.dtype)
    with winograd_from(least):
        compute = RowStripUNet(network, dtype, *cuts)
        compute(image)  # makes the weights; all else is met again
        with LiveBytes() as live:
            compute(image.clone())
        said = dtype.itemsize * workspace_values(network, *sides, dtype.itemsize, *cuts)
    return live.peak - image.nbytes, said  # without the input


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["paper", "release"])
@settings(max_examples=15, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(2, 4), st.integers(1, 4), st.integers(0, 4)),
    st.tuples(st.integers(300, 60_000), st.integers(1, 100)),
    st.sampled_from([torch.bfloat16, torch.float32, torch.float64]),
    st.sampled_from([1, 10**9]),
    st.data(),
)
def test_row_strips_hold_what_they_say(variant, shape, cuts, dtype, least, data):
    network = UNet(*shape, variant).eval().to(torch.float64 if dtype == torch.float64 else torch.float32)
    with winograd_from(least):
        geometry = data.draw(st.sampled_from([network.geometry, tile_geometry(network)]))
    sides = [geometry.smallest + geometry.factor * data.draw(st.integers(0, 12)) for _ in range(2)]
    held, said = held_and_said(network, sides, cuts, least, dtype)
    assert held <= said
    if network.depth > 0:
        # In bfloat16 the copies for the head are much of what is said, as there are few channels.
        assert held >= (0.2 if dtype == torch.bfloat16 else 0.4) * said


@pytest.mark.parametrize("variant", ["paper", "release"])
@pytest.mark.parametrize("sides", [(3, 9), (9, 9), (9, 3)])
def test_blocks_of_columns_hold_no_more_than_is_said(monkeypatch, variant, sides):
    network = UNet(1, 2, 16, 2, variant).eval()
    sides = [network.geometry.smallest + 8 * side for side in sides]
    for least in (10**9, 1):
        monkeypatch.setattr(row_blocks, "has_matrix_units", lambda: True)
        monkeypatch.setattr(row_blocks, "LEAST_CHANNELS", least)
        held, said = held_and_said(network, sides, (100_000, 100), 10**9, torch.bfloat16)
        assert held <= said


def copies_of(compute):
    """The tensors that a computation has of a network's parameters."""
    tensors = [*compute._head.parameters()]
    tensors += [each for pair in compute._upsample.weights for each in pair]
    tensors += [each for one in compute._layers.composed if one for each in (one.weight, one.bias)]
    pairs = (*compute._layers.contract, *compute._layers.expand)
    for layer in (part for pair in pairs for part in pair):
        for part in [layer.raised, layer.skip] if hasattr(layer, "raised") else [layer]:
            own = [part.weight] if not hasattr(part, "weights") else []
            if hasattr(part, "weights"):
                kept = vars(part.weights)
                own = [*kept["packed"]] if "packed" in kept else [kept["transformed"], *kept["parts"]]
            tensors += [*own, *([] if part.bias is None else [part.bias])]
    return tensors


@pytest.mark.parametrize("least", [1, 300, 10**9])
@pytest.mark.parametrize("variant", ["paper", "release"])
def test_the_copies_of_the_weights_are_counted(monkeypatch, variant, least):
    network = UNet(1, 2, 16, 3, variant)
    monkeypatch.setattr(layers, "multiplies_bfloat16", lambda: True)
    with winograd_from(least):
        single, half = (copies_of(RowStripUNet(network, dtype)) for dtype in (torch.float32, torch.bfloat16))
        said = weight_values(network)
    assert said == sum(each.numel() for each in single)
    assert 4 * said >= sum(each.nbytes for each in half)


def test_a_job_has_room_for_either_precision():
    for width, sides in ((4, (2236, 988)), (16, (572, 572))):
        network = UNet(1, 5, width)
        plan = TilePlan(1, sides[0], sides[1], sides, 1, network.geometry)
        needed = job_bytes(network, plan, CPU) - image_bytes(network, plan)
        assert all(needed > LIBRARIES + size * workspace_values(network, *sides, size) for size in (2, 4))


@pytest.mark.parametrize("size", [(2236, 700), (572, 2236)])
def test_a_job_has_room_for_its_tiles_turned(size):
    network = unet(width=64)
    work = [4 * workspace_values(network, *sides) for sides in (size, size[::-1])]
    needed = [
        job_bytes(network, TilePlan(1, 5000, 5000, sides, 1, network.geometry), CPU)
        for sides in (size, size[::-1])
    ]
    assert work[0] != work[1]
    # Beside the workspace the two differ by their bands, of 5000 px and so many rows, and no more.
    rows = abs(size[0] - size[1])
    assert abs(needed[0] - needed[1]) <= 2 * rows * 5000 * 2 * 4
    assert min(needed) > max(work)


@settings(deadline=None)
@given(
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.integers(700 * 2**20, 8 * GiB),
    st.sampled_from([4, 16, 64]),
)
def test_the_plan_stays_under_the_cap_or_says_what_would_do(height, width, cap, channels):
    network = unet(width=channels)
    try:
        plan = choose_plan(network, (1, height, width), CPU, cap=cap)
    except MemoryLimitError as error:
        needed = int(str(error).split("--max-memory ")[1].split("M")[0])
        assert needed * 2**20 > cap
        choose_plan(network, (1, height, width), CPU, cap=needed * 2**20)
    else:
        assert job_bytes(network, plan, CPU) <= cap


@pytest.mark.parametrize("cap", [0, 700 * 2**20, 1020 * 2**20, 1200 * 2**20])
def test_few_sizes_are_tried_also_where_nothing_or_little_fits(monkeypatch, cap):
    tried = []

    def counted(network, plan, *others):
        tried.append(plan.tile)
        return job_bytes(network, plan, *others)

    monkeypatch.setattr(memory, "job_bytes", counted)
    with suppress(MemoryLimitError):
        choose_plan(unet(width=64), (1, 200_000, 300_000), CPU, cap=cap)
    assert len(tried) < 500  # of 10,000


def test_no_list_of_tiles_is_made_to_choose_a_plan(monkeypatch):
    def made(*_):
        raise AssertionError

    monkeypatch.setattr("unet2015.tiling.plan.plan_axis", made)
    assert choose_plan(unet(width=4), (1, 2_000, 3_000), CPU, cap=2**30).tiles > 1


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.floats(0, 1.2), st.sampled_from([None, 1, 3]), st.data())
def test_the_plan_is_the_first_that_fits_of_all_that_there_are(height, width, part, batch, data):
    device = data.draw(st.sampled_from([CPU, torch.device("cuda"), torch.device("mps")]))
    network, shape = unet(width=4), (2, height, width)
    best = tile_geometry(network) if device.type == "cpu" else network.geometry
    every = tile_sizes.by_work(best, shape, batched=device.type == "cuda")
    plans = [TilePlan(*shape, sides, batch or 1, network.geometry) for sides in every]
    needed = [job_bytes(network, plan, device) for plan in plans]
    cap = int(min(needed) + part * (max(needed) - min(needed))) - (part == 0)
    first = next((plan for plan, size in zip(plans, needed, strict=True) if size <= cap), None)
    if first is None:
        with pytest.raises(MemoryLimitError):
            choose_plan(network, shape, device, batch=batch, cap=cap)
    else:
        assert choose_plan(network, shape, device, batch=batch, cap=cap).tile == first.tile


def test_more_memory_never_means_more_work():
    network = unet(width=64)

    def work(cap):
        plan = choose_plan(network, (1, 3000, 2500), CPU, cap=cap)
        return plan.tiles * np.prod(plan.tile)

    amounts = [work(int(cap * GiB)) for cap in (1.2, 1.5, 2, 3, 4, 8)]
    assert amounts == sorted(amounts, reverse=True)
    assert amounts[-1] < 1.3 * 3000 * 2500


def test_a_tile_that_is_given_is_taken_and_shrinks_only_where_the_image_needs_less():
    network = unet(width=4)
    assert choose_plan(network, (1, 2000, 2000), CPU, tile=572).tile == (572, 572)
    assert choose_plan(network, (1, 2000, 100), CPU, tile=572).tile == (572, 284)
    assert choose_plan(network, (9, 200, 200), CPU, tile=572, batch=4).batch == 4


def test_an_illegal_tile_is_refused_even_for_a_small_image():
    with pytest.raises(GeometryError, match="556 or 572"):
        choose_plan(unet(width=4), (1, 10, 10), CPU, tile=571)


def test_a_cap_of_one_megabyte_is_refused_with_what_would_do():
    with pytest.raises(MemoryLimitError, match="--max-memory"):
        choose_plan(unet(width=4), (1, 10, 10), CPU, cap=2**20)


def test_a_tile_too_large_for_the_cap_is_refused_not_replaced():
    with pytest.raises(MemoryLimitError, match="smaller --tile"):
        choose_plan(UNet(), (1, 3000, 3000), CPU, tile=1996, cap=1300 * 2**20)


def test_the_default_cap_is_a_power_of_two_within_what_is_free():
    cap = default_cap(CPU) - LIBRARIES
    assert cap.bit_count() == 1
    assert cap <= 4 * GiB


def test_little_free_memory_does_not_refuse_what_nobody_capped(monkeypatch, caplog):
    monkeypatch.setattr(memory, "available_memory", lambda device: 2**20)
    plan = choose_plan(unet(width=4), (1, 500, 500), CPU)
    assert plan.tiles > 1
    assert "half of the free memory" in caplog.text


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([None, 2**31, 2**33]))
def test_tiles_of_networks_that_use_winograd_are_aligned(height, width, cap):
    plan = choose_plan(WIDE, (1, height, width), CPU, cap=cap)
    assert is_aligned(WIDE.depth, *plan.tile)
    for spans in (plan.rows, plan.columns):
        assert all(span.kept_start % 32 == 0 for span in spans)


@pytest.mark.parametrize(("tile", "chosen"), [(572, (572, 380)), (588, (588, 364))])
def test_a_tile_that_was_asked_for_is_taken(tile, chosen):
    assert choose_plan(WIDE, (1, 2000, 180), CPU, tile=tile).tile == chosen


def test_other_networks_and_devices_have_tiles_as_small_as_can_be():
    shape = (1, 260, 180)
    tight = (444, 364)
    assert choose_plan(UNet(width=8), shape, CPU, cap=2**32).tile == tight
    assert choose_plan(UNet(width=16).double(), shape, CPU, cap=2**32).tile == tight
    assert choose_plan(WIDE, shape, torch.device("cuda"), cap=2**32).tile == tight
    assert choose_plan(WIDE, shape, CPU, cap=2**32).tile == (444, 380)


def test_a_gpu_has_one_large_tile_if_it_fits_and_more_if_not():
    cuda, network = torch.device("cuda"), unet()
    for device in (cuda, torch.device("mps")):
        assert choose_plan(network, (1, 2048, 2048), device, cap=64 * GiB).tiles == 1
    assert choose_plan(network, (20, 2048, 2048), cuda, cap=64 * GiB).tiles == 20
    tight = choose_plan(network, (1, 2048, 2048), cuda, cap=2 * GiB)
    assert tight.tiles > 1
    assert tight.tiles * np.prod(tight.tile) < 1.25 * 2232**2
    assert job_bytes(network, tight, cuda) <= 2 * GiB


def test_the_memory_of_a_gpu_is_that_of_its_own_way_and_float64_is_twice_as_large():
    plan = TilePlan(1, 388, 388, (572, 572), 1, unet().geometry)
    cuda, mps, exact = torch.device("cuda"), torch.device("mps"), UNet(width=8)
    assert job_bytes(unet(), plan, cuda) - memory.GPU_LIBRARIES < job_bytes(unet(), plan, mps)
    single = job_bytes(exact, plan, cuda) - memory.GPU_LIBRARIES
    assert job_bytes(exact.double(), plan, cuda) - memory.GPU_LIBRARIES == 2 * single


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4000), st.integers(1, 4000))
def test_the_batches_of_a_gpu_are_as_large_as_keeps_it_busy(pages, height, width):
    plan = choose_plan(unet(), (pages, height, width), torch.device("cuda"), cap=64 * GiB)
    area = np.prod(plan.tile)
    assert plan.batch == 1 or plan.batch * area <= tile_sizes.BUSY
    assert plan.batch == 8 or 2 * plan.batch * area > tile_sizes.BUSY or 2 * plan.batch > plan.tiles


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 50_000), st.integers(1, 50_000), st.integers(50, 500), st.sampled_from([0, 256]))
def test_a_band_is_what_is_written_and_what_is_kept_and_never_more_than_all_probabilities(
    height, width, steps, file_tile
):
    network = UNet(width=2, depth=2)
    tile = network.geometry.input_for(min(4 * steps, height, width))
    plan = TilePlan(1, height, width, (tile, tile), 1, network.geometry)
    most, classes, both = (image_bytes(network, plan, Stored(file_tile, each)) for each in (None, 1, 5))
    tallest = max(span.length for span in plan.rows)
    besides = most - 2 * max(tallest, min(file_tile, height)) * width * 2 * 4
    assert classes <= both <= most
    assert classes == most or classes >= besides + 2 * tallest * width + memory.KEPT
    assert both == most or both - classes >= 4 * 2 * tallest * width


def test_pixels_that_wait_count_with_the_bytes_they_have_in_the_file():
    network = UNet(3, 2, 4, 1)
    plan = TilePlan(1, 400, 400, (236, 236), 1, network.geometry)
    single, double, byte = (image_bytes(network, plan, Stored(0, 1, each)) for each in (4, 8, 1))
    assert double - single == 4 * AHEAD * 3 * 236**2
    assert byte == single
