"""What the maps of :mod:`pipelines.one_gpu` are worth: the rows of the paper's tables, on any processor.

``python -m pipelines.one_gpu_measures --maps DIR --data FILE.npz --out DIR [--cell-pictures DIR]``

DIR is the folder that :mod:`pipelines.one_gpu` wrote, FILE what :mod:`pipelines.device_sets` packed. The
measures are those of :mod:`pipelines.isbi2012` and :mod:`pipelines.cell_tracking`, objects are made as
``cell_tracking-cpu.toml`` says. Of the training pages there are maps of one way of averaging alone; their
thresholds are used for every way. What is missing is named in the result, and the rest is measured.

Beside the paper's way of making objects, connected parts, stands another that is not the paper's: markers and
a watershed, with level, blur and threshold chosen on the training frames alone.

Frames of the Cell Tracking Challenge may not be passed on without leave, so their pictures are drawn only
where ``--cell-pictures`` says.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.base.command import attempt, options
from pipelines.on_device.sets import load
from pipelines.one_gpu_measures.measure import measure
from pipelines.one_gpu_measures.pictures import draw_cells, draw_em
from unet2015.safe_files import make_folder, write_json


def main(words: Sequence[str] | None = None) -> int:
    """Measure from the command line and return the exit status."""
    parser = options("one_gpu_measures", __doc__)
    parser.add_argument("--maps", type=Path, required=True, help="folder that pipelines.one_gpu wrote")
    parser.add_argument("--data", type=Path, required=True, help="what pipelines.device_sets packed")
    parser.add_argument("--out", type=Path, required=True, help="folder for result.json and em.png")
    parser.add_argument(
        "--cell-pictures", type=Path, help="folder for pictures of cells, which stay with you"
    )
    given = parser.parse_args(words)

    def work() -> int:
        arrays = load(given.data)
        result, trainings = measure(given.maps, arrays)
        write_json(make_folder(given.out) / "result.json", result)
        draw_em(result, trainings, arrays, given.out / "em.png")
        if given.cell_pictures is not None:
            draw_cells(result, trainings, arrays, make_folder(given.cell_pictures))
        for name, why in result["missing"].items():
            print(f"{name}: {why}", file=sys.stderr)
        print(json.dumps({"em": result["em"].get("rows", {}), "cells": result["cells"]["mean"]}, indent=2))
        return 0

    return attempt(work)


if __name__ == "__main__":
    sys.exit(main())
