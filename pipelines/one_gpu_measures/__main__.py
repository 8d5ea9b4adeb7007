"""What the maps of :mod:`pipelines.one_gpu` are worth: the rows of the paper's tables, on any processor.

``python -m pipelines.one_gpu_measures --maps DIR [DIR ...] --data FILE.npz --out DIR [--cell-pictures DIR]``

DIR is a folder that :mod:`pipelines.one_gpu` wrote, FILE what :mod:`pipelines.device_sets` packed. The
measures are those of :mod:`pipelines.isbi2012` and :mod:`pipelines.cell_tracking`, objects are made as
``cell_tracking-cpu.toml`` says. Of the training pages there are maps of one way of averaging alone; their
thresholds are used for every way. What is missing is named in the result, and the rest is measured.

Several folders are runs of the same trainings that differ in their seeds. Each is measured by itself, and the
result says what they give together: each measure's mean over seeds, the smallest and the largest. Pictures
are of the first.

Beside the paper's way of making objects, connected parts, stands another that is not the paper's: markers and
a watershed, with level, blur and threshold chosen on the training frames alone.

Frames of the Cell Tracking Challenge may not be passed on without leave, so their pictures are drawn only
where ``--cell-pictures`` says.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.base.command import attempt, options
from pipelines.on_device.sets import load
from pipelines.one_gpu_measures.measure import measure_runs
from pipelines.one_gpu_measures.pictures import draw_cells, draw_em
from pipelines.one_gpu_measures.seeds import in_words, over_seeds
from unet2015.safe_files import make_folder, write_json


def main(words: Sequence[str] | None = None) -> int:
    """Measure from the command line and return the exit status."""
    parser = options("one_gpu_measures", __doc__)
    parser.add_argument(
        "--maps",
        type=Path,
        required=True,
        nargs="+",
        help="folder that pipelines.one_gpu wrote; one each seed",
    )
    parser.add_argument("--data", type=Path, required=True, help="what pipelines.device_sets packed")
    parser.add_argument("--out", type=Path, required=True, help="folder for result.json and em.png")
    parser.add_argument(
        "--cell-pictures", type=Path, help="folder for pictures of cells, which stay with you"
    )
    given = parser.parse_args(words)

    def work() -> int:
        arrays = load(given.data)
        runs = []
        for number, (folder, result, trainings) in enumerate(measure_runs(given.maps, arrays)):
            runs.append(result)
            for name, why in result["missing"].items():
                print(f"{folder / name}: {why}", file=sys.stderr)
            if not number:
                draw_em(result, trainings, arrays, make_folder(given.out) / "em.png")
                if given.cell_pictures is not None:
                    draw_cells(result, trainings, arrays, make_folder(given.cell_pictures))
        together = over_seeds(runs)
        for text in together["left_out"]:
            print(f"left out: {text}", file=sys.stderr)
        whole = runs[0] if len(runs) == 1 else {"seeds": together, "runs": runs}
        write_json(given.out / "result.json", whole)
        print("\n".join(in_words(together)))
        return 0

    return attempt(work)


if __name__ == "__main__":
    sys.exit(main())
