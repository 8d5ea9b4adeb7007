"""The picture of `benchmarks.time_to_quality`: pixel error and V_rand over processor time."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchmarks.drawing import GREY, MET, MISSED, OTHER, plain
from unet2015.metrics.drawing import figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES = {"ours": (MET, "o"), "monai": (MISSED, "s"), "nnunet": (OTHER, "^")}
PANELS = (("pixel_error", "pixel error"), ("v_rand", "V_rand"))


def of_quality(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the curves of each side, one for each seed, and the quality that is wanted."""
    result = results.get("time_to_quality", {})
    if not result.get("sides"):
        return None
    keys = ("seconds", *(key for key, _ in PANELS))
    sides = {
        side: {
            "name": given["name"],
            "curves": [[[point[key] for key in keys] for point in run["points"]] for run in given["runs"]],
        }
        for side, given in result["sides"].items()
    }
    return {"sides": sides, "quality": result["quality"]}


def draw_quality(figures: dict[str, Any]) -> "Figure":
    """Draw each seed as a line of its own, pixel error beside V_rand."""
    figure = figure_of(10, 3.8)
    for i, (axes, (key, label)) in enumerate(zip(figure.subplots(1, 2), PANELS, strict=True)):
        plain(axes)
        wanted = figures["quality"][key]
        axes.axhline(wanted, linestyle="--", color=GREY, label=f"wanted: {wanted:g}")
        for side, given in figures["sides"].items():
            colour, marker = STYLES[side]
            for seed, curve in enumerate(given["curves"]):
                axes.plot(
                    [point[0] for point in curve],
                    [point[i + 1] for point in curve],
                    marker=marker,
                    color=colour,
                    linewidth=1.2,
                    markersize=4,
                    alpha=0.8,
                    label=given["name"] if seed == 0 else None,
                )
        # The first checkpoints of a training that has hardly begun would hide all others.
        values = [
            point[i + 1]
            for given in figures["sides"].values()
            for curve in given["curves"]
            for point in curve
        ]
        axes.set_ylim(
            *((0.04, min(0.15, 1.05 * max(values))) if key == "pixel_error" else (max(0.6, min(values)), 1.0))
        )
        axes.set(xlabel="seconds of processor time of the training", ylabel=label, xlim=(0, None))
    figure.axes[1].legend(frameon=False, fontsize=8, loc="lower right")
    return figure
