"""What a step of the command's own training costs on a GPU, by optimizer and precision.

``python -m benchmarks.gpu_command [--quick] [--device cuda]``

`unet2015.train` on drawn pages of 512 x 512, the paper's network at width 64, tiles of 572 px, no pages held
out: the time between two steps far apart, by the clock, without the first ones, in which the step is
recorded. And the most memory that PyTorch used, once more with pages held out as well. ``--device cpu
--quick`` tries the code where there is no CUDA, with sizes of which the times mean nothing.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tifffile
import torch

from benchmarks.gpu import PRECISIONS, device_of, gpu_options, lacking
from benchmarks.machine import keep_result
from unet2015.device import hardware_name
from unet2015.settings import TrainingSettings, load_settings
from unet2015.settings.choices import Precision
from unet2015.synthetic import em_stack
from unet2015.training.loop import train

RECIPES: dict[str, dict[str, Any]] = {
    "sgd": {"learning_rate": 3e-3},
    "adam": {"learning_rate": 4e-4},
    "muon": {"learning_rate": 1e-3, "momentum": 0.95, "momentum_ramp": 0},
}


@dataclass(frozen=True)
class Sizes:
    """What is trained: the network, its tile, drawn pages, and steps of which the first do not count."""

    width: int = 64
    depth: int = 4
    tile: int = 572
    page: int = 512
    steps: int = 120
    first: int = 20


QUICK = Sizes(width=2, depth=2, tile=60, page=80, steps=4, first=2)


def settings_of(sizes: Sizes, optimizer: str, precision: Precision, held_out: bool) -> TrainingSettings:
    """Return the settings of one training; pages held out are looked at half-way and at the end."""
    rule = {"optimizer": optimizer, "precision": precision, "tile": sizes.tile, "steps": sizes.steps}
    rule |= {"clip": 0.5, **RECIPES[optimizer]}
    looks = {"fraction": 0.25, "interval": sizes.steps // 2, "attempts": 1} if held_out else {"fraction": 0.0}
    dropout = 0.5 if optimizer == "sgd" else 0.0  # as the shipped settings have it
    return load_settings(
        None,
        {
            "network": {"width": sizes.width, "depth": sizes.depth, "dropout": dropout},
            "labels": {"kind": "membrane"},
            "optimisation": rule,
            "validation": looks,
        },
    )


def measure_training(
    folder: Path, sizes: Sizes, settings: TrainingSettings, device: torch.device
) -> dict[str, Any]:
    """Train once in a folder that holds the pages; return what a step took and the memory used."""
    times: dict[int, float] = {}
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    train(
        folder / "images.tif",
        folder / "labels.tif",
        folder / f"{len(list(folder.iterdir()))}",
        settings=settings,
        device=str(device),
        progress=lambda done, total: times.setdefault(done, time.perf_counter()),
    )
    # The last step is followed by all that is written.
    counted = sorted(step for step in times if sizes.first <= step < sizes.steps)
    first, last = counted[0], counted[-1]
    found: dict[str, Any] = {
        "from": first,
        "to": last,
        "seconds": (times[last] - times[first]) / (last - first),
    }
    if device.type == "cuda":
        found["peak_gib"] = torch.cuda.max_memory_allocated(device) / 2**30
        found["reserved_gib"] = torch.cuda.max_memory_reserved(device) / 2**30
    return found


def measure(sizes: Sizes, device: torch.device) -> dict[str, Any]:
    """Measure each optimizer in each precision, and Adam with pages held out, too."""
    cases = [(optimizer, precision, False) for precision in PRECISIONS for optimizer in RECIPES]
    cases += [("adam", precision, True) for precision in PRECISIONS]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, pages in zip(
            ("images.tif", "labels.tif"), em_stack(4, sizes.page, sizes.page), strict=True
        ):
            tifffile.imwrite(folder / path, pages, photometric="minisblack")
        for optimizer, precision, held_out in cases:
            title = f"{optimizer}, {precision}" + (", pages held out" if held_out else "")
            settings = settings_of(sizes, optimizer, precision, held_out)
            found[title] = measure_training(folder, sizes, settings, device)
            if held_out:  # a look lies between the steps
                del found[title]["seconds"]
                print(title, found[title].get("peak_gib", ""), flush=True)
            else:
                print(f"{title}: {1000 * found[title]['seconds']:.2f} ms a step", flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the result file."""
    parser = gpu_options("gpu_command", __doc__)
    given = parser.parse_args(arguments)
    device = device_of(parser, given)
    if device.type != "cpu" and lacking():
        print(lacking(), file=sys.stderr)
        return 1
    sizes = QUICK if given.quick else Sizes()
    answer = {"device": hardware_name(device), "sizes": vars(sizes), "trainings": measure(sizes, device)}
    keep_result(given, "gpu_command", __doc__, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
