"""The EM experiment's page: tables beside the paper's, curves, and the best, median and worst slice."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.base.json_files import read_json
from pipelines.base.paper import MEASURES, TABLE_1
from pipelines.base.trainings import alert
from pipelines.base.words import AVERAGES
from pipelines.em.em_files import EMFiles
from pipelines.em.slices import SLICES
from unet2015.images.reader import read_pages
from unet2015.report.figures import best_median_worst, plot_curves
from unet2015.report.html import Picture, Report, Row, Section, Table, write_report
from unet2015.report.overlays import overlay_em
from unet2015.safe_files import atomic_path, make_folder

COLUMNS = ("", "warping error", "Rand error", "pixel error", "V_rand", "V_info")
WINDOW = (slice(100, 356), slice(100, 356))
"""What the pictures show of a slice: they may be passed on, so it is a crop."""


def write_em_report(files: EMFiles) -> None:
    """Write the page of a finished experiment, and its pictures as files into ``pictures/`` beside it."""
    result = read_json(files.result)
    folds = ", ".join(map(str, result["folds_held_out"]))
    width = result["settings"]["training"]["network"]["width"]
    chosen = result["settings"]["chosen_on"].strip()
    summary = (
        f"A U-Net of width {width}, trained on the labelled slices of the ISBI 2012 challenge without the "
        f"fold that is measured (folds held out: {folds} of 0-4, each 6 consecutive slices, because "
        "neighbouring slices look alike). The figures are of held-out training slices; the published ones "
        "are of the hidden test set: other images, so the two are neighbours in a table and nothing more. "
        f"How the settings were chosen: {chosen or 'none was tried on any of these slices.'}"
    )
    slices, curves = _pictures(files, result), plot_curves(_logs(files, result))
    folder = make_folder(files.out / "pictures")
    pngs = [*(picture.png for picture in slices), curves]
    for name, png in zip(("best", "median", "worst", "curves"), pngs, strict=True):
        assert isinstance(png, bytes)
        with atomic_path(folder / f"{name}.png") as temporary:
            temporary.write_bytes(png)
    sections = [
        Section("Results", tables=[main_table(result), fold_table(result)]),
        Section("Slices", _WHAT_IS_SHOWN, pictures=slices),
        *_ablation(result),
        Section(
            "Training",
            "Thin lines are single steps. The checks are on the training slices.",
            pictures=[Picture("Loss and check of each training", curves)],
        ),
        Section(
            "Record", details={key: result[key] for key in ("settings", "machine", "date", "data", "note")}
        ),
    ]
    title = "ISBI 2012: segmentation of neuronal structures in EM"
    write_report(Report(title, summary, sections, alert(result["not_learned"])), files.page)


_WHAT_IS_SHOWN = (
    "The held-out slices with the lowest, the median and the highest number of pixels that are splits or "
    "mergers after warping, each a part of 256 x 256 pixels. Errors are looked for in the whole slice, at "
    "the threshold at which the training slices have the lowest warping error."
)


def main_table(result: Mapping[str, Any]) -> Table:
    """Return the table beside the paper's."""
    rows = [
        _row(title, values, "paper" if "paper" in title else "other") for title, values in TABLE_1.items()
    ]
    count = len(result["folds_held_out"]) * 6
    for average, row in result["rows"].items():
        words = AVERAGES[average]
        rows.append(
            _row(f"ours, {words}; thresholds of the training part", row["at_training_threshold"], "ours")
        )
        rows.append(_row(f"ours, {words}; best over thresholds", row["best_over_thresholds"], "ours"))
    note = (
        f"Ours: {count} held-out training slices of {SLICES}; the paper's and the server's: the hidden test "
        "set. Thresholds of the training part: each measure at the threshold that is best on the slices "
        "trained on, then the mean over folds. Best over thresholds: the challenge's own way, one best "
        "threshold for all held-out slices together. Errors: lower is better; V: higher."
    )
    return Table("Beside the paper's Table 1", COLUMNS, rows, note)


def fold_table(result: Mapping[str, Any]) -> Table:
    """Return the table of the folds, last way of averaging."""
    average = list(result["rows"])[-1]
    rows = []
    for name, fold in result["folds"].items():
        slices = f"slices {fold['slices'][0]}-{fold['slices'][-1]}"
        rows.append(_row(f"{name}, {slices}", fold[average]["at_training_threshold"], "ours"))
    rows.append(_row("the slices trained on, mean", result["rows"][average]["on_training_slices"], "other"))
    return Table(
        "Each fold",
        COLUMNS,
        rows,
        f"Here: {AVERAGES[average]}; thresholds of the training part (the last row: best over thresholds).",
    )


def _row(title: str, values: Mapping[str, float], kind: Any) -> Row:
    return Row([title, *(values.get(name) for name in MEASURES)], kind)


def _ablation(result: Mapping[str, Any]) -> list[Section]:
    ablation = result["ablation"]
    if not ablation:
        return []
    rows = ablation["training"]
    kinds = ["ours", *["ablation"] * (len(rows) - 1)]
    tables = [
        Table(
            "Other trainings",
            COLUMNS,
            [_row(row["title"], row, kind) for row, kind in zip(rows, kinds, strict=True)],
            "Single trainings of fewer steps than the table's, alike but for what the row says, one seed "
            "each: small differences mean nothing. One pass, best over thresholds.",
        )
    ]
    if ablation["tiling"]:
        rows = [
            Row(
                [title, row["difference"], *(row[name] for name in MEASURES)], "ours" if first else "ablation"
            )
            for first, (title, row) in zip((True, False, False), ablation["tiling"].items(), strict=True)
        ]
        tables.append(
            Table(
                "Other tilings, the first row's model",
                ("", "largest difference", *COLUMNS[1:]),
                rows,
                "Tiles of 572 px. Largest difference: of any pixel's probability from one pass over the "
                "whole slice, with mirrored borders.",
            )
        )
    text = (
        "What choices cost that the paper leaves open, measured on the held-out slices of fold "
        f"{ablation['fold']}. The table's settings were not chosen by these rows."
    )
    return [Section("Ablation", text, tables=tables)]


def _logs(files: EMFiles, result: Mapping[str, Any]) -> dict[str, Path]:
    return {name: files.log(name) for name in (*result["folds"], "all")}


def _pictures(files: EMFiles, result: Mapping[str, Any]) -> list[Picture]:
    average = result["settings"]["averages"][-1]
    slices = [
        (name, place, row["warping_error"], fold[average]["thresholds"]["of_training"]["warping_error"])
        for name, fold in result["folds"].items()
        for place, row in enumerate(fold[average]["per_slice"])
    ]
    pictures = []
    for word, index in zip(
        ("Best", "Median", "Worst"), best_median_worst([s[2] for s in slices]), strict=True
    ):
        name, place, error, threshold = slices[index]
        number = result["folds"][name]["slices"][place]
        image, truth = (read_pages(path)[place] for path in files.stacks(name)[2:])
        found = read_pages(files.probability(name, average, "held-out"))[place]
        window = WINDOW if min(image.shape) >= 356 else (slice(None), slice(None))
        pictures.append(
            Picture(
                f"{word}: slice {number}",
                overlay_em(image, truth, np.asarray(found), threshold, window),
                f"warping error {error:.3g} at its best threshold; drawn at {threshold:.1f}",
            )
        )
    return pictures
