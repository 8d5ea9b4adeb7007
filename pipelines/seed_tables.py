"""The table of ``docs/results.md`` on several seeds: each, their mean, the smallest and the largest."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.base.document import table
from pipelines.base.paper import MEASURES
from pipelines.base.words import AVERAGES
from pipelines.cells.tables import MARKERS, OTHER, SEG, SILVER
from pipelines.one_gpu_measures.seeds import over_seeds

WORDS = {name: name.replace("_error", " error").replace("rand e", "Rand e") for name in MEASURES}
WORDS |= {"v_rand": "V_rand", "v_info": "V_info"}


def seeds(result: Mapping[str, Any]) -> str:
    """Return the table of a result, of one run with several seeds or of several runs.

    Thresholds are those of the training part, maps are averaged as they are best; the trainings are those
    that are called by nothing but split and seed, and those with silver truth.
    """
    found = over_seeds(result.get("runs", [result]))
    rows = [*_slices(found["em"]), *_cells(found["cells"])]
    names = list(dict.fromkeys(seed for _, values, _ in rows for seed in values["by_seed"]))
    lines = []
    for title, values, digits in rows:
        each = [values["by_seed"].get(name) for name in names]
        figures = [*each, *(values[key] for key in ("mean", "smallest", "largest"))]
        lines.append([title, *("" if value is None else f"{value:.{digits}f}" for value in figures)])
    return table(["", *(f"seed {name}" for name in names), "mean", "smallest", "largest"], lines)


Rows = Iterator[tuple[str, Mapping[str, Any], int]]
"""Title, what seeds give, and digits to show."""


def _slices(em: Mapping[str, Any]) -> Rows:
    for average, ways in list(em.items())[-1:]:
        for name, values in ways["at_training_threshold"].items():
            yield f"EM, {WORDS[name]}, {AVERAGES[average]}", values, 6 if name == "warping_error" else 4


def _cells(cells: Mapping[str, Any]) -> Rows:
    for group, averages in cells.items():
        more = group.split(", ")[1:]
        if more not in ([], [SILVER.removeprefix(", ")]):
            continue
        average = list(averages)[-1]
        for key, words in {**SEG, MARKERS: "markers and watershed"}.items():
            mark = OTHER if more or key == MARKERS else ""
            yield f"{mark}{group}, {words}, {AVERAGES[average]}", averages[average][key], 4
