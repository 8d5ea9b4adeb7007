"""The page of an experiment on a folder of images and masks."""

from collections.abc import Sequence
from typing import Any

from pipelines.base.json_files import Files, read_json
from pipelines.base.trainings import alert
from unet2015.report.figures import plot_curves
from unet2015.report.html import Picture, Report, Row, Section, Table, write_report

COLUMNS = {
    "dice": "Dice",
    "iou": "IoU",
    "accuracy": "accuracy",
    "dice_of_all_pixels": "Dice, all pixels",
    "iou_of_all_pixels": "IoU, all pixels",
    "accuracy_of_all_pixels": "accuracy, all pixels",
}
FIGURES = {
    "examples.png": "Image, true mask, found mask of four held-out images, at the best validation.",
    "progress.gif": "A held-out image, and the probability found at each validation.",
}


def write_photograph_report(files: Files, names: Sequence[str]) -> None:
    """Write the page of a finished experiment."""
    result = read_json(files.result)
    data = result["data"]
    summary = (
        f"{data['images']} images, {len(data['held_out'])} of them held out. Of all masks, "
        f"{data['empty_masks']} are empty, and "
        f"{data['masks_with_values_between_0_and_the_highest']} have values between 0 and the highest, as "
        f"JPEG leaves them; they were cut at half. {data.get('masks_read_as_empty', 0)} have no value of "
        "half of the highest of all masks, and were read as empty.\n\n"
        "The images that are measured were looked at during the training: they have chosen the epoch and the "
        "model's threshold, so the figures are a little too good."
    )
    pictures = [Picture("Loss and validation", plot_curves({name: files.log(name) for name in names}))]
    for name in names:
        for picture, words in FIGURES.items():
            if (files.run(name) / picture).is_file():
                pictures.append(Picture(name, files.run(name) / picture, words))
    details = {key: result[key] for key in ("settings", "machine", "date", "data")}
    sections = [
        Section("Results", tables=[_overlaps(result), *_more(result)]),
        Section("Trainings", pictures=pictures),
        Section("Record", details=details),
    ]
    write_report(Report("Images and masks", summary, sections, alert(result["not_learned"])), files.page)


def _overlaps(result: dict[str, Any]) -> Table:
    rows = []
    for name, row in result["rows"].items():
        weights = row["encoder_weights"]
        begun = f", encoder from {weights['file']}" if weights else ""
        rows.append(Row([f"{name}{begun}, at 0.5", *(row["at_0.5"][key] for key in COLUMNS)], "ours"))
        best = row["at_the_model_s_threshold"]
        rows.append(Row([f"{name}, at {best['threshold']:.2f}", *(best[key] for key in COLUMNS)]))
    note = "The first three are means over images. The second row of each is at the model's own threshold."
    return Table("Overlap of masks", ["", *COLUMNS.values()], rows, note)


def _more(result: dict[str, Any]) -> list[Table]:
    rows = [(name, row["more"]) for name, row in result["rows"].items() if row["more"]]
    if not rows:
        return []
    columns = ["", "at 0.5", "best threshold", "at it", "threshold of the other half"]
    keys = ("at_0.5", "best_threshold", "best", "chosen_on_the_other_half")
    note = (
        "Mean over images of the precision at an IoU of 0.5 to 0.95; an image without a mask has 1 if "
        "nothing was found, else 0. Last column: each half at the threshold that is best on the other."
    )
    table = [Row([name, *(more.get(key) for key in keys)], "ours") for name, more in rows]
    return [Table("Mean precision, as in the competition", columns, table, note)]
