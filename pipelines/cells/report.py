"""The cell experiments' page: SEG beside the paper's, curves, and the best, median and worst frame."""

from collections.abc import Mapping
from typing import Any

from pipelines.base.json_files import read_json
from pipelines.base.paper import TABLE_2
from pipelines.base.trainings import alert
from pipelines.cells.cell_files import CellFiles
from pipelines.cells.frames import IGNORE
from unet2015.images.reader import read_pages
from unet2015.report.figures import best_median_worst, plot_curves
from unet2015.report.html import Picture, Report, Row, Section, Table, write_report
from unet2015.report.overlays import overlay_instances


def write_cell_report(files: CellFiles) -> None:
    """Write the page of a finished experiment."""
    result = read_json(files.result)
    logs = {name: files.log(name) for name in result["splits"]}
    width = result["settings"]["training"]["network"]["width"]
    summary = (
        f"U-Nets of width {width}, trained on gold frames of one sequence of the Cell Tracking Challenge and "
        "measured on those of the other (where only one is there: on later frames of the same). The figures "
        "are of held-out training frames; the published ones are of the hidden test sequences: other images, "
        "so the two are neighbours in a table and nothing more. How the settings were chosen: "
        f"{result['settings']['chosen_on'].strip() or 'none was tried on any of these frames.'}"
    )
    sections = [
        Section("Results", tables=[main_table(result), split_table(result)]),
        *(_frames(files, name, part) for name, part in result["splits"].items()),
        Section(
            "Training",
            "Thin lines are single steps. The checks are on the training frames.",
            pictures=[Picture("Loss and check of each training", plot_curves(logs))],
        ),
        Section(
            "Record",
            details={key: result[key] for key in ("settings", "data_sets", "machine", "date", "note")},
        ),
    ]
    title = "Cell Tracking Challenge: segmentation of cells"
    write_report(Report(title, summary, sections, alert(result["not_learned"])), files.page)


def main_table(result: Mapping[str, Any]) -> Table:
    """Return the table beside the paper's: SEG of each data set."""
    names = list(result["settings"]["data_sets"])
    rows = [
        Row([title, *(values.get(name) for name in names)], "paper" if "paper" in title else "other")
        for title, values in TABLE_2.items()
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


def split_table(result: Mapping[str, Any]) -> Table:
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
    for part in result["splits"].values():
        rows.append(
            Row(
                [
                    f"{part['data_set']}, {part['split']}",
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


def _frames(files: CellFiles, name: str, part: Mapping[str, Any]) -> Section:
    frames = part["per_frame"]
    images = read_pages(files.stack(name, "test"))
    truth = read_pages(files.stack(name, "test", "-labels"))
    found = read_pages(files.objects(name))
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
    return Section(f"{part['data_set']}, {part['split']}", pictures=pictures)
