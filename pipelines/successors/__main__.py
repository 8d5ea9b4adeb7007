"""The paper's network and seven that came after it: ``python -m pipelines.successors --data DIR``.

Each is trained on ISBI 2012 (without fold 4), PhC-U373 (its first frames) and DIC-HeLa (sequence 01) with its
own published recipe and with the common one (that of the settings `quick`), for as many CPU seconds; and with
the common one for as many steps. What is measured was held out. Widths are scaled down, all in the same way,
so that a training takes minutes. One row a training; a stopped run goes on with the same command, and
--so-far makes the table and the page of what is finished.

DIR holds isbi2012/train-volume.tif, isbi2012/train-labels.tif and the folders of ctc, as for
pipelines.isbi2012 and pipelines.cell_tracking. Seconds are those of the processor, so they do not depend on
what else runs; set OMP_NUM_THREADS=1, or --threads.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from pipelines.base.command import attempt, options
from pipelines.base.run import run_stages
from pipelines.base.settings import FOLDER
from pipelines.successors.settings import SuccessorSettings
from pipelines.successors.stages import partial, stages
from unet2015.settings import parse_settings, read_toml


def main(words: Sequence[str] | None = None) -> int:
    """Run the stages and return the exit status."""
    parser = options("successors", __doc__)
    parser.add_argument("stages", nargs="*", help="run these stages, and what they need (default: all)")
    parser.add_argument("--data", type=Path, required=True, help="folder with isbi2012 and ctc")
    parser.add_argument("--out", type=Path, default=Path("runs/successors"), help="(default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="trainings of about a minute")
    parser.add_argument("--settings", type=Path, help="a file of your own, like successors.toml")
    parser.add_argument(
        "--so-far", action="store_true", help="table and page of what is finished; no training"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: %(default)s)")
    given = parser.parse_args(words)

    def work() -> int:
        path = given.settings or FOLDER / f"successors{'-quick' if given.quick else ''}.toml"
        chosen = parse_settings(SuccessorSettings, read_toml(path, str(path)), str(path))
        torch.set_num_threads(given.threads)
        if given.so_far:
            partial(given.out, chosen)
            return 0
        return run_stages(stages(given.data, given.out, chosen), given.out, given.stages)

    return attempt(work)


if __name__ == "__main__":
    sys.exit(main())
