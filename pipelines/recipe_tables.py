"""The tables of ``docs/results.md`` on means against overfitting.

`settings_table-wide.toml`: a row is named after the means that it takes. Each mean is in half of the rows, so
what it does is the mean of the rows with it next to the mean of those without. `settings_table-cpu.toml`: the
rows side by side, seed by seed.
"""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from pipelines.base.document import table
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


def _how(result: Mapping[str, Any]) -> str:
    width, rule = (result["settings"]["base"][part] for part in ("network", "optimisation"))
    return (
        f"{result['device']}, {result['date']}: width {width['width']}, {rule['steps']:,} steps of one tile "
        f"of {rule['tile']} px each, {rule['optimizer']} {rule['learning_rate']:g}, {rule['precision']}."
    )
