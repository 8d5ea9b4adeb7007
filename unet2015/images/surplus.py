"""Pages of a TIFF that hold more than their size takes: with a damaged width a page is short, or sheared."""

from collections.abc import Iterator, Sequence

from unet2015.images.directories import Plane
from unet2015.images.repeated import MORE_LISTED, first_of
from unet2015.wording import pages_listed

_PADDED = 8
"""Strips may be padded: to whole words, or blocks of a disk. More than this part of them is said."""
_LEAST = 16  # bytes


def describe_surplus(planes: Sequence[Plane]) -> Iterator[str]:
    """Yield notes on pages with more tiles than they need, or with longer strips.

    Parameters
    ----------
    planes : sequence of Plane
        Of the image.
    """
    more, long = [], []
    enough: dict[int, tuple[int, int]] = {}  # of pages that are alike
    for plane in planes:
        alike = id(first_of(plane.page))
        needed, most = enough.get(alike) or enough.setdefault(alike, (plane.segments, _longest(plane)))
        counts = plane.counts
        if len(counts) > needed:
            more.append(plane.page.index)
        if plane.raw and (counts[0] if len(counts) == 1 else counts.max()) >= most:
            long.append(plane.page.index)
    if more:
        yield f"{pages_listed(more)}: {MORE_LISTED}"
    if long:
        yield (
            f"{pages_listed(long)}: strips have more bytes than rows of this width take: look whether width "
            "and length are right"
        )


def _longest(plane: Plane) -> int:
    """Return how many bytes a strip without compression cannot have; the last may be a full one, too."""
    if not plane.raw:
        return 0
    rows = plane.page.rowsperstrip if len(plane.counts) > 1 else 0
    full = max(plane.rows, min(rows or 0, 2**31)) * plane.row_bytes
    return full + max(full // _PADDED, _LEAST)
