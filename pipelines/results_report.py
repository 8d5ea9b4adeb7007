"""The tables of ``docs/results.md``: ``python -m pipelines.results_report [--check]``.

They say what the files below ``pipelines/results`` hold: the paper's Tables 1 and 2 beside what
:mod:`pipelines.one_gpu_measures` found, all folds and directions, and how much the placing of tiles matters
(:mod:`pipelines.ablation`). Each stands between two markers; nothing else in the document is touched. With
``--check`` nothing is written: the exit status is 1 where the document does not say what the results say.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.base.command import options
from pipelines.base.document import Block, bring_up
from pipelines.base.json_files import read_json
from pipelines.base.paper import MEASURES, TABLE_1, TABLE_2
from pipelines.base.settings import FOLDER
from pipelines.base.words import AVERAGES

RESULTS = FOLDER / "results"
DOCUMENT = FOLDER.parent / "docs" / "results.md"
OTHER = "*not the paper's:* "
"""What the rows begin with that are made in another way than the paper's."""
THRESHOLDS = {
    "at_training_threshold": "thresholds of the training part",
    "best_over_thresholds": "best over thresholds",
}
SEG = {
    "seg_at_training_threshold": "threshold of the training frames",
    "seg_at_0.5": "threshold 0.5 (the higher score, as in the release)",
    "seg_best_over_thresholds": "best over thresholds",
}
MARKERS = "seg_markers_and_watershed"
SILVER = ", gold and silver truth"
"""How the means are called of the trainings that had silver truth too."""


def block(name: str) -> Block:
    """Return the block of the document called `name`."""
    made_by = "made by python -m pipelines.results_report"
    return Block(f"<!-- results, {name}: {made_by} -->", f"<!-- results, {name} end -->")


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# Table 1.


def table_1(result: Mapping[str, Any]) -> str:
    """Return what stands in the document of the paper's Table 1: how it was measured, and the table."""
    em = result["em"]
    titles = ["", "warping error", "Rand error", "pixel error", "V_rand", "V_info"]
    rows = [_em_row(f"{title}, hidden test set", values) for title, values in TABLE_1.items()]
    for average, row in em["rows"].items():
        rows += [
            _em_row(f"ours, held-out training slices, {AVERAGES[average]}, {words}", row[key])
            for key, words in THRESHOLDS.items()
        ]
    for average in em["rows"]:
        for name, fold in em["folds"].items():
            slices = f"slices {fold['slices'][0]}-{fold['slices'][-1]}"
            title = (
                f"of these, fold {name.removeprefix('em-')} ({slices}), {AVERAGES[average]}, training part"
            )
            rows.append(_em_row(title, fold[average]["at_training_threshold"]))
    last = list(em["rows"])[-1]
    title = f"the slices trained on, {AVERAGES[last]}, best over thresholds"
    rows.append(_em_row(title, em["rows"][last]["on_training_slices"]))
    return f"{_measured(result, list(em['folds']))}\n\n{table(titles, rows)}"


def _em_row(title: str, values: Mapping[str, float]) -> list[str]:
    digits = {name: 6 if name == "warping_error" else 4 for name in MEASURES}
    return [title, *(f"{values[name]:.{digits[name]}f}" if name in values else "" for name in MEASURES)]


def _measured(result: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return where and how the trainings called `names` were measured, in a sentence."""
    base, training = result["settings"]["base"], result["training"]
    steps = [result["steps"][name] for name in names]
    recipes = " and ".join(dict.fromkeys(result["chosen"][name] for name in names))
    return (
        f"{result['device']}, {result['date']}: width {base['network']['width']}, {min(steps):,} to "
        f"{max(steps):,} steps of one tile of {base['optimisation']['tile']} px each, {recipes}, "
        f"{base['optimisation']['precision']}; {len(result['steps'])} trainings side by side took "
        f"{training['steps']:,} steps in {training['seconds']:.1f} s, the whole run "
        f"{result['seconds']:.0f} s. One seed."
    )


# Table 2.


def table_2(result: Mapping[str, Any]) -> str:
    """Return what stands in the document of the paper's Table 2: how it was measured, and the table."""
    trainings, means = result["cells"]["trainings"], result["cells"]["mean"]
    groups = [name for name in means if not name.endswith(SILVER)]
    titles = [""]
    for group in groups:
        names = means[group]["trainings"]
        titles += [f"{group}, mean"] if len(names) > 1 else []
        titles += [f"{group}, {_direction(trainings[name])}" for name in names]
    rows = []
    for title, values in TABLE_2.items():
        cells = [[f"{values.get(group, '')}"] + [""] * _more(means[group]) for group in groups]
        rows.append([f"{title}, hidden test sequences", *(cell for part in cells for cell in part)])
    averages = [key for key in means[groups[0]] if key != "trainings"]
    for average in averages:
        for key, words in SEG.items():
            title = f"ours, connected parts, held-out training frames, {AVERAGES[average]}, {words}"
            rows.append([title, *_seg(result, groups, average, key)])
    for average in averages:
        title = f"{OTHER}markers and watershed, {AVERAGES[average]}"
        rows.append([title, *_seg(result, groups, average, MARKERS)])
    silver = [f"{group}{SILVER}" for group in groups]
    for average in averages:
        for key, words in {**SEG, MARKERS: "markers and watershed"}.items():
            way = words if key == MARKERS else f"connected parts, {words}"
            title = f"{OTHER}gold and silver truth, {AVERAGES[average]}, {way}"
            rows.append([title, *_seg(result, silver, average, key)])
    names = [name for group in groups for name in means[group]["trainings"]]
    return f"{_measured(result, names)}\n\n{table(titles, rows)}"


def _direction(training: Mapping[str, Any]) -> str:
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


# Tiles.


def tilings(result: Mapping[str, Any]) -> str:
    """Return the table of how tiles are placed."""
    titles = ["", "largest difference from one pass", "pixel error", "Rand error"]
    rows = [
        [title, f"{row['difference']:.3g}", f"{row['pixel_error']:.4f}", f"{row['rand_error']:.4f}"]
        for title, row in result["ablation"]["tiling"].items()
    ]
    return table(titles, rows)


# What the pipelines of one experiment find, on two cores.


def table_1_two_cores(result: Mapping[str, Any]) -> str:
    """Return the rows of `pipelines.isbi2012`: means, and each fold."""
    titles = ["", "warping error", "Rand error", "pixel error", "V_rand", "V_info"]
    rows = [
        _em_row(f"ours, held-out training slices, {AVERAGES[average]}, {words}", row[key])
        for average, row in result["rows"].items()
        for key, words in THRESHOLDS.items()
    ]
    last = list(result["rows"])[-1]
    for name, fold in result["folds"].items():
        title = f"of these, {name.replace('-', ' ')}, {AVERAGES[last]}, training part"
        rows.append(_em_row(title, fold[last]["at_training_threshold"]))
    title = f"the slices trained on, {AVERAGES[last]}, best over thresholds"
    rows.append(_em_row(title, result["rows"][last]["on_training_slices"]))
    return f"{_two_cores(result, result['folds'])}\n\n{table(titles, rows)}"


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
    return f"{_two_cores(result, result['splits'])}\n\n{table(titles, rows)}"


def _two_cores(result: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """Return how the trainings were made, in a sentence."""
    training, seeds = result["settings"]["training"], {part["training"]["seed"] for part in parts.values()}
    rule, machine = training["optimisation"], result["machine"]
    return (
        f"{machine['processor']}, {result['date']}: width {training['network']['width']}, {rule['steps']:,} "
        f"steps of one tile of {rule['tile']} px each, {rule['optimizer']} {rule['learning_rate']:g}, "
        f"one thread, {AVERAGES.get(result['settings'].get('average', ''), 'as each row says')}. "
        f"Seed {', '.join(map(str, sorted(seeds)))}."
    )


PARTS = {
    "table 1": ("one_gpu", table_1),
    "table 2": ("one_gpu", table_2),
    "table 1, two cores": ("isbi2012-muon", table_1_two_cores),
    "table 2, two cores": ("cell_tracking-muon", table_2_two_cores),
    "tiles": ("isbi2012-cpu", tilings),
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
