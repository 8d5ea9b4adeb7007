"""Measured labels of which some are in several pieces."""

from collections.abc import Sequence

import numpy as np

from unet2015.images.image import Image
from unet2015.metrics.several_pieces import describe_pieces, several_pieces
from unet2015.objects.table import Table, box_areas

_WHOLE = 2**23
"""Pixels of a page, or of the bounding box of an object, that are looked at together."""
_LOOSE = 0.5
"""Part of its bounding box that an object of a larger page must fill, so as not to be looked at by itself."""


def describe_scattered(image: Image, tables: Sequence[Table]) -> str | None:
    """Return a note where some objects are in several pieces, else None.

    Of pages over 8 megapixels only objects are looked at that fill less than half of their bounding box,
    where this has no more pixels.

    Parameters
    ----------
    image : Image
        The labels.
    tables : sequence of Table
        What was measured, for each page.
    """
    found = [
        (f"page {page}" if len(tables) > 1 else "", _of_page(image, page, table))
        for page, table in enumerate(tables)
    ]
    return describe_pieces(found, sum(len(table["label"]) for table in tables))


def _of_page(image: Image, page: int, table: Table) -> list[int]:
    if not len(table["label"]):
        return []
    if image.height * image.width <= _WHOLE:
        return several_pieces(image.read(page, 0, image.height, 0, image.width)[0])
    sizes = box_areas(table)
    loose = (table["area_px"] < _LOOSE * sizes) & (sizes <= _WHOLE)
    boxes = np.column_stack([table[f"bbox_{side}"] for side in ("top", "bottom", "left", "right")])
    numbers = table["label"]
    return [
        int(number)
        for number, box in zip(numbers[loose], boxes[loose].tolist(), strict=True)
        if several_pieces((image.read(page, *box)[0] == number).astype(np.uint8))
    ]
