"""The table of ``docs/results.md`` on several seeds: each, their mean, the smallest and the largest."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.base.document import table
from pipelines.base.measured import measured_on_a_gpu
from pipelines.base.paper import MEASURES
from pipelines.base.words import AVERAGES
from pipelines.cells.tables import MARKERS, OTHER, SEG, SILVER
from pipelines.one_gpu_measures.seeds import over_seeds

WORDS = {name: name.replace("_error", " error").replace("rand e", "Rand e") for name in MEASURES}
WORDS |= {"v_rand": "V_rand", "v_info": "V_info"}


def seeds(result: Mapping[str, Any]) -> str:
    """Return how a result was made, of one run with several seeds or of several runs, and its table.

    Thresholds are those of the training part, maps are averaged as they are best; the trainings are those
    that are called by nothing but split and seed, and those with silver truth.
    """
    runs = result.get("runs", [result])
    found = over_seeds(runs)
    rows = [*_slices(found["em"]), *_cells(found["cells"])]
    names = list(dict.fromkeys(seed for _, values, _ in rows for seed in values["by_seed"]))
    lines = []
    for title, values, digits in rows:
        each = [values["by_seed"].get(name) for name in names]
        figures = [*each, *(values[key] for key in ("mean", "smallest", "largest"))]
        lines.append([title, *("" if value is None else f"{value:.{digits}f}" for value in figures)])
    titles = ["", *(f"seed {name}" for name in names), "mean", "smallest", "largest"]
    return f"{_how(runs)}\n\n{table(titles, lines)}"


def _how(runs: Sequence[Mapping[str, Any]]) -> str:
    if len(runs) == 1:
        return measured_on_a_gpu(runs[0], list(runs[0]["cells"]["trainings"]))
    devices, dates = (", ".join(dict.fromkeys(run[key] for run in runs)) for key in ("device", "date"))
    steps = " or ".join(
        f"{count:,}" for count in dict.fromkeys(n for run in runs for n in run["steps"].values())
    )
    times = ", ".join(f"{run['seconds']:.0f}" for run in runs)
    return (
        f"{devices}, {dates}: {len(runs)} runs of {len(runs[0]['steps'])} trainings side by side, "
        f"{steps} steps each; the whole runs took {times} s."
    )


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
