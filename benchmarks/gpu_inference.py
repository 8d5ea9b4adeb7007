"""The GPU's part about tiled inference: this project's engine, variants of its network, and MONAI's."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.device import (
    device_seconds,
    forward_flops,
    peak_mib,
    relative_error,
    see_close,
    tensor_float32,
)
from benchmarks.padded import PaddedUNet, largest_difference
from benchmarks.peers import peer, peer_versions
from unet2015.device import exact_float32
from unet2015.networks.unet2015 import UNet
from unet2015.settings.choices import Precision
from unet2015.tiling.engine import run
from unet2015.tiling.memory import choose_plan
from unet2015.tiling.plan import TilePlan
from unet2015.tiling.predictor import Predictor
from unet2015.tiling.reading import read_tile
from unet2015.tiling.sinks import ArraySink

OVERLAPS = (0.25, 0.33)
"""MONAI's default, and what its users take against seams."""
FARTHEST = 0.1
"""Error of the probabilities that bfloat16 may have next to float32."""
DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
ROUNDING = 1e-5
"""Error of the probabilities that another order of summing in float32 may make."""


@dataclass(frozen=True)
class Sizes:
    """What is segmented, and by what."""

    width: int
    depth: int
    side: int
    roi: int
    together: tuple[int, ...]
    repeats: int


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
        sink = ArraySink(self.plan, 2)
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
        sizes: Sizes,
    ) -> None:
        self.slide, self.device, self.overlap, self.roi = slide, device, overlap, sizes.roi
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


def measure_inference(device: torch.device, sizes: Sizes, rates: dict[str, Any]) -> dict[str, Any]:
    """Measure both precisions, next to MONAI where it is installed."""
    torch.manual_seed(0)
    network = UNet(1, 2, sizes.width, sizes.depth).eval()
    with torch.inference_mode():
        same = see_close("the padded network", largest_difference(network), ROUNDING)
    image = np.random.default_rng(0).random((1, sizes.side, sizes.side), np.float32)
    plan = choose_plan(network, (1, sizes.side, sizes.side), device)
    other = choose_plan(network, (1, sizes.side, sizes.side), device, tile=sizes.roi, batch=1)
    answer: dict[str, Any] = {
        "width": sizes.width,
        "side": sizes.side,
        "roi": sizes.roi,
        "plan": plan.as_dict(),
        "flops": plan.tiles
        * forward_flops(UNet(1, 2, sizes.width, sizes.depth).to("meta"), (1, 1, *plan.tile)),
        "padded_error": same,
        "peers": peer_versions("monai"),
    }
    exact = Inference(network, device, "float32", other)(image)
    monai = peer("monai.inferers")
    slide = None if monai is None else monai.sliding_window_inference
    for precision in ("bfloat16", "float32"):
        case = Case(network, device, sizes, precision, plan, image, exact)
        answer[precision] = _measure(case, slide, answer["flops"] / rates[precision]["rate"])
    return answer


@dataclass(frozen=True)
class Case:
    """What all candidates of one precision compute, and what must come out."""

    network: UNet
    device: torch.device
    sizes: Sizes
    precision: Precision
    plan: TilePlan
    image: NDArray[np.float32]
    exact: NDArray[Any]

    def inference(self) -> Inference:
        """Return the engine's way, ready."""
        return Inference(self.network, self.device, self.precision, self.plan)

    def error(self, way: Callable[[NDArray[np.float32]], NDArray[Any]]) -> float:
        """Return the error of the probabilities next to exact float32."""
        return relative_error([torch.from_numpy(way(self.image))], [torch.from_numpy(self.exact)])


def _measure(case: Case, slide: Callable[..., Any] | None, least: float) -> dict[str, Any]:
    """Time all candidates; `least` are the seconds that the operations take at the peak."""
    ours, image, device = case.inference(), case.image, case.device
    error = case.error(ours)
    limit = FARTHEST if case.precision == "bfloat16" else ROUNDING
    see_close(f"tiled inference in {case.precision}", error, limit)
    candidates: dict[str, Callable[[], object]] = {
        "engine": lambda: ours(image),
        "network alone": ours.network_alone(image),
    }
    left_out: dict[str, str] = {}
    errors = {"engine": error} | _add_variants(case, max(2 * error, ROUNDING), candidates, left_out)
    if slide is not None:
        _add_windows(case, slide, candidates, left_out)
    measured = device_seconds(device, *candidates.values(), repeats=case.sizes.repeats)
    times = dict(zip(candidates, measured, strict=True))
    median = {name: time["median"] for name, time in times.items()}
    monai = {
        str(overlap): min(fitting)
        for overlap in OVERLAPS
        if (fitting := [median[name] for name in median if name.startswith(_windows_name(overlap))])
    }
    found = {
        "errors": errors,
        "left_out": left_out,
        "times": times,
        "peak_mib": {name: peak_mib(device, candidate) for name, candidate in candidates.items()},
        "share_of_network": median["network alone"] / median["engine"],
        "share_of_peak": least / median["engine"],
        "network_share_of_peak": least / median["network alone"],
        "times_as_fast_as_monai": {overlap: time / median["engine"] for overlap, time in monai.items()},
    }
    for name, time in median.items():
        print(f"inference, {case.precision}, {name}: {1e3 * time:.2f} ms", flush=True)
    print(
        f"    {100 * found['share_of_peak']:.1f} % of the peak, the network alone "
        f"{100 * found['network_share_of_peak']:.1f} %; next to MONAI: {found['times_as_fast_as_monai']}"
    )
    return found


def _add_variants(
    case: Case, limit: float, candidates: dict[str, Callable[[], object]], left_out: dict[str, str]
) -> dict[str, float]:
    """Add the variants that are close enough, and return their errors."""
    errors = {}
    makers = {"compile": compiled} | ({"cuda graphs": recorded} if case.device.type == "cuda" else {})
    for name, make in makers.items():
        # A variant that this machine or this torch cannot run must not cost the other figures.
        try:
            variant = case.inference().change(make)
            errors[name] = see_close(f"{name}, {case.precision}", case.error(variant), limit)
            candidates[name] = lambda variant=variant: variant(case.image)  # type: ignore[misc]
        except Exception as reason:
            left_out[name] = f"{type(reason).__name__}: {reason}"[:500]
            print(f"    {name} is left out: {reason}", flush=True)
    return errors


def _add_windows(
    case: Case,
    slide: Callable[..., Any],
    candidates: dict[str, Callable[[], object]],
    left_out: dict[str, str],
) -> None:
    """Add MONAI's way, for each overlap and number of windows together that the device can hold."""
    for overlap in OVERLAPS:
        window = SlidingWindow(slide, case.network, case.device, case.precision, overlap, case.sizes)
        window.check(case.image)
        for together in case.sizes.together:
            name = f"{_windows_name(overlap)} {together} together"
            try:
                window(case.image, together)
            except torch.OutOfMemoryError as reason:
                left_out[name] = str(reason)[:500]
                continue
            candidates[name] = lambda window=window, n=together: window(case.image, n)  # type: ignore[misc]


def _windows_name(overlap: float) -> str:
    return f"MONAI, overlap {overlap},"
