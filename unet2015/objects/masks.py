"""Labels that look like a mask: one value, in several pieces, which counts as one object a page."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unet2015.images.image import Image
from unet2015.images.result_names import labels_inside
from unet2015.metrics.background import LabelAreas, describe_background
from unet2015.metrics.run_over import describe_run_over
from unet2015.objects.labelling import Maps, number_image
from unet2015.objects.table import Table, box_areas
from unet2015.settings.objects import ObjectSettings
from unet2015.wording import listed

_FEW, _SCATTERED = 5, 0.1
_MOST_CLASSES, _PIECES = 8, 3
_TOUCHING = ObjectSettings(connectivity=2, fill_holes=False)


def describe_mask(image: Image, tables: Sequence[Table]) -> str | None:
    """Return a note where a file of labels looks like a mask or an image, else None.

    In a mask all objects have one number and lie in several pieces; in an image most numbers are everywhere.
    Numbers that ran over are somewhere in between.

    Parameters
    ----------
    image : Image
        The labels.
    tables : sequence of Table
        What was measured, for each page.
    """
    if doubt := _describe_image(tables):
        return f"{doubt}{labels_inside(image.path)}"
    for page, table in enumerate(tables):
        ids, areas = (np.asarray(table[name], np.int64) for name in ("label", "area_px"))
        if over := describe_run_over(ids, areas, _filled(table)):
            return f"page {page}: {over}" if len(tables) > 1 else over
    values = np.unique(np.concatenate([np.asarray(table["label"], np.int64) for table in tables]))
    if not 0 < len(values) <= _MOST_CLASSES:
        return None
    pieces = 0
    for value in values.tolist():
        found = number_image(Maps(classes=image, wanted=value), _TOUCHING)
        pieces += sum(len(found.names(page)) for page in range(image.pages))
    objects = sum(len(table["label"]) for table in tables)
    # Cells of few numbers may be in two pieces each; classes are in many.
    if pieces == objects or (len(values) > 1 and pieces < _PIECES * objects):
        return None
    numbers = f"number {values[0]}" if len(values) == 1 else f"numbers {listed(values.tolist())}"
    return (
        f"all objects have the {numbers}, in {pieces} separate pieces, which count as {objects} (one a "
        "page); if this is a mask or a class map, number its objects first, with unet2015 label"
    )


def describe_numbered_background(image: Image, tables: Sequence[Table]) -> str | None:
    """Return a note where the background of labels may have a number, else None; given as `describe_mask`."""
    size = image.height * image.width
    pages = [LabelAreas(np.asarray(table["label"]), np.asarray(table["area_px"]), size) for table in tables]
    return describe_background(pages)


def _describe_image(tables: Sequence[Table]) -> str | None:
    filled = np.concatenate([_filled(table) for table in tables])
    if len(filled) < _FEW or np.mean(filled < _SCATTERED) < 0.5:
        return None
    return (
        f"most of the {len(filled)} objects are scattered over many pieces; is it an image? Give the file in "
        "which every cell has one number"
    )


def _filled(table: Table) -> NDArray[np.float64]:
    """Return which part of its bounding box each object fills."""
    found: NDArray[np.float64] = table["area_px"] / box_areas(table)
    return found
