"""Pages of a TIFF that hold more than their size takes: with a damaged width a page is short, or sheared."""

from collections.abc import Iterator, Sequence

import numpy as np

from unet2015.images.directories import Plane
from unet2015.images.repeated import MORE_LISTED
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
    more = [plane.page.index for plane in planes if len(plane.counts) > _needed(plane)]
    if more:
        yield f"{pages_listed(more)}: {MORE_LISTED}"
    long = [plane.page.index for plane in planes if plane.raw and _is_long(plane)]
    if long:
        yield (
            f"{pages_listed(long)}: strips have more bytes than rows of this width take: look whether width "
            "and length are right"
        )


def _needed(plane: Plane) -> int:
    return plane.down * plane.across * (int(plane.page.samplesperpixel) if plane.separate else 1)


def _is_long(plane: Plane) -> bool:
    """Whether a strip without compression is longer than a full one, which the last may be as well."""
    rows = plane.page.rowsperstrip if len(plane.counts) > 1 else 0
    full = max(plane.rows, min(rows or 0, 2**31)) * plane.row_bytes
    return bool(np.max(plane.counts) - full >= max(full // _PADDED, _LEAST))
