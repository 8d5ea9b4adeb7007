"""What a device can do, measured: agreement with a CPU, its peak, augmentation, tiled inference."""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from unet2015.device import synchronize
from unet2015.networks import Network, build
from unet2015.settings import AnyNetworkSettings, TrainingSettings
from unet2015.tiling.engine import run
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.predictor import Predictor
from unet2015.tiling.sinks import ArraySink
from unet2015.training.on_device import DeviceTraining
from unet2015.training.precision import autocast


class Held:
    """An image in memory, as a source for the engine."""

    def __init__(self, pixels: NDArray[np.float32]) -> None:
        self.pixels = pixels

    def read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.float32]:
        """Return a region, (channels, y1 - y0, x1 - x0)."""
        return self.pixels[:, y0:y1, x0:x1]


def _seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    times = []
    for _ in range(repeats + 1):
        synchronize(device)
        start = time.perf_counter()
        work()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def agreement(settings: AnyNetworkSettings, device: torch.device) -> dict[str, float]:
    """Return how far scores lie from those of a CPU, as a share of the largest, for each precision."""
    network = build(settings, 1, 2).eval()
    image = torch.randn(1, 1, 316, 316, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network(image)
        network.to(device)
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False):
            exact = network(image.to(device)).cpu()
        with autocast(device, "bfloat16"):
            rough = network(image.to(device)).float().cpu()
    largest = float(expected.abs().max())
    return {
        name: float((found - expected).abs().max()) / largest
        for name, found in (("float32", exact), ("bfloat16", rough))
    }


def bfloat16_peak(side: int, device: torch.device) -> float:
    """Return operations a second of products of square matrices in bfloat16."""
    one, other = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))

    def work() -> None:
        for _ in range(10):
            one @ other

    return 10 * 2 * side**3 / _seconds(work, device, 7)


def augmentation_seconds(training: DeviceTraining) -> float:
    """Return the seconds of a tile's deformation, recorded as in a step; the training is loaded, on a GPU."""
    row, graph = training.draws[0, 0].clone(), torch.cuda.CUDAGraph()
    training.wait()
    training.deform(row)
    with torch.cuda.graph(graph):
        training.deform(row)

    def work() -> None:
        for _ in range(100):
            graph.replay()

    return _seconds(work, training.device, 5) / 100


def inference_seconds(
    network: Network, sides: list[int], device: torch.device
) -> dict[str, dict[str, float]]:
    """Time tiled inference of square images by the engine, from host memory to host memory."""
    predict, found = Predictor(network.eval(), device, "bfloat16"), {}
    for side in sides:
        source = Held(np.random.default_rng(0).standard_normal((1, side, side)).astype(np.float32))
        tile = network.geometry.input_for(min(side, 1024))
        plan = TilePlan(1, side, side, (tile, tile), 1, network.geometry)
        times = []
        for _ in range(4):
            start = time.perf_counter()
            run(plan, source, predict, ArraySink(plan, 2))
            times.append(time.perf_counter() - start)
        found[str(side)] = {"seconds": statistics.median(times[1:]), "first": times[0], "tile": float(tile)}
    return found


def step_operations(settings: TrainingSettings) -> float:
    """Return the operations of a step: three times those of a pass."""
    side = settings.optimisation.tile
    network = build(settings.network, 1, settings.labels.classes).to("meta")
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(settings.optimisation.batch, 1, side, side, device="meta"))
    return 3.0 * float(counter.get_total_flops())
