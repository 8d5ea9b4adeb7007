"""The tables of ``docs/results.md`` on means against overfitting.

`settings_table-wide.toml`: a row is named after the means that it takes. Each mean is in half of the rows, so
what it does is the mean of the rows with it next to the mean of those without. `settings_table-cpu.toml`: the
rows side by side, seed by seed. `one_gpu-cells.toml`: the cells that were not chosen on, with and without.
"""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from pipelines.base.document import table
from pipelines.base.measured import measured_on_a_gpu
from pipelines.settings_report import BASE

EM = {"pixel_error": "pixel error", "rand_error": "Rand error", "v_rand": "V_rand", "v_info": "V_info"}
EM |= {"auc": "AUC"}
DIC = {"seg": "SEG at 0.5", "seg_best": "SEG, best threshold", "auc": "AUC"}
MEASURES = {("em-3", key): f"EM {title}" for key, title in EM.items()}
MEASURES |= {("dic-01", key): f"DIC {title}" for key, title in DIC.items()}
DECIDING = {"em-3": tuple(EM), "dic-01": ("seg_best", "auc")}
"""By split, the measures that decide on a mean."""
ENOUGH = {"em-3": 3, "dic-01": 2}
"""How many of them must be better."""
PIXELS = 0.0005
"""By how much pixel error may be worse."""

SEG = {"seg_at_0.5": "SEG at 0.5", "seg_at_training_threshold": "SEG, threshold of the training frames"}
SEG |= {"seg_best": "SEG, best threshold", "seg_markers_and_watershed": "markers and watershed"}
KINDS = {"base": BASE, "": "gray and blur, scale"}
"""By what a training is called beside split and seed, the recipe."""
WORTH = 0.02
"""How much the variation must gain in the mean of the data sets to be taken, as its settings say."""

Values = dict[tuple[str, str], float]


def effects(result: Mapping[str, Any]) -> dict[str, tuple[Values, Values]]:
    """Return, by mean, the measures of the rows with it and of those without it, averaged."""
    rows = {title: [] if title == BASE else title.split(", ") for title in result["settings"]["rows"]}
    found: dict[tuple[str, str], dict[str, float]] = {key: {} for key in MEASURES}
    for one in result["trainings"]:
        for split, key in MEASURES:
            if one["split"] == split:
                found[split, key][one["row"]] = one[key]

    def averaged(mean: str, with_it: bool) -> Values:
        titles = [title for title, means in rows.items() if (mean in means) == with_it]
        return {key: fmean(values[title] for title in titles) for key, values in found.items()}

    means = dict.fromkeys(mean for taken in rows.values() for mean in taken)
    return {mean: (averaged(mean, True), averaged(mean, False)) for mean in means}


def is_taken(split: str, with_it: Values, without: Values) -> bool:
    """Return whether a mean is taken for what a split stands for, by the rule fixed before."""

    def gain(key: str) -> float:
        difference = with_it[split, key] - without[split, key]
        return -difference if key.endswith("_error") else difference

    better = sum(gain(key) > 0 for key in DECIDING[split])
    spoilt = "pixel_error" in DECIDING[split] and gain("pixel_error") < -PIXELS
    return better >= ENOUGH[split] and not spoilt


def recipes(result: Mapping[str, Any]) -> str:
    """Return how it was measured, all rows, and what each mean does and whether it is taken."""
    by_row = {(one["row"], one["split"]): one for one in result["trainings"]}
    rows = [
        [title, *(f"{by_row[title, split][key]:.4f}" for split, key in MEASURES)]
        for title in result["settings"]["rows"]
    ]
    changes = []
    for mean, (with_it, without) in effects(result).items():
        differences = [f"{with_it[key] - without[key]:+.4f}" for key in MEASURES]
        taken = [
            name for split, name in (("em-3", "EM"), ("dic-01", "cells")) if is_taken(split, with_it, without)
        ]
        changes.append([mean, *differences, " and ".join(taken) or "none"])
    how = f"{_how(result)} One seed."
    titles = list(MEASURES.values())
    return "\n\n".join(
        [
            how,
            table(["recipe", *titles], rows),
            "Mean of the four rows with it, less the mean of the four without:",
            table(["", *titles, "taken for"], changes),
        ]
    )


def side_by_side(result: Mapping[str, Any]) -> str:
    """Return how it was measured, and what the recipes give for each split and seed that was trained."""
    found = {(one["split"], one["seed"], one["row"]): one for one in result["trainings"]}
    titles = [title for title in result["settings"]["rows"] if any(key[2] == title for key in found)]
    lines = []
    for split, seed in dict.fromkeys(key[:2] for key in found):
        measured = [found.get((split, seed, title), {}) for title in titles]
        figures = [f"{one[key]:.4f}" if key in one else "" for key in DIC for one in measured]
        lines.append([split, f"{seed}", *figures])
    heads = [f"{measure}: {title}" for measure in DIC.values() for title in titles]
    return f"{_how(result)}\n\n{table(['split', 'seed', *heads], lines)}"


def by_seed(result: Mapping[str, Any]) -> str:
    """Return how cells were measured over 4 flips, each seed of each recipe, and what the rule says."""
    found: dict[tuple[str, int, str], dict[str, float]] = {}
    for one in result["cells"]["trainings"].values():
        row = one["rows"]["flips"] | {"seg_best": one["rows"]["flips"]["best_over_thresholds"]["seg"]}
        found[one["split"], one["seed"], one["kind"]] = {key: row[key] for key in SEG}
    lines, gains = [], []
    for split in dict.fromkeys(key[0] for key in found):
        seeds = sorted({key[1] for key in found if key[0] == split})
        for seed in seeds:
            lines.append([split, f"{seed}", *_figures([found.get((split, seed, kind)) for kind in KINDS])])
        means = [
            {key: fmean(found[split, seed, kind][key] for seed in seeds) for key in SEG}
            if (split, seeds[0], kind) in found
            else None
            for kind in KINDS
        ]
        lines.append([split, "mean", *_figures(means)])
        base, varied = means
        if base is not None and varied is not None:
            gains.append(varied["seg_best"] - base["seg_best"])
    heads = [f"{title}: {kind}" for title in SEG.values() for kind in KINDS.values()]
    gain = fmean(gains)
    rule = f"Gain at the best threshold, mean of both: {gain:+.4f}; {WORTH} was asked for, so it is "
    rule += "taken." if gain >= WORTH else "not taken."
    names = list(result["cells"]["trainings"])
    return f"{measured_on_a_gpu(result, names)}\n\n{table(['split', 'seed', *heads], lines)}\n\n{rule}"


def _figures(recipes: list[dict[str, float] | None]) -> list[str]:
    return ["" if one is None else f"{one[key]:.4f}" for key in SEG for one in recipes]


def _how(result: Mapping[str, Any]) -> str:
    width, rule = (result["settings"]["base"][part] for part in ("network", "optimisation"))
    return (
        f"{result['device']}, {result['date']}: width {width['width']}, {rule['steps']:,} steps of one tile "
        f"of {rule['tile']} px each, {rule['optimizer']} {rule['learning_rate']:g}, {rule['precision']}."
    )
