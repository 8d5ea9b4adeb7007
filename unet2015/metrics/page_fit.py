"""Whether pages without a name would fit the truth better if they were counted otherwise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.images.image import Image
from unet2015.images.page_order import describe_pages, other_way

_TIMES, _PART = 2, 0.1
"""It is said where so many times as much lies beside each other as in the other order, and this part more."""


class PageFit:
    """Compares pages of a result with those of its truth, and with those of the other order of the axes.

    Only where one of both has slices of times and the other pages of some kind: these may be counted either
    way, and the file does not say it.

    Parameters
    ----------
    true, found : Image
        The truth and the result, of one size.
    """

    def __init__(self, true: Image, found: Image) -> None:
        self._true, self._found, self._pages = true, found, other_way(true, found)
        self._all = self._here = self._there = 0

    def add(self, page: int, true: NDArray[Any], found: NDArray[Any]) -> None:
        """Take the next page of both."""
        if self._pages is None:
            return
        inside, height, width = true != 0, self._found.height, self._found.width
        other = self._found.read(int(self._pages[page]), 0, height, 0, width)[0]
        self._all += int(np.count_nonzero(inside)) + int(np.count_nonzero(found))
        self._here += 2 * int(np.count_nonzero(found[inside]))
        self._there += 2 * int(np.count_nonzero(other[inside]))

    def describe(self) -> str | None:
        """Return a note where the other order fits far better; all pages came."""
        beside, then = self._all - self._here, self._all - self._there
        if self._pages is None or beside <= max(_TIMES * then, then + _PART * self._all):
            return None
        here, there = (f"{share / self._all:.0%}" for share in (self._here, self._there))
        return (
            f"{describe_pages(self._true, self._found, 'its truth')}; they were compared by their number, "
            f"but fit far better with the two axes counted in the other order: {there} of what is not 0 lies "
            f"on each other then, now {here}. See which order is right, and save both with their axes in it"
        )
