"""The ways to segment an image on a GPU that are timed: this project's engine, its variants, and MONAI's."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.device import relative_error, see_close, tensor_float32
from benchmarks.padded import PaddedUNet
from unet2015.device import exact_float32
from unet2015.networks.unet2015 import UNet
from unet2015.settings.choices import Precision
from unet2015.tiling.engine import run
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.predictor import Predictor
from unet2015.tiling.reading import read_tile
from unet2015.tiling.sinks import ArraySink

FARTHEST = 0.1
"""Error of the probabilities that bfloat16 may have next to float32."""
DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
ROUNDING = 1e-5
"""Error of the probabilities that another order of summing in float32 may make."""


def converted(network: UNet, device: torch.device, precision: Precision) -> UNet:
    """Return a copy on the device, in the order and the precision that the engine computes in there."""
    found = copy.deepcopy(network).eval().requires_grad_(False)
    found.to(DTYPES[precision])
    found.head.to(torch.float32)
    return found.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


class Recorded:
    """A network that runs from a CUDA graph for inputs of one shape; the output lives until the next call."""

    def __init__(self, network: nn.Module, example: Tensor) -> None:
        self._network, self._input = network, example.clone()
        beside, here = torch.cuda.Stream(), torch.cuda.current_stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(here)
        with torch.cuda.stream(beside):  # what is chosen and allocated at first must not be recorded
            for _ in range(3):
                network(self._input)
        here.wait_stream(beside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._output: Tensor = network(self._input)

    def __call__(self, x: Tensor) -> Tensor:
        """Return what the network gives."""
        if x.shape != self._input.shape:
            found: Tensor = self._network(x)
            return found
        self._input.copy_(x)
        self._graph.replay()
        return self._output


class Pages:
    """An image in memory, as the engine reads it."""

    def __init__(self, image: NDArray[np.float32]) -> None:
        self._image = image

    def read(self, page: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.float32]:
        """Return (channels, y1 - y0, x1 - x0)."""
        return self._image[:, y0:y1, x0:x1]


class Inference:
    """The way of this project: host to host, by a plan of the engine and a `Predictor`."""

    def __init__(self, network: UNet, device: torch.device, precision: Precision, plan: TilePlan) -> None:
        self.device, self.plan, self.precision = device, plan, precision
        self.network = network
        self.predictor = Predictor(network, device, precision)

    def change(self, make: Callable[[nn.Module, Tensor], Any]) -> "Inference":
        """Put what `make` makes of the network, and of a batch of tiles, in its place."""
        shape = (self.plan.batch, 1, *self.plan.tile)
        example = torch.zeros(shape, device=self.device, dtype=DTYPES[self.precision])
        example = example.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), exact_float32(self.device):
            network = converted(self.network, self.device, self.precision)
            self.predictor.scores = make(network, example)
        return self

    def __call__(self, image: NDArray[np.float32]) -> NDArray[Any]:
        """Return probabilities (classes, H, W) of an image (channels, H, W)."""
        sink = ArraySink(self.plan, 2, threads=self.predictor.runs_ahead)
        run(self.plan, Pages(image), self.predictor, sink)
        probabilities: NDArray[Any] = sink.array[0]
        return probabilities

    def network_alone(self, image: NDArray[np.float32]) -> Callable[[], None]:
        """Return what sends the same tiles, on the device already, through the network."""
        source, network, dtype = Pages(image), self.predictor.scores, DTYPES[self.precision]
        batches = [
            torch.from_numpy(
                np.stack([read_tile(source, tile, self.plan.height, self.plan.width) for tile in batch])
            )
            .to(self.device, dtype)
            .contiguous(memory_format=torch.channels_last)
            for batch in self.plan
        ]

        def call() -> None:
            with torch.inference_mode(), exact_float32(self.device):
                for batch in batches:
                    network(batch)

        return call


class SlidingWindow:
    """MONAI's way: host to host, windows and stitched output on the device, in the same precision."""

    def __init__(
        self,
        slide: Callable[..., Any],
        network: UNet,
        device: torch.device,
        precision: Precision,
        overlap: float,
        roi: int,
    ) -> None:
        self.slide, self.device, self.overlap, self.roi = slide, device, overlap, roi
        self.padded, self.dtype = PaddedUNet(converted(network, device, precision)), DTYPES[precision]

    def __call__(self, image: NDArray[np.float32], together: int) -> NDArray[Any]:
        """Return probabilities (classes, H, W) of an image (channels, H, W), `together` windows at a time."""

        def scores(windows: Tensor) -> Tensor:
            x = windows.to(self.dtype).contiguous(memory_format=torch.channels_last)
            found: Tensor = self.padded(x).float()
            return found

        with torch.inference_mode(), tensor_float32(self.device, allowed=False, benchmark=True):
            x = torch.from_numpy(image)[None].to(self.device)
            stitched = self.slide(x, (self.roi, self.roi), together, scores, overlap=self.overlap)
            probabilities: NDArray[Any] = torch.softmax(stitched, dim=1)[0].cpu().numpy()
            return probabilities

    def check(self, image: NDArray[np.float32]) -> None:
        """See that one window comes out as the padded network gives it."""
        one = np.ascontiguousarray(image[:, : self.roi, : self.roi])
        with torch.inference_mode(), tensor_float32(self.device, allowed=False):
            x = torch.from_numpy(one)[None].to(self.device, self.dtype)
            expected = torch.softmax(self.padded(x).float(), dim=1)[0].cpu()
        limit = FARTHEST if self.dtype == torch.bfloat16 else ROUNDING
        see_close("MONAI on one window", relative_error([torch.from_numpy(self(one, 1))], [expected]), limit)


def recorded(network: nn.Module, example: Tensor) -> Any:
    """Return the network, recorded as a CUDA graph."""
    return Recorded(network, example)


def compiled(network: nn.Module, example: Tensor) -> Any:
    """Return the network compiled; on a CPU by Dynamo alone, which is enough to try the code."""
    return torch.compile(network, backend="inductor" if example.is_cuda else "eager")
