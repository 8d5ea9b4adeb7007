"""The tables of ``docs/results.md``: ``python -m pipelines.results_report [--check]``.

They say what the files below ``pipelines/results`` hold: the paper's Tables 1 and 2 beside what
:mod:`pipelines.one_gpu_measures` found, all folds and directions, what helps against overfitting
(:mod:`pipelines.recipe_tables`), what seeds change (:mod:`pipelines.seed_tables`), how much the placing of
tiles matters (:mod:`pipelines.ablation`), how the shipped model stands other scales
(:mod:`pipelines.em_scales`), and the networks that came after the paper's (:mod:`pipelines.successors`).
Each stands between two markers; nothing else in the document is touched. With ``--check`` nothing is
written: the exit status is 1 where the document does not say what the results say.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.base.command import options
from pipelines.base.document import Block, bring_up
from pipelines.base.json_files import read_json
from pipelines.base.settings import FOLDER
from pipelines.cells.tables import table_2, table_2_gold, table_2_ours, table_2_two_cores
from pipelines.em.tables import scales, table_1, table_1_means, table_1_two_cores, tilings
from pipelines.recipe_tables import by_seed, recipes, side_by_side
from pipelines.seed_tables import seeds
from pipelines.successors.tables import on_a_gpu, successors

RESULTS = FOLDER / "results"
DOCUMENT = FOLDER.parent / "docs" / "results.md"


def block(name: str) -> Block:
    """Return the block of the document called `name`."""
    made_by = "made by python -m pipelines.results_report"
    return Block(f"<!-- results, {name}: {made_by} -->", f"<!-- results, {name} end -->")


PARTS = {
    "table 1": ("one_gpu", table_1),
    "table 2": ("one_gpu", table_2),
    "table 1, Muon": ("one_gpu-muon", table_1_means),
    "table 2, Muon": ("one_gpu-muon", table_2_gold),
    "table 1, Muon, long": ("one_gpu-muon-long", table_1_means),
    "table 2, Muon, long": ("one_gpu-muon-long", table_2_gold),
    "table 1, regular": ("one_gpu-regular", table_1_means),
    "table 2, regular": ("one_gpu-regular", table_2_ours),
    "three seeds": ("one_gpu-seeds", seeds),
    "cells, three seeds": ("one_gpu-cells", by_seed),
    "cells, mean of seeds": ("one_gpu-cells", seeds),
    "recipes": ("settings_table-wide", recipes),
    "recipes, two cores": ("settings_table-cpu", side_by_side),
    "table 1, two cores": ("isbi2012-muon", table_1_two_cores),
    "table 2, two cores": ("cell_tracking-muon", table_2_two_cores),
    "tiles": ("isbi2012-cpu", tilings),
    "scales": ("em-membrane", scales),
    "successors": ("successors", successors),
    "successors, one GPU": ("successors-gpu", on_a_gpu),
}
"""By the block's name, the folder of the result and what it says."""


def main(words: Sequence[str] | None = None) -> int:
    """Write the document's tables; with ``--check`` say whether they are up to date."""
    parser = options("results_report", __doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 where out of date")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    given = parser.parse_args(words)
    text = given.document.read_text(encoding="utf-8")
    for name, (folder, said) in PARTS.items():
        text = block(name).replaced(text, said(read_json(given.results / folder / "result.json")))
    return bring_up(given.document, text, given.check, parser.prog)


if __name__ == "__main__":
    sys.exit(main())
