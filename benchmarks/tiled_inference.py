"""Tiled inference on a CPU, next to MONAI's sliding windows with the same weights.

``python -m benchmarks.tiled_inference [--quick] [--precision float32] [--orders both] [--threads N]``

The sliding windows run a padded U-Net of the same weights (``benchmarks/padded.py``), in torch's usual memory
order, channels first, as most who use them do, and in the one in which a window is faster (with
``--orders faster`` in that one alone). Windows are of 572 px: overlap 0.33, which leaves each window's inner
388 px (no seam), and 0.25, MONAI's default. Both give probabilities.

With one thread, ratios are of processor time, which other work on the machine disturbs less; else of time by
the clock. Each is the least of all repeats, as other work on the host of a virtual machine only adds to it.

That both networks compute the same is seen before any time is taken, on scores that the padding does not
reach. With windows off the grid of the poolings and padding at their borders, the sliding windows' whole
result differs; by how much is in the result.
"""

import argparse
import copy
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import cpu_kind, keep_result, matrix_product, result_of_kind, row, seconds
from benchmarks.padded import PaddedUNet, largest_difference
from benchmarks.peers import peer, peer_versions
from unet2015.device import thread_count
from unet2015.geometry import unet_sides
from unet2015.models.model_file import Model, ModelInfo
from unet2015.networks.architecture import FASTEST
from unet2015.networks.cpu.convolution_choice import least_product, way_of
from unet2015.networks.cpu.winograd_layers import is_aligned, winograd_layers
from unet2015.networks.unet2015 import UNet
from unet2015.segmentation.in_memory import segment
from unet2015.settings import Mapping, NetworkSettings
from unet2015.settings.choices import Precision
from unet2015.tiling.memory import choose_plan

OVERLAPS = (0.33, 0.25)
AIMS = {0.33: 3.0, 0.25: 2.2}
TOLERANCE = 1e-5
NEAR = {"float32": 1e-5, "bfloat16": 0.05}
FIRST, LAST = "channels first (as it comes)", "channels last"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def network_of(width: int) -> UNet:
    """Return a network with drawn weights."""
    torch.manual_seed(0)
    return UNet(width=width).eval().requires_grad_(False)


def model_of(network: UNet) -> Model:
    """Return a model that reads intensities as they are."""
    info = ModelInfo(
        network=NetworkSettings(width=network.width, depth=network.depth),
        mapping=Mapping(method="fixed", low=(0.0,), high=(1.0,)),
        class_names=("background", "cell"),
    )
    return Model(network, info)


class Windows:
    """MONAI's sliding windows over the padded network, to probabilities."""

    def __init__(self, network: UNet, precision: Precision, window: int, overlap: float, last: bool) -> None:
        padded: nn.Module = PaddedUNet(network_of(network.width)).eval()
        padded.load_state_dict({f"network.{key}": value for key, value in network.state_dict().items()})
        padded.to(DTYPES[precision])
        if last:
            padded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.padded, self.dtype, self.window, self.overlap = padded, DTYPES[precision], window, overlap
        self.count = 0
        self.format = torch.channels_last if last else torch.contiguous_format

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities (classes, height, width)."""
        monai = peer("monai.inferers")
        assert monai is not None
        x = torch.from_numpy(image)[None, None].to(self.dtype)
        with torch.inference_mode():
            found: Tensor = monai.sliding_window_inference(
                x, self.window, sw_batch_size=1, predictor=self._predict, overlap=self.overlap
            )
            probabilities: NDArray[np.float32] = torch.softmax(found.float(), dim=1)[0].numpy()
            return probabilities

    def _predict(self, window: Tensor) -> Tensor:
        self.count += 1
        scores: Tensor = self.padded(window.contiguous(memory_format=self.format))
        return scores


def compare(
    network: UNet, side: int, window: int, precision: Precision, repeats: int, monai: bool, both: bool
) -> dict[str, Any]:
    """Time our tiles and the windows in turn on one image; return times and ratios."""
    image = np.random.default_rng(0).random((side, side), np.float32)
    candidates: list[Callable[[], Any]] = [
        partial(segment, image, model_of(network), probabilities=True, device="cpu", precision=precision)
    ]
    answer: dict[str, Any] = {"precision": precision, "windows": []}
    kinds: list[tuple[float, str]] = []
    if monai:
        answer["one_window"] = orders = one_window(network, precision, window)
        faster = min(orders, key=lambda name: taken_by(orders[name]))
        kinds = [(overlap, order) for order in orders if both or order == faster for overlap in OVERLAPS]
        for overlap, order in kinds:
            windows = Windows(network, precision, window, overlap, order == LAST)
            candidates.append(partial(windows, image))
    results: list[Any] = [None] * len(candidates)

    def keep(index: int) -> None:
        results[index] = candidates[index]()

    answer["ours"], *others = seconds(
        *(partial(keep, index) for index in range(len(candidates))), repeats=repeats
    )
    check(network, results[0], image, precision)
    if monai:
        answer["work"] = work(network, side, window, precision, windows.count // repeats)
    print(f"{precision}: ours {taken_by(answer['ours']):.2f} s", flush=True)
    for (overlap, order), result, taken in zip(kinds, results[1:], others, strict=True):
        ratio = taken_by(taken) / taken_by(answer["ours"])
        answer["windows"].append(
            {
                "overlap": overlap,
                "order": order,
                "times": taken,
                "ratio": ratio,
                "largest_difference": float(np.abs(result[1] - results[0]).max()),
            }
        )
        print(f"  overlap {overlap}, {order}: {taken_by(taken):.2f} s, {ratio:.2f} times ours", flush=True)
    return answer


def taken_by(times: dict[str, Any]) -> float:
    """Return the least of all repeats, in seconds: of the processor with one thread, else by the clock."""
    return float(times["cpu_least" if thread_count() == 1 else "least"])


@torch.inference_mode()
def check(
    network: UNet, found: NDArray[np.float32], image: NDArray[np.float32], precision: Precision
) -> None:
    """See that the tiles' probabilities of class 1 are the network's, in two corners and the middle."""
    margin, factor = network.geometry.margin, network.geometry.factor
    size = network.geometry.input_for(min(64, image.shape[0] // 2))
    inside = network.geometry.output_size(size)
    padded = np.pad(image, margin, "reflect")
    last = (image.shape[0] - inside) // factor * factor
    for start in (0, last // 2 // factor * factor, last):
        part = padded[start : start + size, start : start + size]
        scores = network(torch.from_numpy(part)[None, None])
        expected = torch.softmax(scores, dim=1)[0, 1].numpy()
        at = slice(start, start + inside)
        difference = float(np.abs(found[at, at] - expected).max())
        if not difference <= NEAR[precision]:
            raise RuntimeError(
                f"the tiles' probabilities at row {start} are off by {difference:.2g} in {precision}"
            )


def one_window(network: UNet, precision: Precision, window: int) -> dict[str, Any]:
    """Return the times of the padded network for one window, in both memory orders."""
    image = np.random.default_rng(0).random((window, window), np.float32)
    candidates = [partial(Windows(network, precision, window, 0.0, last), image) for last in (False, True)]
    for candidate in candidates:
        candidate()
    return dict(zip((FIRST, LAST), seconds(*candidates, repeats=3), strict=True))


def work(network: UNet, side: int, window: int, precision: Precision, windows: int) -> dict[str, Any]:
    """Return how many operations both ways take, by torch's own count, and the tiles.

    Those are of sums over the window; ``gflop_done`` is what is left of them with Winograd.
    """
    plan = choose_plan(network, (1, side, side), torch.device("cpu"))
    meta = copy.deepcopy(network).to("meta")

    def count(module: nn.Module, height: int, width: int) -> float:
        with FlopCounterMode(display=False) as counter:
            module(torch.empty(1, network.in_channels, height, width, device="meta"))
        return float(counter.get_total_flops())

    total = plan.tiles * count(meta, *plan.tile) / 1e9
    return {
        "tile": list(plan.tile),
        "tiles": plan.tiles,
        "gflop": total,
        "gflop_done": total - plan.tiles * saved(network, *plan.tile, precision) / 1e9,
        "windows": windows,
        "windows_gflop": windows * count(PaddedUNet(meta), window, window) / 1e9,
        "matrix_product_gflops": matrix_product(DTYPES[precision], 4096 if side > 1000 else 64, 7),
    }


def saved(network: UNet, height: int, width: int, precision: Precision) -> float:
    """Return the operations that Winograd saves in a tile: 4 products an output and channel instead of 9."""
    dtype = DTYPES[precision]
    way = way_of(network, dtype, FASTEST)
    if way is None or not is_aligned(network.depth, height, width):
        return 0.0
    rows, columns = (unet_sides(side, network.depth) for side in (height, width))
    return sum(
        2.0 * (9 - 4) * layer.height * layer.width * layer.channels_in * layer.channels_out
        for layer in winograd_layers(network, rows, columns, dtype, least_product(way))
    )


def table(answer: dict[str, Any], side: int, width: int) -> list[dict[str, Any]]:
    """Return a row for each overlap."""
    if not answer["windows"]:
        return []
    done = answer["work"]
    ours = done["gflop_done"] / taken_by(answer["ours"])
    peak = done["matrix_product_gflops"]
    direct = f" ({done['gflop'] / 1e3:.1f} by sums over the window)" * (done["gflop"] > done["gflop_done"])
    note = (
        f"{done['gflop_done'] / 1e3:.1f} TFLOP{direct} in {done['tiles']} tile(s) at {ours:.0f} GFLOP/s, "
        "next to "
        f"{done['windows_gflop'] / 1e3:.1f} in {done['windows']} windows at {{:.0f}}; a matrix product "
        f"reaches {peak:.0f}, at which the tiles would be {{:.2f}} times as fast as the windows"
        + "; processor time of one thread" * (thread_count() == 1)
        + f"; least of {answer['ours']['repeats']}"
    )
    return [
        row(
            f"tiled inference, width {width}, {side} x {side}, {cpu_kind()}, {answer['precision']}",
            f"MONAI sliding windows, overlap {windows['overlap']}, {windows['order']}",
            windows["ratio"],
            "x",
            AIMS[windows["overlap"]],
            note=note.format(
                done["windows_gflop"] / taken_by(windows["times"]),
                taken_by(windows["times"]) * peak / done["gflop_done"],
            ),
        )
        for windows in answer["windows"]
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check that the networks agree, measure, print, and write the result file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tiled_inference", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small network and image, to see that it runs")
    parser.add_argument("--precision", nargs="+", choices=list(DTYPES), default=list(DTYPES))
    parser.add_argument("--orders", choices=("both", "faster"), default="both", help="of the windows' memory")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, help="of torch; default: as many as it takes by itself")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of the results, tiled_inference_PRECISION[_amx].json (default: results)",
    )
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    width, side, window = (2, 200, 204) if options.quick else (64, 2048, 572)
    network = network_of(width)
    difference = largest_difference(network)
    if not difference <= TOLERANCE:
        raise RuntimeError(f"the two networks differ by {difference:.2g} (relative), more than {TOLERANCE}")
    monai = peer("monai") is not None
    repeats = 1 if options.quick else options.repeats
    folder = options.out
    for precision in options.precision:
        found = compare(network, side, window, precision, repeats, monai, options.orders == "both")
        answer = {
            "width": width,
            "side": side,
            "window": window,
            "threads": thread_count(),
            "peers": peer_versions("monai"),
            "largest_relative_difference_of_the_networks": difference,
            **found,
            "table": table(found, side, width),
        }
        name = result_of_kind(f"tiled_inference_{precision}")
        options.out = None if folder is None else folder / f"{name}.json"
        keep_result(options, name, __doc__, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
