"""The cell experiments' page: SEG beside the paper's, curves, and the best, median and worst frame."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.ctc import IGNORE
from pipelines.runs import alert
from unet2015.images.reader import read_pages
from unet2015.report.figures import best_median_worst, plot_curves
from unet2015.report.html import Picture, Report, Row, Section, Table, write_report
from unet2015.report.overlays import overlay_instances

if TYPE_CHECKING:
    from pipelines.cell_tracking import Experiment, Split


def write_cell_report(experiment: "Experiment", out: Path) -> None:
    """Write the page of a finished experiment."""
    result = json.loads((experiment.out / "result.json").read_text(encoding="utf-8"))
    width = result["settings"]["training"]["network"]["width"]
    summary = (
        f"U-Nets of width {width}, trained on gold frames of one sequence of the Cell Tracking Challenge and "
        "measured on those of the other (where only one is there: on later frames of the same). The figures "
        "are of held-out training frames; the published ones are of the hidden test sequences: other images, "
        "so the two are neighbours in a table and nothing more. How the settings were chosen: "
        f"{result['settings']['chosen_on'].strip() or 'none was tried on any of these frames.'}"
    )
    sections = [
        Section("Results", tables=[main_table(experiment, result), split_table(experiment, result)]),
        *(_frames(experiment, split, result["splits"][split.name]) for split in experiment.splits),
        Section(
            "Training",
            "Thin lines are single steps. The checks are on the training frames.",
            pictures=[Picture("Loss and check of each training", plot_curves(_logs(experiment)))],
        ),
        Section(
            "Record",
            details={key: result[key] for key in ("settings", "data_sets", "machine", "date", "note")},
        ),
    ]
    title = "Cell Tracking Challenge: segmentation of cells"
    write_report(Report(title, summary, sections, alert(result["not_learned"])), out)


def main_table(experiment: "Experiment", result: Mapping[str, Any]) -> Table:
    """Return the table beside the paper's: SEG of each data set."""
    from pipelines.cell_tracking import PAPER

    names = list(experiment.experiment.data_sets)
    rows = [
        Row([title, *(values.get(name) for name in names)], "paper" if "paper" in title else "other")
        for title, values in PAPER.items()
    ]
    means = result["mean"]
    for title, key in (
        ("ours, threshold of the training frames", "seg"),
        ("ours, threshold 0.5", "seg_at_0.5"),
    ):
        rows.append(Row([title, *(means[name][key] for name in names)], "ours"))
    splits = "; ".join(f"{name}: {', '.join(means[name]['splits'])}" for name in names)
    note = (
        f"SEG, higher is better. Ours: held-out training frames, the mean over {splits}. The paper's: hidden "
        "test sequences. At 0.5 an object is where its class has the higher score, as in the release."
    )
    return Table("Beside the paper's Table 2", ("", *names), rows, note)


def split_table(experiment: "Experiment", result: Mapping[str, Any]) -> Table:
    """Return the table of the splits."""
    columns = (
        "",
        "gold frames trained on",
        "frames measured",
        "objects",
        "without match",
        "SEG",
        "threshold",
        "SEG at 0.5",
        "SEG, best threshold",
        "SEG on training frames",
    )
    rows = []
    for split in experiment.splits:
        part = result["splits"][split.name]
        rows.append(
            Row(
                [
                    f"{split.data_set}, {split.title}",
                    len(part["frames"]["train"]),
                    len(part["frames"]["test"]),
                    part["objects"],
                    part["objects_without_match"],
                    part["seg"],
                    part["threshold_of_training"],
                    part["seg_at_0.5"],
                    part["seg_best_over_thresholds"]["seg"],
                    part["seg_on_training_frames"],
                ],
                "ours",
            )
        )
    note = "The best threshold is that of the frames measured: how much a threshold could still give."
    return Table("Each split", columns, rows, note)


def _frames(experiment: "Experiment", split: "Split", part: Mapping[str, Any]) -> Section:
    frames = part["per_frame"]
    images = read_pages(experiment.stack(split, "test"))
    truth = read_pages(experiment.stack(split, "test", "-labels"))
    found = read_pages(experiment.part(split) / "objects.tif")
    pictures = []
    choice = best_median_worst([frame["seg"] for frame in frames], higher_is_better=True)
    for word, index in zip(("Best", "Median", "Worst"), choice, strict=True):
        row = frames[index]
        page = part["frames"]["test"].index(row["frame"])
        true = truth[page].copy()
        true[true == IGNORE] = 0
        pictures.append(
            Picture(
                f"{word}: frame {row['frame']}",
                overlay_instances(images[page], true, found[page]),
                f"SEG {row['seg']:.3f}; {row['matched']} of {row['objects']} objects matched",
            )
        )
    return Section(f"{split.data_set}, {split.title}", pictures=pictures)


def _logs(experiment: "Experiment") -> dict[str, Path]:
    return {split.name: experiment.part(split) / "run" / "log.jsonl" for split in experiment.splits}
