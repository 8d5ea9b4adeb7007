"""The pictures of the results: what each shows, and how it is drawn.

A picture is made of the results alone. It carries a digest of the figures in it, so that one can tell
whether it shows what the results say without drawing it again; the bytes are the same for the same
figures and the same matplotlib.
"""

import hashlib
import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from benchmarks.drawing import GREY, MET, MISSED, plain
from benchmarks.quality_plot import draw_quality, of_quality
from unet2015.metrics.drawing import figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Results = Mapping[str, Mapping[str, Any]]
"""By the name of the file, without its ending."""


@dataclass(frozen=True)
class Plot:
    """A picture of some results.

    Attributes
    ----------
    name : str
        Of the file, without its ending.
    caption : str
        What it shows.
    figures : callable
        What is drawn, as plain JSON; None where the results do not hold it.
    draw : callable
        Draws these figures.
    """

    name: str
    caption: str
    figures: Callable[[Results], Any]
    draw: Callable[[Any], "Figure"]

    @property
    def file(self) -> str:
        """Name of the file."""
        return f"{self.name}.svg"


def digest(figures: Any) -> str:
    """Return what a picture says of the figures in it."""
    text = json.dumps(figures, sort_keys=True)
    return f"figures sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def svg(plot: Plot, figures: Any) -> bytes:
    """Return a picture as SVG, the same bytes for the same figures.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    figure = plot.draw(figures)
    import matplotlib

    buffer = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "unet2015"}):
        figure.savefig(
            buffer,
            format="svg",
            metadata={"Date": None, "Creator": None, "Title": plot.caption, "Description": digest(figures)},
        )
    # matplotlib ends lines of path data with a space, which an editor or a hook might take away.
    lines = (line.rstrip() for line in buffer.getvalue().decode().splitlines())
    return ("\n".join(lines) + "\n").encode()


def ratio_to_aim(row: Mapping[str, Any]) -> float | None:
    """Return how many times better than its aim a row is; None where no ratio says it."""
    figure, aim = (row["figure"], row["aim"]) if row["at_least"] else (row["aim"], row["figure"])
    return None if figure <= 0 or aim <= 0 else figure / aim


def of_rows(results: Results) -> list[dict[str, Any]] | None:
    """Return all rows as ratios to their aims."""
    rows = [
        {
            "label": f"{row['question']}\nnext to {row['against']}",
            "ratio": ratio_to_aim(row),
            "met": row["met"],
            "text": f"{in_words(row)} (aim {aim_in_words(row)})",
        }
        for result in results.values()
        for row in result.get("table", ())
    ]
    return rows or None


def in_words(row: Mapping[str, Any]) -> str:
    """Return what was measured, with so many digits that it does not seem to meet an aim that it misses."""
    for digits in range(3, 12):
        shown = f"{row['figure']:.{digits}g}"
        if (float(shown) >= row["aim"] if row["at_least"] else float(shown) <= row["aim"]) == row["met"]:
            break
    bound = "> " if row.get("more_than") else ""
    return bound + _with_unit(float(shown), shown, row["unit"])


def aim_in_words(row: Mapping[str, Any]) -> str:
    """Return what was wanted."""
    bound = ">=" if row["at_least"] else "<="
    return f"{bound} {_with_unit(row['aim'], format(row['aim'], '.6g'), row['unit'])}"


def _with_unit(value: float, shown: str, unit: str) -> str:
    plain = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:f}".rstrip("0").rstrip(".")
    number = plain if "e" in shown and abs(value) >= 1e-4 else shown
    return f"{number}x" if unit == "x" else f"{number} {unit}".rstrip()


def draw_rows(rows: list[dict[str, Any]]) -> "Figure":
    """Draw each row on a line of its own, over a logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    labels = ["\n".join(textwrap.fill(line, 60) for line in row["label"].split("\n")) for row in rows]
    lines = sum(label.count("\n") + 1 for label in labels)
    figure = figure_of(10, 1.2 + 0.17 * lines + 0.1 * len(rows))
    axes = figure.subplots()
    plain(axes, grid="x")
    axes.set_xscale("log")
    ratios = [1.0, *(row["ratio"] for row in rows if row["ratio"] is not None)]
    least, most = min(0.5, min(ratios) / 1.3), max(2.0, max(ratios) * 1.3)
    for y, row in enumerate(rows):
        colour, marker = (MET, "o") if row["met"] else (MISSED, "X")
        x = row["ratio"]
        if x is None:  # beyond all ratios
            x, marker = (most, ">") if row["met"] else (least, "<")
        axes.plot([1, x], [y, y], color=colour, linewidth=2, alpha=0.5, solid_capstyle="butt")
        axes.plot(x, y, marker, color=colour, markersize=8, clip_on=False)
        axes.annotate(
            row["text"], (1.03, y), xycoords=axes.get_yaxis_transform(), va="center", fontsize=8, color=colour
        )
    axes.axvline(1, color="0.2", linewidth=1)
    axes.set_xlim(least, most)
    axes.set_yticks(range(len(rows)), labels, fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    decades = max(ratios) / min(ratios) > 50
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if decades else (1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.set_xlabel("times better than the aim: right of 1 it is met (dot), left of it missed (cross)")
    return figure


def of_image_size(results: Results) -> dict[str, Any] | None:
    """Return cost and memory by the side of the image."""
    result = results.get("image_size", {})
    if not result.get("sizes"):
        return None
    keys = ("side", "seconds_per_megapixel", "peak_mib")
    return {
        "sizes": [{key: size[key] for key in keys} for size in result["sizes"]],
        "line": result["line"],
        "cap_mib": result["cap_mib"],
    }


def draw_image_size(figures: dict[str, Any]) -> "Figure":
    """Draw seconds per pixel beside peak memory, both over the side."""
    sizes, line, cap = figures["sizes"], figures["line"], figures["cap_mib"]
    sides = [size["side"] for size in sizes]
    figure = figure_of(9, 3.4)
    left, right = figure.subplots(1, 2)
    slope, first = line["seconds_per_megapixel"], line["from_side"]
    reach = [first, max(sides)]
    left.fill_between(reach, 0.95 * slope, 1.05 * slope, color=GREY, alpha=0.25, linewidth=0)
    left.plot(reach, [slope, slope], "--", color=GREY, label="straight line, and 5 % to each side")
    cost = [size["seconds_per_megapixel"] for size in sizes]
    left.plot(sides, cost, "o-", color=MET, label="measured, without the start")
    left.set(ylabel="seconds per megapixel", ylim=(0, 1.25 * max(*cost, slope)))
    peaks = [size["peak_mib"] for size in sizes]
    right.plot(sides, peaks, "o-", color=MET, label="peak resident memory")
    right.axhline(cap, linestyle="--", color=MISSED, label="the stated cap")
    right.set(ylabel="MiB", ylim=(0, 1.3 * max(*peaks, cap)))
    for axes in (left, right):
        plain(axes)
        axes.set_xscale("log", base=2)
        axes.set_xticks(sides, [f"{side:,}" for side in sides], rotation=35, ha="right")
        axes.minorticks_off()
        axes.set_xlabel("side of the image in pixels")
        axes.legend(frameon=False, fontsize=8, loc="upper right")
    return figure


def of_weight_map(results: Results) -> list[dict[str, Any]] | None:
    """Return the times of the weight map and of one transform, by the number of cells."""
    rows = results.get("weight_map", {}).get("against_one_transform", ())
    keys = ("side", "cells", "weight_map", "one_transform")
    return [{key: row[key] for key in keys} for row in rows] or None


def draw_weight_map(rows: list[dict[str, Any]]) -> "Figure":
    """Draw medians, and the spread of the repeats as bars."""
    figure = figure_of(6, 3.4)
    axes = figure.subplots()
    plain(axes)
    cells, most = [row["cells"] for row in rows], 0.0
    for key, style, colour, shift, label in (
        ("weight_map", "o-", MET, 0.985, "weight map"),
        ("one_transform", "s--", GREY, 1.015, "one SciPy distance transform of the frame"),
    ):
        medians = [row[key]["median"] for row in rows]
        below = [row[key]["median"] - row[key]["least"] for row in rows]
        above = [row[key]["most"] - row[key]["median"] for row in rows]
        most = max(most, *(row[key]["most"] for row in rows))
        axes.errorbar(
            [shift * count for count in cells],  # so that bars do not hide each other
            medians,
            [below, above],
            fmt=style,
            color=colour,
            capsize=3,
            linewidth=1.3,
            elinewidth=0.8,
            markersize=5,
            label=label,
        )
    axes.set_xscale("log")
    axes.set_xticks(cells, [f"{count:,}" for count in cells])
    axes.minorticks_off()
    side = rows[0]["side"]
    axes.set(xlabel=f"cells in {side:,} x {side:,} pixels", ylabel="seconds (bars: all repeats)")
    axes.set_ylim(0, 1.3 * most)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def of_dask(results: Results) -> list[dict[str, Any]] | None:
    """Return the efficiency of two workers and of two bare processes, by tiles a task."""
    rows = results.get("dask_overhead", {}).get("sizes", ())
    keys = ("tiles_a_task", "tasks", "efficiency", "efficiency_bare")
    return [{key: row[key] for key in keys} for row in rows] or None


def draw_dask(rows: list[dict[str, Any]]) -> "Figure":
    """Draw the efficiency in percent beside what was wanted."""
    figure = figure_of(6, 3.4)
    axes = figure.subplots()
    plain(axes)
    tiles = [row["tiles_a_task"] for row in rows]
    shares = [100 * row["efficiency"] for row in rows]
    axes.axhline(95, linestyle="--", color=MISSED, label="aim: 95 %")
    axes.plot(tiles, shares, "o-", color=MET, label="two workers")
    bare = [100 * row["efficiency_bare"] for row in rows]
    axes.plot(tiles, bare, "s:", color="0.5", label="two processes without Dask")
    for x, y, row in zip(tiles, shares, rows, strict=True):
        tasks = "1 task" if row["tasks"] == 1 else f"{row['tasks']} tasks"
        axes.annotate(tasks, (x, y), (0, -14), textcoords="offset points", ha="center", fontsize=8)
    axes.set_xscale("log", base=2)
    axes.set_xticks(tiles, [str(count) for count in tiles])
    axes.minorticks_off()
    axes.margins(x=0.1)
    axes.set(xlabel="tiles a task", ylabel="efficiency in %", ylim=(0, max(140, 1.3 * max(*shares, *bare))))
    axes.legend(frameon=False, fontsize=8, loc="upper left", ncols=2)
    return figure


PLOTS = (
    Plot("overview", "All rows as multiples of their aims", of_rows, draw_rows),
    Plot("image_size", "Cost and peak memory against the size of the image", of_image_size, draw_image_size),
    Plot("weight_map", "Time of the weight map against the number of cells", of_weight_map, draw_weight_map),
    Plot("dask_overhead", "Efficiency of two Dask workers against tiles a task", of_dask, draw_dask),
    Plot(
        "time_to_quality",
        "Quality on slices not trained on against processor time of the training",
        of_quality,
        draw_quality,
    ),
)
