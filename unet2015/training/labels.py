"""From a label image to what the training needs: a class per pixel, and the cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage import measure

from unet2015.errors import LabelError
from unet2015.settings import LabelSettings
from unet2015.training.distances import compact

IGNORED = 255
"""Class of the pixels that are not annotated."""

MASK_ADVICE = (
    'set kind = "mask" (--label-kind mask) if 0 is background, "membrane" if 0 is the membrane between '
    "cells, or give every cell its own id"
)
"""What to do with a mask that is read as instances."""

Labels = npt.NDArray[Any]


@dataclass(frozen=True)
class Targets:
    """One page of labels, ready for training.

    Attributes
    ----------
    classes : ndarray of uint8, shape (height, width)
        Class of each pixel: background or membrane 0, cells 1 or their class; 255 where ignored.
    cells : ndarray of int32, shape (height, width)
        Cells numbered 1, 2, ...; 0 where there is none. Ignored pixels belong to no cell.
    whole : ndarray of int32, optional
        The cells as they were labelled, without a separation border between them; None where the labels
        number no cells.
    """

    classes: npt.NDArray[np.uint8]
    cells: npt.NDArray[np.int32]
    whole: npt.NDArray[np.int32] | None = None


def make_targets(labels: Labels, settings: LabelSettings, name: str, *, numbered: bool = False) -> Targets:
    """Read one page of labels as `settings` say.

    ``instances``: every value but 0 is a cell; if the settings say so, a separation border is drawn
    between cells that touch. ``mask`` and ``membrane``: the cells are the 4-connected components of what
    is not 0, or not below the threshold (a membrane of one pixel, drawn diagonally, then still separates).
    ``classes``: the cells are the 4-connected components of each class but 0; components of different
    classes may touch.

    Parameters
    ----------
    labels : ndarray, shape (height, width)
        Whole numbers (of any type) that are not negative, except for the ignore value; or bool.
    settings : LabelSettings
        What the values mean.
    name : str
        The file (and page), for the messages.
    numbered : bool
        Other pages of the set show that instances have ids (see `holds_ids`). Then a page with only 0 and
        255 is not a mask, but has a single cell.

    Raises
    ------
    LabelError
        The values are not whole numbers, negative, outside the classes, or those of a 0/255 mask that
        is read as instances.
    """
    targets = _without_border(labels, settings, name, numbered)
    return draw_border(targets) if settings.kind == "instances" and settings.separation_border else targets


def draw_border(targets: Targets) -> Targets:
    """Return one page of instances with the separation border; see `separation_border`."""
    cells = separation_border(targets.cells)
    classes = targets.classes * (cells == targets.cells)  # the border is class 0, all else stays
    return Targets(classes.astype(np.uint8, copy=False), cells, targets.whole)


def _without_border(labels: Labels, settings: LabelSettings, name: str, numbered: bool) -> Targets:
    labels = _whole_numbers(labels, settings, name)
    ignored = None if settings.ignore is None else labels == settings.ignore
    values = labels if ignored is None else np.where(ignored, labels.dtype.type(0), labels)
    if values.min() < 0:
        raise LabelError(
            f"{name}: labels must not be negative, but {values.min()} is among them; if it marks pixels "
            f"that are not annotated, set ignore = {values.min()}; if it is the background, save that as 0"
        )
    if settings.kind == "instances":
        cells = _instances(values, name, numbered)
        classes = (cells > 0).astype(np.uint8)
    else:
        if settings.kind == "classes" and values.max() >= settings.classes:
            raise LabelError(
                f"{name}: with classes = {settings.classes} the labels must be 0 to {settings.classes - 1}, "
                f"but {values.max()} is among them; {_beyond_classes(values)}"
            )
        least = 1 if settings.threshold is None else settings.threshold
        classes = (
            values.astype(np.uint8) if settings.kind == "classes" else (values >= least).astype(np.uint8)
        )
        cells = components(classes, connectivity=1)
    if ignored is not None:
        classes[ignored] = IGNORED
    cells = cells.astype(np.int32)
    return Targets(classes, cells, cells if settings.kind == "instances" else None)


def components(labels: Labels, connectivity: int) -> npt.NDArray[np.integer[Any]]:
    """Number the connected parts of equal labels; 0 stays 0."""
    if labels.dtype != bool and labels.size and labels.max() <= 1:
        labels = labels != 0  # a mask is labelled several times as fast
    return np.asarray(measure.label(labels, background=0, connectivity=connectivity))  # type: ignore[no-untyped-call]


def _whole_numbers(labels: Labels, settings: LabelSettings, name: str) -> Labels:
    if labels.ndim != 2 or not labels.size:
        raise LabelError(f"{name}: a page of labels has the axes YX and pixels, not the shape {labels.shape}")
    if labels.dtype == bool:
        if settings.kind == "instances":
            raise LabelError(f"{name}: labels of one bit cannot be instances; {MASK_ADVICE}")
        return labels.astype(np.uint8)
    if np.issubdtype(labels.dtype, np.integer):
        return labels
    if not np.issubdtype(labels.dtype, np.floating):
        raise LabelError(f"{name}: labels must be whole numbers, not {labels.dtype}")
    numbers = labels.astype(np.float64)
    odd = ~(np.abs(numbers) < 2**53) | (numbers != np.floor(numbers))
    if odd.any():
        raise LabelError(
            f"{name}: labels must be whole numbers, but {numbers[odd][0]} is among them; is it an image?"
        )
    return numbers.astype(np.int64)


def _beyond_classes(values: Labels) -> str:
    """Return what can be done with values that are above the number of classes."""
    highest = int(values.max())
    if np.unique(values).tolist() == [0, highest]:
        return f'for a mask set kind = "mask" (--label-kind mask), or write 1 for {highest} as the class'
    more = f"set classes = {highest + 1} if it is a class, " if highest < IGNORED else ""
    return f"{more}set ignore = {highest} if it marks what is not annotated, or correct the file"


def holds_ids(labels: Labels, settings: LabelSettings) -> bool:
    """Return whether instance labels have an id other than 255; then 255 is an id, too."""
    ids = (labels != 0) & (labels != 255)
    if settings.ignore is not None:
        ids &= labels != settings.ignore
    return bool(ids.any())


def _instances(values: Labels, name: str, numbered: bool) -> Labels:
    cells, ids = compact(values)
    if not numbered and ids.tolist() in ([0, 255], [255]):
        raise LabelError(
            f"{name}: the only values are 0 and 255, which is a mask, not one cell with the id 255; "
            f"{MASK_ADVICE}"
        )
    return cells


def separation_border(labels: Labels, *, ignore: int | None = None) -> Labels:
    """Return instance labels with background drawn between touching cells.

    The rule of the authors' plugin (the paper says only "using morphological operations", section 3.1,
    doi:10.1007/978-3-319-24574-4_28): a pixel of a cell becomes 0 when its north-west, north, north-east
    or west neighbour belongs to another cell. All pixels are judged by the labels as given. Afterwards
    no two cells touch, not even at a corner: of two pixels that touch, one comes later in reading order. It
    has the other among those four neighbours, so it has become 0.

    Parameters
    ----------
    labels : ndarray of integers, shape (height, width) or (pages, height, width)
        0 is background, every other value a cell.
    ignore : int, optional
        Value of pixels that are not annotated: they stay as they are and separate nothing.

    Returns
    -------
    ndarray
        Of the same shape and type.
    """
    cells = labels if ignore is None else np.where(labels == ignore, labels.dtype.type(0), labels)
    touching = np.zeros(cells.shape, bool)
    width = cells.shape[-1]
    for up, left in ((1, 1), (1, 0), (1, -1), (0, 1)):
        here = cells[..., up:, max(left, 0) : width + min(left, 0)]
        there = cells[..., : cells.shape[-2] - up, max(-left, 0) : width - max(left, 0)]
        touching[..., up:, max(left, 0) : width + min(left, 0)] |= (
            (here != there) & (here != 0) & (there != 0)
        )
    return np.where(touching, labels.dtype.type(0), labels)


def class_frequencies(targets: Targets, classes: int = 2) -> npt.NDArray[np.int64]:
    """Count the annotated pixels of each class on one page: int64, shape (classes,)."""
    if classes > 8:
        return np.bincount(targets.classes.ravel(), minlength=IGNORED + 1)[:classes].astype(np.int64)
    # Many times as fast as bincount, because bytes are compared and counted as bytes.
    return np.array([np.count_nonzero(targets.classes == number) for number in range(classes)], np.int64)


def balanced_weights(counts: Sequence[int] | npt.NDArray[np.int64]) -> tuple[float, ...]:
    """Return the w_c that balance the classes: N / (C N_c).

    N is the number of annotated pixels, N_c the number of those of class c, C the number of classes that
    occur. So all classes have the same total weight, and the mean over all annotated pixels is 1, which is
    the scale for w0 = 10 (the formula is open in the paper, Eq. 2). A class that does not occur gets the
    mean, 1.
    """
    numbers = [int(count) for count in counts]
    present = sum(number > 0 for number in numbers)
    return tuple(sum(numbers) / (present * number) if number else 1.0 for number in numbers)
