"""What was left out as too small: how much of each page, and where that may have been objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from unet2015.wording import pages_listed

LEFT_OUT = "left_out"
"""Where a summary of objects has it."""
_OF_KEPT, _PARTS_OF_LEAST, _SPECK = 0.2, 4, 16
"""Left-out pixels that matter, as a share of those of the objects of their page; the part of the least size
(a fourth), and the pixels, below which a part is a speck and does not count to them."""


@dataclass(frozen=True)
class TooSmall:
    """What was left out of a page as too small, and what was kept.

    Attributes
    ----------
    parts, pixels : int
        What was left out; of objects that are divided each piece is a part.
    large, large_pixels, largest : int
        Those of the parts that are no specks, and the pixels of the largest of them; 0 where there is none.
    kept : int
        Pixels of the objects of the page.
    """

    parts: int
    pixels: int
    large: int
    large_pixels: int
    largest: int
    kept: int

    @classmethod
    def of(cls, areas: NDArray[np.int64], kept: int, smallest: int) -> Self:
        """Return it of the pixels of each part that was left out; `smallest` is the least size."""
        large = areas[areas >= max(_SPECK, -(-smallest // _PARTS_OF_LEAST))]
        pixels, of_large = int(areas.sum()), int(large.sum())
        return cls(len(areas), pixels, len(large), of_large, int(large.max(initial=0)), kept)

    def matters(self, smallest: int) -> bool:
        """Whether it may have been objects, and is much beside them; `smallest` is the least size.

        Specks, however many, are no objects: a part must have half of the least size, or the parts that are
        no specks the whole of it.
        """
        near = 2 * self.largest >= smallest or self.large_pixels >= smallest
        return near and self.large > 0 and self.large_pixels > _OF_KEPT * self.kept


def summary_of_left_out(pages: Sequence[TooSmall], smallest: int) -> dict[str, Any]:
    """Return the part of a summary about what was left out as too small: empty without a least size.

    Parameters
    ----------
    pages : sequence of TooSmall
        Of each page.
    smallest : int
        The least size of an object, in pixels.

    Returns
    -------
    dict
        Under `LEFT_OUT`: ``smaller_than_px``, ``parts``, ``total_area_px``, and of each page on which it is
        much beside what was kept, ``pages``: ``page``, ``parts`` and ``total_area_px``, without specks, and
        ``objects_area_px``.
    """
    if smallest < 2:
        return {}
    much = [
        {"page": page, "parts": one.large, "total_area_px": one.large_pixels, "objects_area_px": one.kept}
        for page, one in enumerate(pages)
        if one.matters(smallest)
    ]
    total = {"parts": sum(one.parts for one in pages), "total_area_px": sum(one.pixels for one in pages)}
    return {LEFT_OUT: {"smaller_than_px": smallest, **total, "pages": much}}


def describe_left_out(summary: Mapping[str, Any], pages: int) -> str | None:
    """Return a note where what was left out as too small is much beside what was kept; else None.

    Parameters
    ----------
    summary : mapping
        Of the objects of an image, with what `summary_of_left_out` returns.
    pages : int
        How many pages the image has.
    """
    found = summary.get(LEFT_OUT, {})
    much = found.get("pages", [])
    if not much:
        return None
    numbers = [page["page"] for page in much]
    where = f"{pages_listed(numbers)}: " if pages > 1 else ""
    parts, left, kept = (
        sum(page[name] for page in much) for name in ("parts", "total_area_px", "objects_area_px")
    )
    beside = f"the objects that were kept have {kept} px" if kept else "no object was kept"
    said = f"{parts} parts of {left} px in all were" if parts > 1 else f"a part of {left} px was"
    return (
        f"{where}{said} left out as smaller than {found['smaller_than_px']} px, and {beside}; where objects "
        "may be so small, as when they shrink, give a smaller --smallest"
    )
