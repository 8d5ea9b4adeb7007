"""The cell tables of ``docs/results.md``: the paper's Table 2, on a GPU and on two cores."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipelines.base.document import table
from pipelines.base.measured import measured_on_a_gpu, measured_on_two_cores
from pipelines.base.paper import TABLE_2
from pipelines.base.words import AVERAGES

OTHER = "*not the paper's:* "
"""What the rows begin with that are made in another way than the paper's."""
SEG = {
    "seg_at_training_threshold": "threshold of the training frames",
    "seg_at_0.5": "threshold 0.5 (the higher score, as in the release)",
    "seg_best_over_thresholds": "best over thresholds",
}
MARKERS = "seg_markers_and_watershed"
SILVER = ", gold and silver truth"
"""How the means are called of the trainings that had silver truth too."""


def table_2(result: Mapping[str, Any]) -> str:
    """Return what stands in the document of the paper's Table 2: how it was measured, and the table."""
    return _measured(result, _published, _gold, _silver)


def table_2_ours(result: Mapping[str, Any]) -> str:
    """Return how it was measured, and all rows but those of others."""
    return _measured(result, _gold, _silver)


def table_2_gold(result: Mapping[str, Any]) -> str:
    """Return how it was measured, and the rows of gold truth alone."""
    return _measured(result, _gold)


def _measured(
    result: Mapping[str, Any], *parts: Callable[[Mapping[str, Any], Sequence[str]], list[list[str]]]
) -> str:
    """Return how it was measured, and a table with the rows of each part, given as `_gold`."""
    groups, titles = _groups(result)
    names = [name for group in groups for name in result["cells"]["mean"][group]["trainings"]]
    rows = [row for part in parts for row in part(result, groups)]
    return f"{measured_on_a_gpu(result, names)}\n\n{table(titles, rows)}"


def _groups(result: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the data sets, and the titles of the columns."""
    trainings, means = result["cells"]["trainings"], result["cells"]["mean"]
    groups, titles = [name for name in means if not name.endswith(SILVER)], [""]
    for group in groups:
        names = means[group]["trainings"]
        titles += [f"{group}, mean"] if len(names) > 1 else []
        titles += [f"{group}, {direction(trainings[name])}" for name in names]
    return groups, titles


def _averages(result: Mapping[str, Any], groups: Sequence[str]) -> list[str]:
    return [key for key in result["cells"]["mean"][groups[0]] if key != "trainings"]


def _published(result: Mapping[str, Any], groups: Sequence[str]) -> list[list[str]]:
    """Return the rows of others, which have a mean alone."""
    means, rows = result["cells"]["mean"], []
    for title, values in TABLE_2.items():
        cells = [[f"{values.get(group, '')}"] + [""] * _more(means[group]) for group in groups]
        rows.append([f"{title}, hidden test sequences", *(cell for part in cells for cell in part)])
    return rows


def _gold(result: Mapping[str, Any], groups: Sequence[str]) -> list[list[str]]:
    """Return the rows of trainings on gold truth."""
    rows, averages = [], _averages(result, groups)
    for average in averages:
        for key, words in SEG.items():
            title = f"ours, connected parts, held-out training frames, {AVERAGES[average]}, {words}"
            rows.append([title, *_seg(result, groups, average, key)])
    for average in averages:
        title = f"{OTHER}markers and watershed, {AVERAGES[average]}"
        rows.append([title, *_seg(result, groups, average, MARKERS)])
    return rows


def _silver(result: Mapping[str, Any], groups: Sequence[str]) -> list[list[str]]:
    """Return the rows of trainings on gold and silver truth."""
    rows, silver = [], [f"{group}{SILVER}" for group in groups]
    for average in _averages(result, groups):
        for key, words in {**SEG, MARKERS: "markers and watershed"}.items():
            way = words if key == MARKERS else f"connected parts, {words}"
            title = f"{OTHER}gold and silver truth, {AVERAGES[average]}, {way}"
            rows.append([title, *_seg(result, silver, average, key)])
    return rows


def direction(training: Mapping[str, Any]) -> str:
    """Return what is trained on and measured: ``01 (9 gold frames) -> 02 (9 gold frames)``."""
    ends = [
        training[key].rpartition("/")[2].replace(", ", " (") + ")" for key in ("trained_on", "measured_on")
    ]
    return " -> ".join(ends)


def _more(group: Mapping[str, Any]) -> int:
    """Return how many columns a data set has beside that of the paper."""
    count = len(group["trainings"])
    return count if count > 1 else 0


def _seg(result: Mapping[str, Any], groups: Sequence[str], average: str, key: str) -> list[str]:
    """Return the cells of a row: of each data set the mean and, where there are two, both directions."""
    trainings, means = result["cells"]["trainings"], result["cells"]["mean"]
    cells: list[str] = []
    for name in groups:
        if name not in means:
            cells += [""] * (1 + _more(means[name.removesuffix(SILVER)]))
            continue
        values = [means[name][average].get(key)]
        if _more(means[name]):
            values += [_of(trainings[one]["rows"][average], key) for one in means[name]["trainings"]]
        cells += ["" if value is None else f"{value:.4f}" for value in values]
    return cells


def _of(row: Mapping[str, Any], key: str) -> float | None:
    found = row["best_over_thresholds"]["seg"] if key == "seg_best_over_thresholds" else row.get(key)
    return None if found is None else float(found)


def table_2_two_cores(result: Mapping[str, Any]) -> str:
    """Return the rows of `pipelines.cell_tracking`: SEG of each split, and the mean of a data set."""
    titles = ["", *SEG.values()]
    rows = []
    for name, mean in result["mean"].items():
        parts = [part for part in result["splits"].values() if part["data_set"] == name]
        found = [(part["seg"], part["seg_at_0.5"], part["seg_best_over_thresholds"]["seg"]) for part in parts]
        for part, values in zip(parts, found, strict=True):
            rows.append([f"{name}, {part['split']}", *(f"{value:.4f}" for value in values)])
        if len(parts) > 1:
            best = sum(values[2] for values in found) / len(found)
            means = (mean["seg"], mean["seg_at_0.5"], best)
            rows.append([f"{name}, mean", *(f"{value:.4f}" for value in means)])
    return f"{measured_on_two_cores(result, result['splits'])}\n\n{table(titles, rows)}"
