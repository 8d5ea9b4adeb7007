"""Figures that show what a training and a segmentation did."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import DataSetError, UsageError
from unet2015.files import atomic_path
from unet2015.training.log import read_log

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MISSED, INVENTED = (213, 94, 0), (0, 114, 178)
"""Colours of errors (vermilion, blue), told apart by colour-blind readers too."""


def draw_curves(log: str | Path, out: str | Path) -> None:
    """Draw loss, learning rate and validation of a training log over the steps, as a PNG.

    Raises
    ------
    DataSetError
        The log holds no step.
    UsageError
        matplotlib is not installed.
    """
    lines = read_log(Path(log))
    steps = [line for line in lines if "loss" in line]
    checks = [line for line in lines if "validation_f1" in line]
    if not steps:
        raise DataSetError(f"{log}: no step of a training is in this log")
    figure = _figure(9, 3.4)
    left, right = figure.subplots(1, 2)
    at, losses = np.array([line["step"] for line in steps]), np.array([line["loss"] for line in steps])
    left.plot(at, losses, color="0.8", linewidth=0.5, label="each step")
    span = max(1, len(losses) // 50)
    smooth = np.convolve(losses, np.ones(span) / span, "valid")
    left.plot(at[span - 1 :], smooth, color="C0", label=f"mean of {span} steps")
    left.set(xlabel="step", ylabel="weighted cross-entropy", ylim=(0, float(np.quantile(losses, 0.99)) * 1.1))
    left.legend(frameon=False)
    right.plot([line["step"] for line in checks], [line["validation_pixel_error"] for line in checks], "o-")
    right.set(xlabel="step", ylabel="pixel error on held-out pages (1 - F1)")
    right.set_ylim(bottom=0)
    _save(figure, out)


def draw_panel(images: Mapping[str, NDArray[Any]], out: str | Path) -> None:
    """Draw pictures of one scene side by side, as a PNG.

    Parameters
    ----------
    images : mapping of str to ndarray
        Title and picture: (H, W) of any type, scaled to its range, or (H, W, 3) uint8 as it is. A title
        that begins with "weight" or "probability" gets a colour bar.
    out : path
        The PNG.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    height, width = next(iter(images.values())).shape[:2]
    side = 4.2
    figure = _figure(side * len(images), side * height / width + 0.5)
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
    _save(figure, out)


def mark_errors(result: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a class map of two classes as a picture (H, W, 3) in which its errors are coloured.

    Pixels of class 1 that were missed are vermilion, those that were invented are blue.
    """
    picture = np.where(result > 0, 255, 0).astype(np.uint8)[..., None].repeat(3, axis=-1)
    picture[(result == 0) & (truth > 0)] = MISSED
    picture[(result > 0) & (truth == 0)] = INVENTED
    return picture


def _figure(width: float, height: float) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "figures need matplotlib; install it with: pip install 'unet2015[figures]'"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: "Figure", out: str | Path) -> None:
    with atomic_path(out) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
