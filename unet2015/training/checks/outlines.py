"""Whether cells are drawn as outlines, or as lines or specks: learned so, the model finds no whole cell."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from unet2015.settings import LabelKind

_LOOKED_AT = 200  # cells of a page, evenly over their numbers
_FEWEST = 5  # cells that say something about a file


class Outlines:
    """Counts the cells of a file that enclose more than they cover, and those that are nowhere 3 pixels wide.

    Of a page at most 200 cells are looked at.

    Parameters
    ----------
    kind : {"instances", "mask", "membrane", "classes"}
        Of the labels. Only instances and masks are drawings of cells.
    """

    def __init__(self, kind: LabelKind) -> None:
        self._wanted = kind in ("instances", "mask")
        self._cells = self._hollow = self._thin = 0

    def add(self, cells: npt.NDArray[np.integer]) -> None:
        """Look at a page.

        Parameters
        ----------
        cells : ndarray of int, shape (height, width)
            0 is background, 1, 2, ... are the cells.
        """
        if not self._wanted:
            return
        boxes = ndimage.find_objects(cells)
        step = -(-len(boxes) // _LOOKED_AT) or 1
        for number, box in list(enumerate(boxes, start=1))[::step]:
            if box is None:
                continue
            cell = cells[box] == number
            self._cells += 1
            self._hollow += int(
                np.count_nonzero(ndimage.binary_fill_holes(cell)) > 2 * np.count_nonzero(cell)
            )
            self._thin += not ndimage.binary_erosion(cell, np.ones((3, 3))).any()

    def notes(self, name: str) -> Iterator[str]:
        """Say if most cells of the file are so."""
        if self._cells < _FEWEST:
            return
        if 2 * self._hollow > self._cells:
            yield (
                f"{name}: most cells ({self._hollow} of {self._cells} looked at) enclose more background "
                "than they cover: are these outlines? The model would find outlines, and measure them; draw "
                "the cells filled"
            )
        elif 2 * self._thin > self._cells:
            yield (
                f"{name}: most cells ({self._thin} of {self._cells} looked at) are nowhere 3 pixels wide: "
                "are these outlines, or specks? The model would find such, and measure them; draw the cells "
                "filled, or at a higher resolution"
            )
