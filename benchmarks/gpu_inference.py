"""The GPU's part about tiled inference: this project's engine, variants of its network, and MONAI's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.device import device_seconds, forward_flops, peak_mib, relative_error, see_close
from benchmarks.gpu_segmenters import FARTHEST, ROUNDING, Inference, SlidingWindow, compiled, recorded
from benchmarks.padded import largest_difference
from benchmarks.peers import peer, peer_versions
from unet2015.networks.unet2015 import UNet
from unet2015.settings.choices import Precision
from unet2015.tiling.memory import choose_plan
from unet2015.tiling.plan import TilePlan

OVERLAPS = (0.25, 0.33)
"""MONAI's default, and what its users take against seams."""


@dataclass(frozen=True)
class Sizes:
    """What is segmented, and by what."""

    width: int
    depth: int
    side: int
    roi: int
    together: tuple[int, ...]
    repeats: int


def measure_inference(
    device: torch.device,
    sizes: Sizes,
    rates: dict[str, Any],
    precisions: Sequence[Precision] = ("bfloat16", "float32"),
    variants: bool = True,
) -> dict[str, Any]:
    """Measure some precisions, next to MONAI where it is installed, and to variants of the network's call."""
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
    for precision in precisions:
        case = Case(network, device, sizes, precision, plan, image, exact, variants)
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
    variants: bool = True

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
    errors = {"engine": error}
    if case.variants:
        errors |= _add_variants(case, max(2 * error, ROUNDING), candidates, left_out)
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
        window = SlidingWindow(slide, case.network, case.device, case.precision, overlap, case.sizes.roi)
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
