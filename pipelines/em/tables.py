"""The EM tables of ``docs/results.md``: the paper's Table 1, both ways of making it; tilings, scales."""

from collections.abc import Mapping
from typing import Any

from pipelines.base.document import table
from pipelines.base.measured import measured_on_a_gpu, measured_on_two_cores
from pipelines.base.paper import MEASURES, TABLE_1
from pipelines.base.words import AVERAGES

THRESHOLDS = {
    "at_training_threshold": "thresholds of the training part",
    "best_over_thresholds": "best over thresholds",
}


def table_1(result: Mapping[str, Any]) -> str:
    """Return what stands in the document of the paper's Table 1: how it was measured, and the table."""
    em = result["em"]
    titles = ["", "warping error", "Rand error", "pixel error", "V_rand", "V_info"]
    rows = [_em_row(f"{title}, hidden test set", values) for title, values in TABLE_1.items()]
    rows += _means(em)
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
    return f"{measured_on_a_gpu(result, list(em['folds']))}\n\n{table(titles, rows)}"


def table_1_means(result: Mapping[str, Any]) -> str:
    """Return how it was measured, and the means over all folds alone."""
    titles, em = ["", "warping error", "Rand error", "pixel error", "V_rand", "V_info"], result["em"]
    return f"{measured_on_a_gpu(result, list(em['folds']))}\n\n{table(titles, _means(em))}"


def _means(em: Mapping[str, Any]) -> list[list[str]]:
    return [
        _em_row(f"ours, held-out training slices, {AVERAGES[average]}, {words}", row[key])
        for average, row in em["rows"].items()
        for key, words in THRESHOLDS.items()
    ]


def _em_row(title: str, values: Mapping[str, float]) -> list[str]:
    digits = {name: 6 if name == "warping_error" else 4 for name in MEASURES}
    return [title, *(f"{values[name]:.{digits[name]}f}" if name in values else "" for name in MEASURES)]


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
    return f"{measured_on_two_cores(result, result['folds'])}\n\n{table(titles, rows)}"


def tilings(result: Mapping[str, Any]) -> str:
    """Return the table of how tiles are placed."""
    titles = ["", "largest difference from one pass", "pixel error", "Rand error"]
    rows = [
        [title, f"{row['difference']:.3g}", f"{row['pixel_error']:.4f}", f"{row['rand_error']:.4f}"]
        for title, row in result["ablation"]["tiling"].items()
    ]
    return table(titles, rows)


def scales(result: Mapping[str, Any]) -> str:
    """Return the table of how the shipped model and a blur stand other scales."""

    def cell(found: Mapping[str, float]) -> str:
        return " / ".join(f"{found[name]:.4f}" for name in ("v_rand", "v_info", "pixel_error"))

    rows = [
        [f"{row['zoom']:g}", cell(row["model"]), f"{cell(row['blur'])} ({row['blur']['sigma']} px)"]
        for row in result["rows"]
    ]
    titles = [
        "zoom",
        "em-membrane",
        "Gaussian blur, best of 0 to 5 px, thresholds at quantiles of the gray values",
    ]
    return table(titles, rows)
