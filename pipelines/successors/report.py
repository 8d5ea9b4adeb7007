"""The page of the comparison: what each network is, a table for each data set, and curves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.base.json_files import read_json
from pipelines.successors.rows import TRIALS, mean_rows, measures_of, title_of
from unet2015.metrics.drawing import figure_of
from unet2015.report.figures import png_of
from unet2015.report.html import Picture, Report, Row, RowKind, Section, Table, write_report


def write_successor_report(source: Path, target: Path) -> None:
    """Write the page of a result."""
    result = read_json(source)
    sets = list(dict.fromkeys(row["data"] for row in result["rows"]))
    chosen, missing = result["settings"], result["missing"]
    left = f" Not finished: {len(missing)} trainings." if missing else ""
    summary = (
        f"The paper's network and those that came after it, each trained for {chosen['cpu_seconds']:g} CPU "
        f"seconds with its own published recipe and with the common one ({chosen['common']}), and with the "
        f"common one for {chosen['steps']} steps. Widths are scaled down. Seeds: "
        f"{', '.join(map(str, chosen['seeds']))}. Measured on pages that no training saw.{left}\n\n"
        "VGG-19's encoder has drawn weights here, so its published recipe, which freezes it, trains a "
        "decoder on features that nobody has learned. Nothing ends a training early. One seed "
        "tells nothing small."
    )
    sections = [Section("The networks", tables=[_networks(result)])]
    for data in sets:
        pictures = [Picture("Validation over the processor's time", _curves(result, data))]
        sections.append(Section(title_of(data), tables=[_table(result, data)], pictures=pictures))
    details = {key: result[key] for key in ("settings", "machine", "missing")}
    sections.append(Section("Record", details=details))
    write_report(Report("The U-Nets that came after", summary, sections, _alert(result)), target)


def _alert(result: Mapping[str, Any]) -> str:
    failed = [row for row in result["rows"] if row["learned"] is False]
    if not failed:
        return ""
    named = ", ".join(
        f"{row['network']} ({row['recipe']}, {row['data']}, seed {row['seed']})" for row in failed
    )
    return f"{len(failed)} trainings have not learned, and their figures mean little: {named}."


def _networks(result: Mapping[str, Any]) -> Table:
    columns = ["", "parameters", "operations a pixel", "MiB for 512 x 512", "margin", "tiled equals whole"]
    rows = [
        Row(
            [
                f"{kind}: {about['described']}",
                about["parameters"],
                round(about["operations_a_pixel"]),
                round(about["peak_mib"]),
                about["margin"],
                "yes" if about["exact"] else "no",
            ],
            _kind(kind),
        )
        for kind, about in result["networks"].items()
    ]
    note = (
        "Operations: multiplications and additions of the convolutions, in inference, for a pixel of the "
        "output, the margin included. MiB: what is alive at most while one page goes through, in float32."
    )
    return Table("As they are trained here", columns, rows, note)


def _table(result: Mapping[str, Any], data: str) -> Table:
    measures = measures_of(data)
    columns = [
        "",
        *measures.values(),
        "steps",
        "CPU seconds",
        "CPU seconds a megapixel",
        "seeds",
        "not learned",
    ]
    rows = [
        Row(
            [
                f"{row['network']}, {row['said']}",
                *row["measures"].values(),
                round(row["steps"]),
                row["cpu_seconds"],
                row["seconds_a_megapixel"],
                row["seeds"],
                row["not_learned"],
            ],
            _kind(row["network"]),
        )
        for row in mean_rows(result, data)
    ]
    note = "Means over seeds. EM: best over thresholds. CPU seconds: of the training, with its validations."
    return Table(title_of(data), columns, rows, note)


def _kind(network: str) -> RowKind:
    return "ours" if network == "unet2015" else "other"


def _curves(result: Mapping[str, Any], data: str) -> bytes:
    figure = figure_of(9, 3.4)
    both = figure.subplots(1, 2, sharey=True)
    for axes, way in zip(both, (("own", "time"), ("common", "time")), strict=True):
        for number, network in enumerate(result["networks"]):
            for row in result["rows"]:
                if (row["data"], row["network"], row["recipe"], row["equal"]) != (data, network, *way):
                    continue
                curve = row["curve"]
                errors = [np.nan if value is None else value for value in curve["pixel_error"]]
                label = network if row["seed"] == result["settings"]["seeds"][0] else None
                if curve["seconds"] is not None:
                    axes.plot(curve["seconds"], errors, "o-", color=f"C{number}", markersize=3, label=label)
        axes.set(xlabel="CPU seconds", title=TRIALS[way])
    both[0].set(ylabel="pixel error of the validation")
    for axes in both:
        if axes.lines:
            axes.legend(frameon=False, fontsize="small")
    return png_of(figure)
