"""Pages that show nothing: lost, black or saturated frames, also where a border was filled afterwards."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy.typing as npt

from unet2015.images.border_areas import left_out
from unet2015.images.image import Image
from unet2015.wording import pages_listed

_NAMED = 3
LOST = "a lost or saturated frame?"
_TWO = "a lost frame with a filled border, or a mask in place of an image?"
_MOST = 2


class ConstantPage(NamedTuple):
    """A page on which channels have one value, or all channels one or two.

    Attributes
    ----------
    page : int
    values : tuple of tuples of float
        Of each channel: the values of pixels that are not left out, if they are one or two; else nothing.
    besides : bool
        Whether there are pixels that are left out besides.
    """

    page: int
    values: tuple[tuple[float, ...], ...]
    besides: bool = False


class FewValues:
    """Collects the values of a page, band by band, as long as a channel has two at most.

    Parameters
    ----------
    image : Image
        Whose bands will come.
    page : int
        Their page.
    fill_value : float, optional
        Of pixels that hold no image: where all channels have it, they do not count.
    """

    def __init__(self, image: Image, page: int, fill_value: float | None = None) -> None:
        self._image, self._page, self._fill_value = image, page, fill_value
        self._values: list[list[Any] | None] = [[] for _ in range(image.channels)]
        self._corner: tuple[tuple[float, ...], ...] = ()
        self._left_out = False

    @property
    def wanting(self) -> bool:
        """Whether more bands can tell more."""
        return any(values is not None for values in self._values)

    def add(self, row: int, band: npt.NDArray[Any]) -> None:
        """Look at a band, (channels, rows, width), that begins at `row`."""
        if not self.wanting:
            return
        if not self._corner:
            self._corner = tuple((float(value),) for value in band[:, 0, 0])
        out = left_out(self._image, self._fill_value, self._page, row, band)
        self._left_out |= out is not None and bool(out.any())
        for channel, known in enumerate(self._values):
            if known is None:
                continue
            rest = band[channel] if out is None else band[channel][~out[channel]]
            for value in known:
                rest = rest[rest != value]
            while rest.size and len(known) < _MOST:
                known.append(rest.flat[0])
                rest = rest[rest != known[-1]]
            if rest.size:
                self._values[channel] = None

    def found(self) -> ConstantPage | None:
        """Return what the page is, now that all its bands came; None if it has more values, or one pixel."""
        if self._image.height * self._image.width == 1:
            return None
        if not any(values is None or values for values in self._values):
            return ConstantPage(self._page, self._corner)  # nothing is left of it
        values = tuple(() if found is None else tuple(sorted(map(float, found))) for found in self._values)
        if all(values) or any(len(found) == 1 for found in values):
            return ConstantPage(self._page, values, self._left_out)
        return None


def constant_pages(image: Image, fill_value: float | None = None) -> Iterator[ConstantPage]:
    """Yield the pages that show nothing, or seem to.

    Of other pages little more is read than is needed to see three values. A page of one pixel says nothing.

    Parameters
    ----------
    image : Image
        The image.
    fill_value : float, optional
        Of pixels that hold no image, as the mapping of intensities has it.
    """
    for page in range(image.pages):
        seen = FewValues(image, page, fill_value)
        for number, band in enumerate(image.bands(page)):
            seen.add(number * image.band_rows, band)
            if not seen.wanting:
                break
        if (found := seen.found()) is not None:
            yield found


def notes_on_constant(found: Iterable[ConstantPage], pages: int) -> Iterator[str]:
    """Say which pages hold nothing, as lost frames do.

    Parameters
    ----------
    found : iterable of ConstantPage
        What `constant_pages` yields.
    pages : int
        Those of the image.
    """
    by_text: dict[str, list[int]] = {}
    for one in found:
        by_text.setdefault(_described(one), []).append(one.page)
    for text, where in by_text.items():
        place = f"{pages_listed(where, _NAMED)}: "
        yield f"{place * (pages > 1)}{text}"


def _described(found: ConstantPage) -> str:
    """Say what a page holds."""
    equal = [channel for channel, values in enumerate(found.values) if len(values) == 1]
    pixels = "all pixels but those left out" if found.besides else "all pixels"
    if len(equal) == len(found.values) == 1:
        return f"{pixels} are {found.values[0][0]:.9g}; {LOST}"
    if len(equal) == len(found.values):
        return f"{pixels} of each channel are equal; {LOST}"
    if equal:
        return f"{pixels} of channel {', '.join(map(str, equal))} are equal; {LOST}"
    if len(found.values) == 1:
        low, high = found.values[0]
        return f"{pixels} are {low:.9g} or {high:.9g}; {_TWO}"
    return f"{pixels} of each channel have one of two values; {_TWO}"
