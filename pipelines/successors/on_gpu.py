"""The comparison of networks at their published widths on one GPU, in minutes.

``python -m pipelines.successors.on_gpu --data FILE.npz --out DIR --seconds 400 [--device cuda]``

FILE is what :mod:`pipelines.device_sets` packs. All are trained with the common recipe, for as many steps and
for as many seconds of the card: first the step of each network is timed, alone, and from it follow the steps
that it may take. What is measured was held out; the measures are taken in other processes meanwhile. Nothing
ends a training early. Seeds come one after the other, so that a time too short leaves whole tables.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from pipelines.base.command import attempt, options
from pipelines.base.settings import FOLDER
from pipelines.on_device.sets import load
from pipelines.successors.comparison import Comparison
from pipelines.successors.settings import DeviceComparison
from unet2015.device import gpu_count
from unet2015.safe_files import make_folder, write_json
from unet2015.settings import parse_settings, read_toml


def main(words: Sequence[str] | None = None) -> int:
    """Run the comparison from the command line and return the exit status."""
    parser = options("successors.on_gpu", __doc__)
    parser.add_argument("--data", type=Path, required=True, help="what pipelines.device_sets packed")
    parser.add_argument("--out", type=Path, required=True, help="folder of the result")
    parser.add_argument("--seconds", type=float, default=400, help="time (default: %(default)s)")
    parser.add_argument("--grace", type=float, default=60, help="and for the last measures")
    parser.add_argument("--device", default="cuda" if gpu_count() else "cpu")
    parser.add_argument("--settings", type=Path, default=FOLDER / "successors-gpu.toml")
    parser.add_argument("--slots", type=int, default=3, help="trainings side by side")
    parser.add_argument("--processes", type=int, default=6, help="that measure")
    given = parser.parse_args(words)
    until = time.monotonic() + given.seconds

    def work() -> int:
        torch.backends.cudnn.benchmark = True
        chosen = parse_settings(
            DeviceComparison, read_toml(given.settings, str(given.settings)), "successors"
        )
        found = Comparison(load(given.data), chosen, torch.device(given.device), given.processes)
        try:
            found.run(given.slots, until)
        finally:
            found.measuring.close(given.grace)
            result = found.result()
            write_json(make_folder(given.out) / "result.json", result)
        return 1 if result["missing"] else 0

    return attempt(work)


if __name__ == "__main__":
    sys.exit(main())
