"""Measured labels of which some are in several pieces."""

from collections.abc import Sequence

from unet2015.images.image import Image
from unet2015.metrics.several_pieces import describe_pieces
from unet2015.objects.labelling import strip_rows
from unet2015.objects.pieces import Pieces
from unet2015.objects.table import Table


def describe_scattered(image: Image, tables: Sequence[Table]) -> str | None:
    """Return a note where some objects are in several pieces, else None.

    Parameters
    ----------
    image : Image
        The labels.
    tables : sequence of Table
        What was measured, for each page.
    """
    found = [
        (f"page {page}" if len(tables) > 1 else "", _of_page(image, page) if len(table["label"]) else [])
        for page, table in enumerate(tables)
    ]
    return describe_pieces(found, sum(len(table["label"]) for table in tables))


def _of_page(image: Image, page: int) -> list[int]:
    pieces, rows = Pieces(image.width), strip_rows(image.height, image.width)
    for top in range(0, image.height, rows):
        pieces.add(image.read(page, top, min(top + rows, image.height), 0, image.width)[0])
    return pieces.several()
