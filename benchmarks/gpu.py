"""The share of a GPU's measured peak that training and tiled inference reach, next to MONAI.

``python -m benchmarks.gpu [--quick] [--device cuda] [--part inference] [--precision bfloat16] [--plain]``

Where there is no CUDA it says so and ends with status 1; ``--device cpu --quick`` tries the code there, with
sizes of which the times mean nothing. The peak is that of products of large square matrices.

- Training: `unet2015.train`'s own step and augmentation, batch 1; drop-out is off, so that variants
  (torch.compile, CUDA graphs) can be compared: a variant is timed where its gradients are no further
  from those of exact float32 than twice the plain step's. A step has three times the operations of a pass.
- Inference: an image from host memory to probabilities there, by the tile engine, and by MONAI's
  `sliding_window_inference` with the same weights and padding, its windows and its output on the GPU,
  with the fastest of several numbers of windows together. Both networks are first seen to be one, and
  the engine's result to be that of other tiles.

Times are those of CUDA events, candidates in turn, after warm-up; medians and spread of all repeats.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks import gpu_inference, gpu_training
from benchmarks.command import options
from benchmarks.device import KINDS, matrix_rates
from benchmarks.machine import keep_result, row
from unet2015.device import gpu_count, hardware_name
from unet2015.settings.choices import Precision

MATRICES = (2048, 4096, 8192, 16_384)
PARTS = ("training", "inference")
PRECISIONS: tuple[Precision, ...] = ("bfloat16", "float32")


def lacking() -> str:
    """Return what this benchmark needs that is not here; nothing where it can run."""
    if gpu_count():
        return ""
    return "this benchmark needs a GPU with CUDA; `--device cpu --quick` tries its code without one"


def gpu_options(name: str, description: str | None) -> ArgumentParser:
    """Return a parser as of `options`, with the device that `device_of` gives."""
    parser = options(name, description, "small sizes")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N; or, with --quick alone, cpu")
    return parser


def device_of(parser: ArgumentParser, given: Namespace) -> torch.device:
    """Return the device that is given; a CPU without ``--quick`` is wrong usage."""
    device = torch.device(given.device)
    if device.type == "cpu" and not given.quick:
        parser.error("on a CPU the code can only be tried: give --quick as well")
    return device


def measure(
    device: torch.device,
    quick: bool,
    parts: Sequence[str] = PARTS,
    precisions: Sequence[Precision] = PRECISIONS,
    variants: bool = True,
) -> dict[str, Any]:
    """Measure the peak, then training, then inference, or a part of it."""
    answer: dict[str, Any] = {
        "device": hardware_name(device),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }
    kinds = [name for name in KINDS if name == "bfloat16" or "float32" in precisions]
    rates = matrix_rates(device, (64,) if quick else MATRICES, 2 if quick else 7, kinds)
    for name, rate in rates.items():
        print(f"peak, {name}: {rate['rate'] / 1e12:.3g} TFLOP/s with matrices of {rate['size']}", flush=True)
    answer["peak_flops"], answer["table"] = rates, []
    if "training" in parts:
        sizes = gpu_training.Sizes(width=64, depth=4, tile=572, page=1024, repeats=30)
        if quick:
            sizes = gpu_training.Sizes(width=4, depth=2, tile=60, page=64, repeats=2)
        answer["training"] = gpu_training.measure_training(device, sizes, rates, precisions, variants)
        answer["table"] += training_rows(answer["training"]) if "bfloat16" in precisions else []
    if "inference" in parts:
        size = gpu_inference.Sizes(width=64, depth=4, side=2048, roi=572, together=(1, 4, 25), repeats=15)
        if quick:
            size = gpu_inference.Sizes(width=2, depth=2, side=100, roi=60, together=(1,), repeats=2)
        answer["inference"] = gpu_inference.measure_inference(device, size, rates, precisions, variants)
        answer["peers"] = answer["inference"].pop("peers")
        answer["table"] += inference_rows(answer["inference"]) if "bfloat16" in precisions else []
    return answer


def training_rows(training: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the table on training: next to the peak, and the augmentation."""
    step = training["bfloat16"]
    best = max(
        ((found["share_of_peak"], name) for name, found in step["variants"].items() if "step" in found),
        default=None,
    )
    note = f"{step['steps_a_second']:.1f} steps/s"
    if best is not None:
        note += f"; the best variant, {best[1]}, {100 * best[0]:.0f} %"
    return [
        row(
            f"GPU: training step, width {training['width']}, {training['tile']} px tile, batch 1, bfloat16",
            "its measured bfloat16 peak",
            100 * step["share_of_peak"],
            "%",
            40,
            note=note,
        ),
        row(
            "GPU: augmentation of a tile",
            "a training step in bfloat16",
            100 * step["share_of_augmentation"],
            "%",
            5,
            at_least=False,
        ),
    ]


def inference_rows(inference: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the table on tiled inference: next to MONAI."""
    tiled, found = inference["bfloat16"], []
    for overlap, aim in (("0.33", 3), ("0.25", 2.2)):
        if overlap in tiled["times_as_fast_as_monai"]:
            found.append(
                row(
                    f"GPU: tiled inference, width {inference['width']}, {inference['side']} x "
                    f"{inference['side']}, bfloat16",
                    f"MONAI, roi {inference['roi']}, overlap {overlap}",
                    tiled["times_as_fast_as_monai"][overlap],
                    "x",
                    aim,
                    note=f"{100 * tiled['share_of_peak']:.0f} % of the peak, the network alone "
                    f"{100 * tiled['network_share_of_peak']:.0f} %",
                )
            )
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Check that results agree, measure, print, and write the result file."""
    parser = gpu_options("gpu", __doc__)
    parser.add_argument("--part", choices=PARTS, help="this part alone")
    parser.add_argument("--precision", choices=PRECISIONS, help="this precision alone")
    parser.add_argument("--plain", action="store_true", help="no compiled and no recorded variants")
    given = parser.parse_args(arguments)
    device = device_of(parser, given)
    if device.type != "cpu" and lacking():
        print(lacking(), file=sys.stderr)
        return 1
    parts = PARTS if given.part is None else (given.part,)
    precisions = PRECISIONS if given.precision is None else (given.precision,)
    answer = measure(device, given.quick, parts, precisions, not given.plain)
    keep_result(given, "gpu", __doc__, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
