"""Promise 1: tiled equals whole, up to rounding and nothing else."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import TOLERANCE, ArraySource, whole
from unet2015.networks.unet2015 import UNet
from unet2015.tiling import engine
from unet2015.tiling.engine import RunOptions, run
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.predictor import Predictor
from unet2015.tiling.reading import read_tile
from unet2015.tiling.sinks import ArraySink, BandSink


def network_of(channels, classes, depth, dtype, seed=0, width=2, variant="paper"):
    torch.manual_seed(seed)
    return UNet(channels, classes, width, depth, variant).to(dtype)


def tiled(network, array, tile, batch=1, average="none", workers=2, order=None):
    plan = TilePlan(len(array), *array.shape[-2:], tile, batch, network.geometry)
    sink = ArraySink(plan, network.classes, array.dtype)
    if order is not None:
        order = np.random.default_rng(order).permutation(len(plan)).tolist()
    run(plan, ArraySource(array), Predictor(network, average=average), sink, RunOptions(workers, order))
    return sink.array


@st.composite
def jobs(draw):
    depth = draw(st.sampled_from([1, 2, 3, 4, 4]))
    geometry = UNet(1, 2, 1, depth).geometry
    largest = {1: 150, 2: 220, 3: 300, 4: 440}[depth]
    height, width = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    least = geometry.input_for(geometry.factor)
    room = (max(least, geometry.input_for(max(height, width))) - least) // geometry.factor + 1
    # Small tiles on a large image make thousands of passes: at least a twelfth of it.
    smallest = max(0, room // 12)
    tile = tuple(least + geometry.factor * draw(st.integers(smallest, room)) for _ in range(2))
    return {
        "depth": depth,
        "channels": draw(st.integers(1, 3)),
        "classes": draw(st.integers(2, 4)),
        "shape": (draw(st.integers(1, 2)), height, width),
        "tile": tile,
        "batch": draw(st.integers(1, 5)),
        "average": draw(st.sampled_from(["none", "none", "flips", "symmetries", "rotations"])),
        "variant": draw(st.sampled_from(["paper", "release"])),
        "seed": draw(st.integers(0, 1000)),
    }


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@settings(max_examples=20, deadline=None)
@given(job=jobs())
def test_tiled_equals_whole(dtype, job):
    network = network_of(job["channels"], job["classes"], job["depth"], dtype, job["seed"], 2, job["variant"])
    pages, height, width = job["shape"]
    array = np.random.default_rng(job["seed"]).random((pages, job["channels"], height, width))
    array = array.astype(np.float64 if dtype == torch.float64 else np.float32)
    expected, scale = whole(network, array, job["average"])
    came = tiled(network, array, job["tile"], job["batch"], job["average"])
    # The softmax turns an error of the scores into no larger one of the probabilities.
    assert np.abs(came - expected).max() <= TOLERANCE[dtype] * scale


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 99), st.integers(1, 5))
def test_one_plan_gives_the_same_bytes_whatever_the_workers_and_the_order(one, other, order, batch):
    network = network_of(1, 2, 2, torch.float32)
    array = np.random.default_rng(3).random((2, 1, 90, 75), np.float32)
    tile = (network.geometry.input_for(24), network.geometry.input_for(32))
    first = tiled(network, array, tile, batch, workers=one)
    second = tiled(network, array, tile, batch, workers=other, order=order)
    assert first.tobytes() == second.tobytes()


def test_a_stride_of_388_is_not_exact():
    # 388 is 4 modulo 16: the pooling of the second tile falls on other pixels. Nobody may
    # "simplify" the phase away.
    network = network_of(1, 2, 4, torch.float64)
    array = np.random.default_rng(0).random((1, 1, 388, 776))
    expected = whole(network, array)[0][..., 388:]
    beside = np.pad(array, [(0, 0), (0, 0), (92, 92), (92, 92)], mode="reflect")[..., 388:]
    assert beside.shape[-2:] == (572, 572)
    with torch.no_grad():
        came = torch.softmax(network.eval()(torch.from_numpy(beside)), dim=1).numpy()
    assert np.abs(came - expected).max() > 1e-3
    assert np.abs(tiled(network, array, (572, 572)) - whole(network, array)[0]).max() <= 1e-12


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2, 3), (91, 92), (93, 5)])
def test_a_margin_larger_than_the_image_reflects_repeatedly(size):
    network = network_of(1, 2, 4, torch.float64)
    array = np.random.default_rng(1).random((1, 1, *size))
    assert np.abs(tiled(network, array, (204, 220)) - whole(network, array)[0]).max() <= 1e-12


def test_bands_equal_the_whole_array():
    network = network_of(1, 3, 1, torch.float32)
    array = np.random.default_rng(2).random((3, 1, 50, 41), np.float32)
    plan = TilePlan(3, 50, 41, (28, 34), 4, network.geometry)
    bands = []

    def render(tile):
        return {"classes": tile.argmax(axis=0).astype(np.uint8), "probability": tile}

    sink = BandSink(plan, 3, render, bands.append)
    run(plan, ArraySource(array), Predictor(network), sink)
    expected = tiled(network, array, (28, 34), 4)
    came = np.concatenate([np.asarray(band.pixels["probability"]) for band in bands], axis=1)
    assert came.reshape(3, 3, 50, 41).swapaxes(0, 1).tobytes() == expected.tobytes()
    classes = np.concatenate([np.asarray(band.pixels["classes"]) for band in bands]).reshape(3, 50, 41)
    assert np.array_equal(classes, expected.argmax(axis=1))
    assert min(band.low for band in bands) == expected[:, 1].min()
    assert max(band.high for band in bands) == expected[:, 1].max()
    assert [(band.page, band.row) for band in bands] == [
        (p, r) for p in range(3) for r in range(len(plan.rows))
    ]


class RawArraySource(ArraySource):
    """Pixels that are mapped in a second step."""

    def raw(self, page, y0, y1, x0, x1):
        return super().read(page, y0, y1, x0, x1)

    def map(self, raw, page):
        return raw / np.float32(7)

    def read(self, page, y0, y1, x0, x1):
        raise AssertionError("the halves must be called")


def test_empty_tiles_become_background_without_the_network():
    network = network_of(1, 2, 1, torch.float32)
    array = np.full((2, 1, 60, 60), 5, np.float32)
    array[1, 0, 20, 20] = 6  # seen by four tiles or fewer, through their margins
    plan = TilePlan(2, 60, 60, (28, 28), 3, network.geometry)
    seen = []
    predict = Predictor(network)

    def counting(tiles):
        seen.append(len(tiles))
        return predict(tiles)

    sink = ArraySink(plan, 2)
    times = run(plan, RawArraySource(array), counting, sink, RunOptions(skip_empty=True))
    full = ArraySink(plan, 2)
    run(plan, RawArraySource(array), predict, full)
    dark = [
        tile
        for tile in map(plan.tile_at, range(plan.tiles))
        if not np.ptp(read_tile(ArraySource(array), tile, 60, 60))
    ]
    assert 0 < len(dark) < plan.tiles
    assert sum(seen) == plan.tiles - len(dark)
    expected = full.array.copy()
    for tile in dark:
        expected[tile.page, :, tile.row.kept, tile.column.kept] = np.array([1, 0])[:, None, None]
    assert np.abs(sink.array - expected).max() <= 1e-6
    assert min(times.as_dict().values()) >= 0
    assert times.map > 0


@pytest.mark.parametrize("where", ["read", "write"])
def test_an_error_in_a_thread_reaches_the_caller_and_ends_the_run(where):
    network = network_of(1, 2, 1, torch.float32)
    array = np.zeros((50, 1, 30, 30), np.float32)

    class Failing(ArraySource):
        def read(self, page, y0, y1, x0, x1):
            if where == "read" and page == 3:
                raise OSError("planted")
            return super().read(page, y0, y1, x0, x1)

    written = []

    class Sink:
        def write(self, tile, probabilities):
            written.append(tile.page)
            if where == "write" and tile.page == 3:
                raise OSError("planted")

    plan = TilePlan(50, 30, 30, (46, 46), 1, network.geometry)
    with pytest.raises(OSError, match="planted"):
        run(plan, Failing(array), Predictor(network), Sink())
    assert max(written) < 3 + 1 + 2 * engine.AHEAD


def test_pixels_wait_as_they_are_in_the_file_and_are_mapped_into_one_array():
    network = network_of(1, 2, 1, torch.float32)
    array = np.random.default_rng(0).random((3, 1, 50, 60), np.float32)
    plan = TilePlan(3, 50, 60, (34, 46), 1, network.geometry)
    seen, bands, predict = [], [], Predictor(network)

    def remembering(tiles):
        seen.append(tiles)
        return predict(tiles)

    sink = BandSink(plan, 2, lambda tile: {"classes": tile.argmax(axis=0).astype(np.uint8)}, bands.append)
    run(plan, RawArraySource(array), remembering, sink)
    assert len(seen) == len(plan)
    assert len({id(tiles) for tiles in seen}) == 1
    found = np.concatenate([np.asarray(band.pixels["classes"]) for band in bands]).reshape(3, 50, 60)
    assert np.array_equal(found, tiled(network, array / np.float32(7), (34, 46)).argmax(axis=1))


def test_outputs_that_are_a_view_of_the_tiles_are_not_written_over():
    network = network_of(1, 2, 0, torch.float32)  # it has margins of 2 px
    array = np.random.default_rng(0).random((1, 1, 64, 64), np.float32)
    plan = TilePlan(1, 64, 64, (20, 20), 1, network.geometry)
    margin, sink = network.geometry.margin, ArraySink(plan, 2)
    run(plan, ArraySource(array), lambda x: np.broadcast_to(x, (1, 2, 20, 20))[..., margin:, margin:], sink)
    assert np.array_equal(sink.array[0, 1], array[0, 0])


class Later:
    """A predictor that computes nothing before somebody waits for it, as a GPU may."""

    runs_ahead = True

    def __init__(self, predict, fails=None):
        self.predict, self.fails = predict, fails
        self.submitted = self.done = self.most = 0
        self.arrays = []

    def __call__(self, tiles):
        raise AssertionError("the next tiles could not be given")

    def array(self, shape, dtype):
        self.arrays.append(np.empty(shape, dtype))
        return self.arrays[-1]

    def submit(self, tiles):
        assert any(tiles is array for array in self.arrays)
        number = self.submitted
        self.submitted += 1
        self.most = max(self.most, self.submitted - self.done)

        def wait():
            # So that the next ones are there first, if the engine gives them.
            deadline = time.monotonic() + 5 * (number != self.fails)
            while self.submitted < min(number + 2, self.all) and time.monotonic() < deadline:
                time.sleep(0.001)
            if number == self.fails:
                raise RuntimeError("the device failed")
            self.done += 1
            return self.predict(tiles)

        return wait


def test_a_device_that_computes_by_itself_is_given_tiles_ahead_and_not_without_end():
    network = network_of(1, 2, 1, torch.float32)
    array = np.random.default_rng(0).random((3, 1, 50, 41), np.float32)
    plan = TilePlan(3, 50, 41, (28, 34), 2, network.geometry)
    later = Later(Predictor(network))
    later.all = len(plan)
    sink = ArraySink(plan, 2)
    times = run(plan, ArraySource(array), later, sink)
    assert sink.array.tobytes() == tiled(network, array, (28, 34), 2).tobytes()
    assert later.submitted == later.done == len(plan)
    assert 2 <= later.most <= engine.AHEAD + 2
    assert times.network > 0


def test_an_error_of_such_a_device_reaches_the_caller():
    network = network_of(1, 2, 1, torch.float32)
    plan = TilePlan(9, 30, 30, (46, 46), 1, network.geometry)
    later = Later(Predictor(network), fails=3)
    later.all = len(plan)
    with pytest.raises(RuntimeError, match="the device failed"):
        run(plan, ArraySource(np.zeros((9, 1, 30, 30), np.float32)), later, ArraySink(plan, 2))
    assert later.submitted < len(plan)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("average", ["none", "flips"])
def test_many_batches_in_flight_on_cuda_are_those_of_one_after_the_other(average):
    network = network_of(2, 3, 4, torch.float32, width=16)
    array = np.random.default_rng(0).random((12, 2, 400, 300), np.float32)
    plan = TilePlan(12, 400, 300, (284, 300), 3, network.geometry)
    for precision in ("float32", "bfloat16"):
        predict = Predictor(network, torch.device("cuda"), precision, average)
        one, other, third = (ArraySink(plan, 3) for _ in range(3))
        run(plan, ArraySource(array), predict, one)
        run(plan, ArraySource(array), predict, other, RunOptions(4))
        run(plan, ArraySource(array), lambda tiles, predict=predict: predict(tiles), third, RunOptions(1))
        assert one.array.tobytes() == other.array.tobytes() == third.array.tobytes()
        far = 1e-5 if precision == "float32" else 0.05
        assert np.abs(one.array - whole(network, array, average)[0]).max() <= far


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_equals_cpu_and_tiled_equals_whole_on_it():
    network = network_of(1, 2, 4, torch.float32, width=8)
    array = np.random.default_rng(0).random((1, 1, 500, 600), np.float32)
    plan = TilePlan(1, 500, 600, (380, 412), 3, network.geometry)
    sink = ArraySink(plan, 2)
    run(plan, ArraySource(array), Predictor(network, torch.device("cuda")), sink)
    assert np.abs(sink.array - whole(network, array)[0]).max() <= 1e-5


@pytest.mark.parametrize("nothing", [False, True])
def test_an_array_that_threads_fill_is_the_same(nothing):
    network = network_of(1, 3, 1, torch.float32)
    plan = TilePlan(2, 50, 60, (34, 46), 1, network.geometry)
    array = np.random.default_rng(0).random((2, 1, 50, 60), np.float32)
    predict = Predictor(network)
    sinks = [ArraySink(plan, 3, threads=threads) for threads in (False, True)]
    for sink in sinks:
        run(plan, ArraySource(array), lambda x: predict(x) * (np.nan if nothing else 1), sink)
    one, other = sinks
    assert one.array.tobytes() == other.array.tobytes()
    assert np.array_equal([one.low, one.high], [other.low, other.high], equal_nan=True)
    assert other.low > 0 or nothing
