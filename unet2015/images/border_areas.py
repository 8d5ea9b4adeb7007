"""Areas without image: which a mapping of intensities leaves out, and which look as if it should.

Registration, drift correction and stitching fill what no picture covers with one value, mostly 0, as do lost
frames. Mean, deviation and percentiles of the file then are those of picture and filling together.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from unet2015.images.image import Image
from unet2015.settings.choices import MapEach
from unet2015.wording import pages_listed

Mask = npt.NDArray[np.bool_]

_LEAST_SHARE = 0.01
"""Of the pixels of a file: what is less changes mean and deviation little."""
_AT_BORDER = 0.9
"""Of the pixels of the value: a dark background has more of them between its objects."""

_NAMED = 3
"""Of the pages with such areas, where pages are mapped by themselves."""


def left_out(
    image: Image, fill_value: float | None, page: int, row: int, band: npt.NDArray[Any]
) -> Mask | None:
    """Return which pixels of a band hold no image, of the band's shape; None where all do.

    Those are the pixels of which all channels have `fill_value`, and those that the file declares not to be
    there. The band begins at `row` of a page.
    """
    bare = image.uncovered(page, row, row + band.shape[1], 0, image.width)
    if fill_value is None or not is_possible(image.dtype, fill_value):
        return bare
    filled: Mask = (band == image.dtype.type(fill_value)).all(axis=0)
    if not filled.any():
        return bare
    return np.broadcast_to(filled, band.shape) if bare is None else bare | filled


def is_possible(dtype: np.dtype[Any], value: float) -> bool:
    """Whether pixels of a type can have a value."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):  # a limit as it is printed, -3.4028235e38, lies a little beyond it
            return bool(np.isfinite(dtype.type(value)))
    limits = np.iinfo(dtype)
    return value.is_integer() and limits.min <= value <= limits.max


class BorderAreas:
    """Counts pixels of one extreme value that lie in a row from the left or right border on, or fill it.

    Black corners of a rotated picture, margins, gaps of a mosaic and lost frames are such areas; zeros that
    lie scattered in a dark background are not. A band is counted once, however often the image is read.

    Parameters
    ----------
    image : Image
        Whose bands will come.
    """

    def __init__(self, image: Image) -> None:
        self._image = image
        self._size = image.pages * image.height * image.width
        values = {0.0}
        if image.dtype.kind in "iu":
            limits = np.iinfo(image.dtype)
            values |= {float(limits.min), float(limits.max)}
            values |= set() if limits.min else {float(2**image.bits - 1)}
        kind = image.dtype.type
        self._values = [kind(value) for value in sorted(values) if is_possible(image.dtype, value)]
        self._found: dict[tuple[int, int], list[tuple[int, int]]] = {}

    def add(self, page: int, row: int, band: npt.NDArray[Any]) -> None:
        """Count in a band, (channels, rows, width), that begins at `row` of a page.

        What the file declares not to be there does not count.
        """
        if (page, row) not in self._found:
            bare = self._image.uncovered(page, row, row + band.shape[1], 0, self._image.width)
            known: Mask | None = None if bare is None else np.asarray(bare.all(axis=0))
            self._found[page, row] = [_counted(band, value, known) for value in self._values]

    def found(
        self, besides: float | None, each: MapEach = "file"
    ) -> Iterator[tuple[float, float, list[int]]]:
        """Yield each value that covers areas, but one that is left out, and its share of the pixels.

        Where pages are mapped by themselves: its share on the page where that is largest, and all such pages.
        """
        pages = self._image.pages if each == "page" else 1
        size = self._size // pages
        counts = np.zeros((pages, len(self._values), 2), np.int64)
        for (page, _), found in self._found.items():
            counts[page if each == "page" else 0] += found
        area, every = counts[..., 0], counts[..., 1]
        # A page or file that is all of one value has nothing else that could be spoilt.
        covered = (every < size) & (area >= np.maximum(_LEAST_SHARE * size, _AT_BORDER * every))
        for number, value in enumerate(self._values):
            where = np.flatnonzero(covered[:, number]).tolist()
            if where and value != besides:
                yield float(value), float(area[where, number].max()) / size, where

    def notes(self, besides: float | None, advice: str, each: MapEach = "file") -> Iterator[str]:
        """Say what may be no image, and what it does.

        Parameters
        ----------
        besides : float or None
            The value that is left out already.
        advice : str
            What leaves a value out, with a place for it.
        each : {"file", "page"}
            What is mapped by itself. A lost frame then spoils no other.
        """
        for value, share, pages in self.found(besides, each):
            shown = f"{value:.9g}"
            if each == "page":
                of = (
                    f"{'up to ' * (len(pages) > 1)}{share:.1%} of the pixels of {pages_listed(pages, _NAMED)}"
                )
                area, cause, where = "areas at the border", "registration, stitching", "of the page"
            else:
                of, area = f"{share:.1%} of the pixels", "areas at the border or whole pages"
                cause, where = "registration, stitching, lost frames", "everywhere"
            yield (
                f"{of} are {shown}, in {area}; if there is no image ({cause}), they spoil the mapping of "
                f"intensities of all others, and with it the result {where}: leave them out with "
                f"{advice.format(shown)}; if this is the background, they belong to the image"
            )


def _counted(band: npt.NDArray[Any], value: Any, known: Mask | None) -> tuple[int, int]:
    """Return how many pixels of a band have a value: in areas from the border on, and in all.

    Those that are `known` to hold no image do not count.
    """
    equal: Mask = (band == value).all(axis=0)
    if known is not None:
        equal &= ~known
    every = int(np.count_nonzero(equal))
    if not every:
        return 0, 0
    other: Mask = ~equal if known is None else ~(equal | known)  # areas go on behind what is known
    if other[:, (0, -1)].all():
        return 0, every
    width = equal.shape[1]
    partly = other.any(axis=1, keepdims=True)
    first, last = other.argmax(axis=1)[:, None], width - other[:, ::-1].argmax(axis=1)[:, None]
    columns = np.arange(width)
    outside = (columns < first) | (columns >= last) | ~partly
    return int(np.count_nonzero(equal & outside)), every
