"""Figures of a training and of a segmentation."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import DataSetError, UsageError
from unet2015.images.figure_files import SOFTWARE, write_figure
from unet2015.metrics.drawing import figure_of
from unet2015.training.log import inspect_log

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MISSED, INVENTED = (213, 94, 0), (0, 114, 178)
"""Colours of errors (vermilion, blue), told apart by colour-blind readers too."""
DPI = 110


def draw_curves(log: str | Path, out: str | Path) -> None:
    """Draw loss and validation of a training log over the steps, as a PNG file.

    Raises
    ------
    DataSetError, UsageError
        As `plot_curves`.
    """
    write_figure(out, plot_curves({"": log}))


def plot_curves(logs: Mapping[str, str | Path]) -> bytes:
    """Return loss and validation of one training, or of several in one figure, as a PNG.

    Parameters
    ----------
    logs : mapping of str to path
        Name of each training, and its ``log.jsonl``.

    Raises
    ------
    DataSetError
        A file is not a log, or holds no step.
    UsageError
        No log is given, or matplotlib is not installed.
    """
    if not logs:
        raise UsageError("curves need the log of at least one training")
    runs = {name: _steps_and_checks(Path(log)) for name, log in logs.items()}
    figure = figure_of(9, 3.4)
    left, right = figure.subplots(1, 2)
    highest = 0.0
    # F1 is undefined if no held-out pixel has a class of 1 or more.
    errors = [line["validation_pixel_error"] for _, checks, _ in runs.values() for line in checks]
    undefined = bool(errors) and all(error is None for error in errors)
    shown = "validation_cross_entropy" if undefined else "validation_pixel_error"
    for k, (name, (steps, checks, phases)) in enumerate(runs.items()):
        at, losses = np.array([line["step"] for line in steps]), np.array([line["loss"] for line in steps])
        span = max(1, len(losses) // 50)
        if len(runs) == 1:
            left.plot(at, losses, color="0.8", linewidth=0.5, label="each step")
        smooth = np.convolve(losses, np.ones(span) / span, "valid")
        colour = f"C{k % 10}"
        left.plot(at[span - 1 :], smooth, color=colour, label=name or f"mean of {span} steps")
        highest = max(highest, float(np.quantile(losses, 0.99)))
        right.plot(
            [line["step"] for line in checks],
            [np.nan if (value := line.get(shown)) is None else value for line in checks],
            "o-",
            color=colour,
            markersize=4,
            label=name,
        )
        for line in phases:
            for axes in (left, right):
                axes.axvline(line["step"], color="0.6", linewidth=0.8, linestyle=":")
        if checks and checks[0]["step"] == 0 and (before := checks[0].get(shown)) is not None:
            right.axhline(before, color=colour, linewidth=0.8, linestyle="--", label=f"{name} before".strip())
            right.legend(frameon=False)
    left.set(xlabel="step", ylabel="loss", ylim=(0, highest * 1.1 or 1))
    left.legend(frameon=False)
    right.set(
        xlabel="step",
        ylabel="cross-entropy of the validation" if undefined else "pixel error of the validation (1 - F1)",
    )
    right.set_ylim(bottom=0)
    return png_of(figure)


def _steps_and_checks(log: Path) -> tuple[list[dict[str, Any]], ...]:
    """Return the lines of a log about a step, those about a validation, and those where a phase begins."""
    found = inspect_log(log)
    steps = [line for line in found.good if line.get("loss") is not None]
    checks = [line for line in found.good if "validation_f1" in line]
    if found.damaged and not steps:
        raise DataSetError(
            f"{log}: not the log of a training (one JSON object a line): no line about a step can be read"
        )
    if not steps:
        raise DataSetError(f"{log}: no step of a training is in this log")
    return steps, checks, [line for line in found.good if "phase" in line]


def best_median_worst(values: Sequence[float], *, higher_is_better: bool = False) -> tuple[int, int, int]:
    """Return the positions of the best, the median and the worst of some values; the first of equals.

    If the number of values is even, the median is the better of the two in the middle.

    Raises
    ------
    UsageError
        There is no value, or one is not a number.
    """
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or not numbers.size or np.isnan(numbers).any():
        raise UsageError(f"expected at least one value, and numbers only, got {values!r}")
    order = np.argsort(-numbers if higher_is_better else numbers, kind="stable")
    worst = numbers.min() if higher_is_better else numbers.max()
    return int(order[0]), int(order[(len(order) - 1) // 2]), int(np.flatnonzero(numbers == worst)[0])


def draw_panel(images: Mapping[str, NDArray[Any]], out: str | Path) -> None:
    """Draw pictures of one scene side by side, as a PNG.

    Parameters
    ----------
    images : mapping of str to ndarray
        Title and picture: (H, W) of any type, scaled to its range, or (H, W, 3) uint8, not scaled. A
        picture gets a colour bar if its title begins with "weight" or "probability".
    out : path
        The PNG.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    height, width = next(iter(images.values())).shape[:2]
    side = 4.2
    figure = figure_of(side * len(images), side * height / width + 0.5)
    for axes, (title, picture) in zip(
        figure.subplots(1, len(images), squeeze=False)[0], images.items(), strict=True
    ):
        kind = title.split()[0]
        colours = {"weight": "magma", "probability": "viridis"}.get(kind, "gray")
        shown = axes.imshow(picture, cmap=colours, interpolation="nearest")
        if kind in ("weight", "probability"):
            figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.02)
        axes.set_title(title)
        axes.set_axis_off()
    write_figure(out, png_of(figure))


def mark_errors(result: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a class map of two classes as a picture (H, W, 3) in which its errors are coloured.

    Pixels of class 1 that were not found are vermilion; pixels that were wrongly found are blue.
    """
    picture = np.where(result > 0, 255, 0).astype(np.uint8)[..., None].repeat(3, axis=-1)
    picture[(result == 0) & (truth > 0)] = MISSED
    picture[(result > 0) & (truth == 0)] = INVENTED
    return picture


def png_of(figure: "Figure") -> bytes:
    """Return a figure as a PNG, the same bytes for the same figure."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": SOFTWARE})
    return buffer.getvalue()
