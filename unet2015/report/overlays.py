"""Results drawn over the image, with errors marked in colours that every reader can tell apart."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.measure import find_contours

from unet2015.errors import DataSetError, UsageError
from unet2015.images.display import stretched
from unet2015.metrics.drawing import colour_pixels, figure_of, ring_pixels
from unet2015.report.figures import png_of
from unet2015.report.objects import Fate, fates_of_objects
from unet2015.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Window = tuple[slice, slice]
"""Rows and columns of the part that is shown."""

MEMBRANE = "#d17fd1"


class _Line(NamedTuple):
    colour: str
    style: Literal["solid", "dashed", "dashdot", "dotted"]
    width: float


_TRUTH: dict[Fate, _Line] = {
    "matched": _Line("#56b4e9", "solid", 1.3),
    "missed": _Line("#ff5a1f", "dashed", 2.0),
    "split": _Line("#f0e442", "solid", 2.0),
    "merged": _Line("#ff7fd4", "dashdot", 2.0),
}
_FOUND, _UNLABELLED = _Line("#ffffff", "dotted", 1.2), _Line("#b0b0b0", "dotted", 0.9)


def overlay_em(
    image: ArrayLike,
    truth: ArrayLike,
    proposal: ArrayLike,
    threshold: float,
    window: Window | None = None,
) -> bytes:
    """Draw found membranes over an EM slice, and where they split or merge cells.

    Parameters
    ----------
    image : (H, W) array
        The slice.
    truth : (H, W) array
        0 is membrane, all else the inside of cells.
    proposal : (H, W) array
        Probability of the inside of cells in [0, 1], or a class map.
    threshold : float
        Inside is what lies strictly above it.
    window : pair of slices, optional
        Rows and columns to show. Errors are looked for in the whole slice.

    Returns
    -------
    bytes
        A PNG. Splits are orange and mergers are blue, each within a ring.

    Raises
    ------
    DataSetError
        The shapes differ.
    UsageError
        The window is empty, or matplotlib or numba is not installed.
    """
    # Only here: they need numba, the other overlays do not.
    from unet2015.metrics.figure import COLOURS
    from unet2015.metrics.warping import Mismatch, warping_mismatches

    image, proposal = np.asarray(image), np.asarray(proposal)
    _same_shapes(image, np.asarray(truth), proposal)
    wrong = warping_mismatches(truth, proposal, threshold)[0]
    view = _window(window, image.shape)
    image, wrong, membrane = image[view], wrong[view], (proposal <= threshold)[view]
    figure, axes = _canvas(image)
    colour_pixels(axes, membrane, MEMBRANE, 0.45)
    key = [_patch(MEMBRANE, "membrane found")]
    for kind, colour in COLOURS.items():
        pixels = wrong == kind
        count = ring_pixels(axes, pixels, colour, gap=5, line=1.8)
        word = "split" if kind == Mismatch.SPLIT else "merger"
        key.append(_patch(colour, f"{counted(count, word)}, {pixels.sum()} px"))
    return _finished(figure, key)


def overlay_instances(image: ArrayLike, truth: ArrayLike, result: ArrayLike) -> bytes:
    """Draw the outlines of true and found objects over an image.

    The colour of a true object shows its fate (see `unet2015.report.objects.fates_of_objects`). Found objects
    are dotted: in white, or in gray if they touch no true object. The gray ones are not called errors,
    because the truth may be annotated in part.

    Parameters
    ----------
    image : (H, W) array
    truth, result : (H, W) arrays of int
        Instance labels, 0 is background.

    Returns
    -------
    bytes
        A PNG.

    Raises
    ------
    DataSetError
        The shapes differ.
    LabelError
        Labels are not whole numbers from 0 on.
    UsageError
        matplotlib is not installed.
    """
    image, true, found = np.asarray(image), np.asarray(truth), np.asarray(result)
    _same_shapes(image, true, found)
    known = fates_of_objects(true, found)
    figure, axes = _canvas(image)
    labels = set(np.unique(found[found > 0]).tolist()) - set(known.unlabelled)
    _outline(axes, found, known.unlabelled, _UNLABELLED)
    key = []
    for fate, line in _TRUTH.items():
        members = [label for label, became in known.truth.items() if became == fate]
        _outline(axes, true, members, line)
        if members or fate == "matched":
            key.append(_stroke(line, f"{len(members)} {fate}"))
    _outline(axes, found, labels, _FOUND)
    key.append(_stroke(_FOUND, f"{len(labels)} found"))
    if known.unlabelled:
        key.append(_stroke(_UNLABELLED, f"{len(known.unlabelled)} found where nothing is labelled"))
    return _finished(figure, key)


def overlay_classes(image: ArrayLike, truth: ArrayLike, result: ArrayLike) -> bytes:
    """Draw the pixels of an image whose class is wrong; pixels with `truth` 255 are not annotated.

    Raises
    ------
    DataSetError
        The shapes differ.
    UsageError
        matplotlib is not installed.
    """
    image, true, found = np.asarray(image), np.asarray(truth), np.asarray(result)
    _same_shapes(image, true, found)
    known = true != 255
    figure, axes = _canvas(image)
    key = []
    for colour, mask, words in (
        ("#ff5a1f", (true > 0) & (found != true), "missed, or of another class"),
        ("#00c8ff", (true == 0) & (found > 0), "found where there is background"),
    ):
        pixels = mask & known
        colour_pixels(axes, pixels, colour, 0.8)
        key.append(_patch(colour, f"{words}: {pixels.sum() / max(1, known.sum()):.1%}"))
    return _finished(figure, key)


def _same_shapes(*arrays: NDArray[Any]) -> None:
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) > 1 or len(shapes[0]) != 2:
        raise DataSetError(f"image, truth and result must be (H, W) of one size, got {shapes}")


def _window(window: Window | None, shape: tuple[int, ...]) -> Window:
    rows, columns = window or (slice(None), slice(None))
    if not range(*rows.indices(shape[0])) or not range(*columns.indices(shape[1])):
        raise UsageError(f"the window {window} shows nothing of {shape[0]} x {shape[1]} pixels")
    return rows, columns


def _canvas(image: NDArray[Any]) -> "tuple[Figure, Axes]":
    """Return a figure with the image in gray, its darkest and brightest 0.5 % cut off."""
    height, width = image.shape
    long = 7.4 / max(height, width)
    figure = figure_of(max(width * long, 4.2), height * long + 0.5)
    axes = figure.subplots()
    axes.imshow(stretched(image, (0.5, 99.5)), cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()
    return figure, axes


def _finished(figure: "Figure", key: list[Any]) -> bytes:
    figure.legend(handles=key, loc="outside lower center", ncols=3, frameon=False, fontsize="medium")
    figure.set_facecolor("white")
    return png_of(figure)


def _outline(axes: "Axes", labels: NDArray[Any], members: Iterable[int], line: _Line) -> None:
    for label in members:
        rows, columns = (slice(int(at.min()), int(at.max()) + 1) for at in np.nonzero(labels == label))
        mask = np.pad(labels[rows, columns] == label, 1).astype(np.float64)
        for path in find_contours(mask, 0.5):  # type: ignore[no-untyped-call]
            y, x = path[:, 0] + rows.start - 1, path[:, 1] + columns.start - 1
            axes.plot(x, y, color=line.colour, linestyle=line.style, linewidth=line.width)


def _patch(colour: str, text: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, edgecolor="#444444", linewidth=0.4, label=text)


def _stroke(line: _Line, text: str) -> Any:
    """Return a line of the key, on black, because light colours are hard to see on the page."""
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import Normal, Stroke

    effects = [Stroke(linewidth=line.width + 4, foreground="#444444"), Normal()]
    return Line2D(
        [],
        [],
        color=line.colour,
        linestyle=line.style,
        linewidth=line.width,
        label=text,
        path_effects=effects,
    )
