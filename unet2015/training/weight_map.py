"""The weight map, Eq. 2 of doi:10.1007/978-3-319-24574-4_28."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from unet2015.arguments import integer, items, number, pixels, text
from unet2015.errors import LabelError, UsageError
from unet2015.images.axes import may_be_channels_last
from unet2015.metrics.doubtful_labels import LabelDoubts
from unet2015.settings import Gaps, LabelKind, LabelSettings, WeightMapSettings, parse_settings
from unet2015.tiling.progress import Bar
from unet2015.training.distances import Block, Integers, each_block
from unet2015.training.labels import (
    IGNORED,
    Targets,
    balanced_weights,
    class_frequencies,
    holds_ids,
    make_targets,
)

_MASK_ADVICE = (
    'for a mask give kind="mask" if 0 is background, kind="membrane" if 0 is the membrane between cells'
)

Weights = npt.NDArray[np.float32]


def weight_map(
    labels: npt.NDArray[Any],
    w0: float = 10.0,
    sigma: float = 5.0,
    *,
    gaps: Gaps = "background",
    kind: LabelKind = "instances",
    class_weights: Literal["balanced"] | Sequence[float] = "balanced",
    ignore: int | None = None,
) -> Weights:
    """Return the weight map of the labels as given: w_c + w0 exp(-(d1 + d2)^2 / (2 sigma^2)).

    d1 and d2 are the distances to the nearest and to the second nearest cell, from pixel centre to pixel
    centre, as ``scipy.ndimage.distance_transform_edt(labels != i)`` gives them for cell i. The second term
    is added on background only. Default of `gaps`: ``"background"``. With fewer than two cells it is 0.

    No separation border is drawn here; `training.labels.separation_border` does that beforehand, and the
    training does so by default.

    Parameters
    ----------
    labels : ndarray, shape (height, width) or (pages, height, width)
        Whole numbers, or bool for a mask, where ``kind="mask"`` is the default. Each page of a stack has
        cells and distances of its own; the class frequencies are those of the whole stack.
    w0 : float
        Weight of the narrowest gaps, 0 or more.
    sigma : float
        Width of the gaps that matter, in pixels, above 0.
    gaps : {"background", "everywhere"}
        Where the second term is added. The equation as printed holds at every pixel, inside cells too, where
        d1 is 0: ``"everywhere"``. Then much of the weight that is meant for the gaps lies inside the cells
        beside them. The authors' later plugin for ImageJ adds it to background pixels alone, those of class
        0 (membrane, for that kind): ``"background"``, the default.
    kind : {"instances", "mask", "membrane", "classes"}
        What the values mean; see `training.labels.make_targets`. The cells are the instances, the
        4-connected parts of the mask or interior, or the 4-connected parts of each class but 0.
    class_weights : "balanced" or sequence of float
        w_c for class 0, 1, ...: background (or membrane) and cells, or the classes. ``"balanced"`` is
        ``N / (C N_c)``; see `training.labels.balanced_weights` (the formula is open in the paper).
    ignore : int, optional
        Label value of pixels that are not annotated: their weight is 0, they belong to no cell and do not
        count for the class frequencies.

    Returns
    -------
    ndarray of float32, of the shape of `labels`

    Raises
    ------
    LabelError
        The labels are not what `kind` says, among them a 0/255 mask as instances.
    UsageError
        A parameter is out of range, or `class_weights` is too short.

    Notes
    -----
    Labels that look like a mask (all cells have the number 1), like an image, or in which the background has
    a number, are said through the log.

    The result equals that of one distance transform per cell, up to rounding, but the cost does not depend
    on the number of cells. Terms too small to change a float32 weight are left out, which limits the
    distance that must be searched.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([[1, 0, 2, 2]])
    >>> weight_map(labels, class_weights=(1, 1)).round(3)
    array([[ 1.   , 10.231,  1.   ,  1.   ]], dtype=float32)
    >>> weight_map(labels, class_weights=(1, 1), gaps="everywhere").round(3)
    array([[10.231, 10.231, 10.231,  9.353]], dtype=float32)
    """
    labels = pixels(labels, "labels")
    weights = weigh(labels, w0, sigma, gaps=gaps, kind=kind, class_weights=class_weights, ignore=ignore)
    if kind == "instances" and labels.dtype != bool:
        ignored = None if ignore is None else labels == integer(ignore, "ignore")
        doubts = LabelDoubts("labels", _MASK_ADVICE)
        doubts.look_at_all(labels if ignored is None else np.where(ignored, labels.dtype.type(0), labels))
        doubts.say()
    return weights


def weigh(
    labels: npt.NDArray[Any],
    w0: float,
    sigma: float,
    *,
    gaps: Gaps,
    kind: LabelKind,
    class_weights: Literal["balanced"] | Sequence[float],
    ignore: int | None,
) -> Weights:
    """Return the weight map as `weight_map` does, and say nothing of labels that may be none."""
    for name, word in (("kind", kind), ("gaps", gaps)):
        text(word, name)
    _check_shape(labels)
    if labels.dtype == bool:
        kind = "mask" if kind == "instances" else kind
    ignore = None if ignore is None else integer(ignore, "ignore")
    w0, sigma, given = number(w0, "w0"), number(sigma, "sigma"), class_weights
    if not isinstance(class_weights, str):
        given = tuple(
            number(weight, "class_weights")
            for weight in items(class_weights, "class_weights", "'balanced' or numbers")
        )
    settings = parse_settings(
        WeightMapSettings, {"w0": w0, "sigma": sigma, "gaps": gaps, "class_weights": given}, "weight_map"
    )
    coding = parse_settings(
        LabelSettings,
        {
            "kind": kind,
            "ignore": ignore,
            "separation_border": False,
            # As many as a uint8 can tell from "ignored": here no value is too large.
            "classes": IGNORED if kind == "classes" else 2,
        },
        "weight_map",
    )
    pages = labels[None] if labels.ndim == 2 else labels
    numbered = kind == "instances" and len(pages) > 1 and holds_ids(labels, coding)
    targets = [make_targets(page, coding, "labels", numbered=numbered) for page in pages]
    if settings.class_weights == "balanced":
        counts = np.array([class_frequencies(target, coding.classes) for target in targets])
        weights = balanced_weights(counts.sum(axis=0))
    else:
        weights = settings.class_weights
    return _page_weights(targets, settings, weights).reshape(labels.shape)


def _page_weights(
    pages: Sequence[Targets], settings: WeightMapSettings, class_weights: Sequence[float]
) -> Weights:
    """Return the weight maps of all pages, (pages, height, width), and show how many are done."""
    result = np.empty((len(pages), *pages[0].classes.shape), np.float32)
    with Bar(len(pages), "weight map", "page") as bar:
        for page, targets in zip(result, pages, strict=True):
            page[:] = target_weights(targets, settings, class_weights)
            bar.update()
    return result


def _check_shape(labels: npt.NDArray[Any]) -> None:
    if labels.ndim not in (2, 3) or not labels.size:
        raise LabelError(f"labels must be a page (YX) or a stack of pages, not of shape {labels.shape}")
    if may_be_channels_last(labels.shape):
        raise LabelError(
            f"labels of shape {labels.shape} look like colours, or pages along the last axis; labels are one "
            "number a pixel, and pages come first: np.moveaxis(labels, -1, 0). If these are pages of "
            f"{labels.shape[1]} x {labels.shape[2]} px, give them one by one"
        )


def target_weights(targets: Targets, settings: WeightMapSettings, class_weights: Sequence[float]) -> Weights:
    """Return the weight map of one page: float32, shape (height, width), 0 where ignored.

    Parameters
    ----------
    targets : Targets
        Classes and cells of the page.
    settings : WeightMapSettings
        w0, sigma and where the second term is added.
    class_weights : sequence of float
        w_c for class 0, 1, ...: those of the whole training set, so not from `settings`.

    Raises
    ------
    UsageError
        There are more classes than class weights.
    """
    highest = int(targets.classes.max())
    ignored = highest == IGNORED
    if ignored:
        highest = int(np.where(targets.classes == IGNORED, 0, targets.classes).max())
    if highest >= len(class_weights):
        raise UsageError(f"{len(class_weights)} class weights, but class {highest} is among the labels")
    table = np.zeros(IGNORED + 1)  # w_c by class; ignored pixels find 0
    table[: min(len(class_weights), IGNORED)] = class_weights[:IGNORED]
    on_background = settings.gaps == "background"
    least = class_weights[0] if on_background else min(class_weights)
    limit = gap_limit(settings.w0, settings.sigma, least)
    if limit < 1 or targets.cells.max() < 2:  # d1 + d2 is never below 1
        return table.astype(np.float32)[targets.classes]
    weights = np.empty(targets.classes.shape, np.float32)

    def add(block: Block, q1: Integers, q2: Integers) -> None:
        classes = targets.classes[block]
        gaps, second = np.sqrt(q1, dtype=np.float64), np.sqrt(q2, dtype=np.float64)
        gaps += second
        counts = gaps <= limit
        if on_background:
            counts &= classes == 0
        elif ignored:
            counts &= classes != IGNORED
        # In place: a block's arrays stay in the cache.
        gaps /= settings.sigma
        gaps *= gaps
        gaps /= -2
        np.exp(gaps, out=gaps)
        gaps *= settings.w0
        gaps *= counts
        gaps += table.take(classes, out=second, mode="clip")
        weights[block] = gaps

    each_block(targets.cells, limit, add)
    return weights


def gap_limit(w0: float, sigma: float, least: float) -> float:
    """Return the d1 + d2 beyond which the second term of Eq. 2 does not change a weight.

    Beyond it, the term is less than half the last bit of the smallest weight `least` in float32, or less
    than half the smallest float32.
    """
    # 2**-25: half the last of the 24 bits of a float32. 2**-150: half the smallest float32 above 0.
    vanishing = max(least * 2.0**-25, 2.0**-150)
    return sigma * math.sqrt(2 * math.log(w0 / vanishing)) if w0 > vanishing else 0.0
