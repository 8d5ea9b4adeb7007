"""Pages of which all pixels are equal: lost, black or saturated frames."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.images.image import Image
from unet2015.wording import pages_listed

_NAMED = 3
LOST = "a lost or saturated frame?"


def constant_pages(image: Image) -> Iterator[tuple[int, list[int], float]]:
    """Yield the page, the channels of which all pixels are equal, and their value in the first of these.

    Of other pages little more is read than is needed to see two values. A page of one pixel says nothing.
    """
    if image.height * image.width == 1:
        return
    for page in range(image.pages):
        first: npt.NDArray[Any] | None = None
        equal = np.ones(image.channels, bool)
        for band in image.bands(page):
            first = band[:, :1, :1].copy() if first is None else first
            equal &= (band == first).all(axis=(1, 2))
            if not equal.any():
                break
        if first is not None and equal.any():
            channels = np.flatnonzero(equal).tolist()
            yield page, channels, first[channels[0], 0, 0].item()


def notes_on_constant(
    found: Iterable[tuple[int, Sequence[int], float]], pages: int, channels: int
) -> Iterator[str]:
    """Say which pages hold nothing, as lost frames do, given what `constant_pages` yields.

    Parameters
    ----------
    found : iterable of (page, channels, value)
        The pages, the channels of which all pixels are equal, and their value in the first of these.
    pages, channels : int
        Those of the image.
    """
    by_text: dict[str, list[int]] = {}
    for page, equal, value in found:
        if len(equal) == channels:
            what = f"all pixels are {value:g}" if channels == 1 else "all pixels of each channel are equal"
        else:
            what = f"all pixels of channel {', '.join(map(str, equal))} are equal"
        by_text.setdefault(what, []).append(page)
    for what, where in by_text.items():
        place = f"{pages_listed(where, _NAMED)}: "
        yield f"{place * (pages > 1)}{what}; {LOST}"
