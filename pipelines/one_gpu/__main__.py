"""Everything that ten minutes of one GPU can give: the paper's tables at full width, in one command.

``python -m pipelines.one_gpu --data FILE.npz --out DIR --seconds 520 [--device cuda] [--seed N] [--quick]``

FILE is what :mod:`pipelines.device_sets` packs. In this order, bounded by the clock: CPU and GPU are seen to
agree; the card's bfloat16 peak; some steps of every recipe, of which those that beat the best constant
answer are compared, and the best goes on; all trainings side by side, their steps chosen by the time that is
left; held-out maps as 8 bit; inference times; one model in half precision, in parts. What is finished stays:
the same command goes on with what is missing. Ctrl-C, or a SIGTERM, keeps all trainings as they stand.

Nothing here measures: the maps are measured afterwards, on any machine.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from pipelines.base.command import attempt, options
from pipelines.on_device.sets import load
from pipelines.one_gpu.plan import Clock, Plan
from pipelines.one_gpu.run import Run
from pipelines.one_gpu.stages import agree, augmentation, choose, inference, peak
from pipelines.one_gpu.train_stage import train
from unet2015.device import gpu_count
from unet2015.errors import TrainingError, UsageError
from unet2015.safe_files import claim, make_folder

FOLDER = Path(__file__).parents[1]
SETTINGS, QUICK = FOLDER / "one_gpu.toml", FOLDER / "one_gpu-quick.toml"
STAGES = (agree, peak, augmentation, choose, train, inference)
"""In the order in which they are taken."""


def find_device(name: str) -> torch.device:
    """Return a device that is there.

    Raises
    ------
    UsageError
        It is not.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"expected a device such as cuda, cuda:1 or cpu, got {name!r}") from error
    if device.type == "cuda" and not gpu_count():
        raise UsageError("there is no GPU with CUDA here; `--device cpu --quick` tries the code")
    return device


def main(words: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    parser = options("one_gpu", __doc__)
    parser.add_argument("--data", type=Path, required=True, help="what pipelines.device_sets packed")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--seconds", type=float, default=520, help="time (default: %(default)s)")
    parser.add_argument(
        "--device", default="cuda", help="cuda, or cpu to try the code (default: %(default)s)"
    )
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="default: %(default)s")
    parser.add_argument("--seed", type=int, help="of trainings that name none (default: the file's)")
    parser.add_argument("--quick", action="store_true", help=f"all stages at tiny size: {QUICK.name}")
    given = parser.parse_args(words)
    clock = Clock(given.seconds)

    def work() -> int:
        device = find_device(given.device)
        plan = Plan(load(given.data), QUICK if given.quick else given.settings, given.seed)
        torch.backends.cudnn.benchmark = True
        busy = TrainingError(
            f"{given.out}: another run is writing into this folder; wait until it ends, or choose another"
        )
        with claim(make_folder(given.out) / "one_gpu", busy):
            return Run(plan, given.out, device, clock).take(STAGES)

    return attempt(work)


if __name__ == "__main__":
    sys.exit(main())
