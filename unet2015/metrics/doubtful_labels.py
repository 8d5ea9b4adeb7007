"""What makes it doubtful that pages are instance labels; of arrays it is told by the log."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unet2015.errors import DataSetError
from unet2015.metrics.background import LabelAreas, describe_background
from unet2015.metrics.masks import MEANT, check_no_image, in_pieces, like_mask
from unet2015.metrics.run_over import run_over
from unet2015.wording import listed

NUMBER_FIRST = "if it is a mask or a class map, number its objects first, as skimage.measure.label does"
_NAMED = 5

_log = logging.getLogger("unet2015")


class PageDoubts(NamedTuple):
    """What is asked about one page of instance labels, (H, W), that is no image.

    Attributes
    ----------
    like_mask, in_pieces : bool
        Whether it looks like a mask or a class map, and whether such a page is in several pieces.
    areas : LabelAreas
        Its objects, or none where nothing can be said of the background (`LabelAreas.of`).
    over : str or None
        What is said of numbers that ran over.
    """

    like_mask: bool
    in_pieces: bool
    areas: LabelAreas
    over: str | None

    @classmethod
    def of(cls, labels: NDArray[Any], areas: LabelAreas | None = None) -> PageDoubts:
        """Look at a page: whole numbers from 0 on; `areas` of all its objects, where they are known."""
        mask = like_mask(labels)
        known = LabelAreas.of(labels) if areas is None else areas
        return cls(mask, mask and in_pieces(labels), known, run_over(labels))


class LabelDoubts:
    """Looks at the pages of one array, or of one side of a comparison, and says each doubt once.

    Files with such labels are refused or said by the commands. An array may be meant so: an object may be in
    pieces, and a page may hold one.

    Parameters
    ----------
    name : str
        What the array is called.
    advice : str
        What to do with a mask.
    """

    def __init__(self, name: str, advice: str = NUMBER_FIRST) -> None:
        self._name, self._advice = name, advice
        self._masks: dict[str, None] = {}  # the places, each once
        self._images: list[tuple[str, str]] = []
        self._over: list[tuple[str, str]] = []
        self._areas: list[LabelAreas] = []
        self._places: list[str] = []

    def look(self, labels: NDArray[Any], place: str = "") -> None:
        """Look at one page: whole numbers from 0 on, (height, width); `place` is such as ``page 3``."""
        found = PageDoubts.of(labels)
        if found.in_pieces:
            self._masks[place] = None
        try:
            check_no_image(labels, self._name)
        except DataSetError as error:
            self._images.append((place, str(error)))
        else:
            if found.over:
                self._over.append((place, found.over))
        self._areas.append(found.areas)
        self._places.append(place)

    def look_at_all(self, labels: NDArray[Any], place: str = "") -> None:
        """Look at all pages of (..., height, width); each is called `place` or, by default, by its number."""
        pages = np.atleast_2d(labels)
        for page in np.ndindex(pages.shape[:-2] if pages.size else (0,)):
            number = f"page {', '.join(map(str, page))}" if page else ""
            self.look(pages[page], place or number)

    def say(self) -> None:
        """Warn of what was found."""
        if self._masks:
            where = listed([place for place in self._masks if place], _NAMED)
            named = f"{self._name} ({where})" if where else self._name
            _log.warning("%s: looks like a mask: %s; %s", named, MEANT, self._advice)
        for place, text in (*self._images[:1], *self._over[:1]):
            _log.warning("%s: %s", f"{self._name}, {place}" if place else self._name, text)
        if numbered := describe_background(self._areas, self._places):
            _log.warning("%s: %s", self._name, numbered)
