"""A figure of where a segmentation tears or joins cells."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unet2015.arguments import file_path, integer, number, pixels
from unet2015.errors import DataSetError, UsageError
from unet2015.images.display import stretched
from unet2015.images.figure_files import figure_guard, marks, write_figure
from unet2015.metrics.drawing import figure_of, ring_pixels
from unet2015.metrics.warping import Mismatch, warping_mismatches
from unet2015.wording import counted

COLOURS = {Mismatch.SPLIT: "#ff9500", Mismatch.MERGER: "#00c8ff"}
"""Colours that every kind of colour vision can tell from each other and from gray."""


def draw_failures(
    path: str | Path,
    labels: ArrayLike,
    proposal: ArrayLike,
    threshold: float,
    *,
    image: ArrayLike | None = None,
    radius: int = 20,
    panels: int = 12,
) -> None:
    """Mark splits and mergers, as the warping error finds them, over the image.

    Parameters
    ----------
    path : path
        The picture; its ending says the format (PNG, SVG, PDF).
    labels, proposal
        As for `unet2015.metrics.warping_error`.
    threshold : float
        Usually the one that the warping error chose.
    image : array of the same shape, optional
        The picture underneath. Default: the proposal.
    radius : int
        As for `unet2015.metrics.warping_error`.
    panels : int
        Most slices to show: those with the most splits and mergers, in the order of the stack.

    Raises
    ------
    DataSetError
        When the image has another shape than the labels.
    ImageWriteError
        When the picture cannot be written, or would replace one that this program did not draw.
    UsageError
        When matplotlib is not there, or does not know the format.
    """
    figure, path = figure_of(1, 1), file_path(path, "path")
    figure_guard(path, path)
    threshold, panels = number(threshold, "threshold"), integer(panels, "panels", 1)
    if Path(path).suffix[1:] not in (known := figure.canvas.get_supported_filetypes()):
        raise UsageError(f"{path}: the name of a figure must end in one of {', '.join(known)}")
    classes = warping_mismatches(labels, proposal, threshold, radius=radius)
    under = pixels(proposal if image is None else image, "image")
    under = under[None] if under.ndim == 2 else under
    if under.shape != classes.shape:
        raise DataSetError(
            f"the image beneath must have the labels' shape {classes.shape}, got {under.shape}"
        )
    marked = np.isin(classes, list(COLOURS)).sum(axis=(1, 2))
    shown = np.sort(np.argsort(-marked, kind="stable")[:panels])
    columns = int(np.ceil(np.sqrt(len(shown))))
    rows = -(-len(shown) // columns)
    height, width = classes.shape[1:]
    figure.set(size_inches=(5 * columns, 5 * rows * height / width + 1), dpi=120)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for place in axes:
        place.set_axis_off()
    for k, place in zip(shown, axes, strict=False):
        _draw_slice(place, int(k), under[k], classes[k])
    which = "" if len(shown) == len(classes) else f", the {len(shown)} slices of {len(classes)} with the most"
    figure.suptitle(f"Splits (orange) and mergers (blue) at threshold {threshold:.1f}{which}")
    kind = Path(path).suffix[1:]
    buffer = BytesIO()
    figure.savefig(buffer, format=kind, **marks(kind))
    write_figure(path, buffer.getvalue())


def _draw_slice(place: Any, number: int, image: NDArray[Any], classes: NDArray[np.uint8]) -> None:
    place.imshow(stretched(image, (0, 100)), cmap="gray", vmin=0, vmax=1)
    parts = []
    for mismatch, colour in COLOURS.items():
        mask = classes == mismatch
        count = ring_pixels(place, mask, colour, gap=4, line=1)
        parts.append(f"{counted(count, mismatch.name.lower())} ({mask.sum()} px)")
    place.set_title(f"slice {number}: " + ", ".join(parts), fontsize="medium")
