"""How viewers shall show a result: its range of values, and colours."""

import colorsys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Colours = NDArray[np.uint8]
"""Red, green and blue of 256 entries, (256, 3)."""

_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, eq=False)
class Display:
    """A range of values and, where colours are wanted, a table of them.

    Attributes
    ----------
    low, high : int
        The values that are shown as the first and the last entry of the table.
    colours : ndarray of uint8, shape (256, 3), or None
        None: gray.
    """

    low: int
    high: int
    colours: Colours | None = None

    def table(self, dtype: np.dtype[Any], *, ranged: bool) -> Colours | None:
        """Return the colour table for a file; None if it needs none.

        Parameters
        ----------
        dtype : dtype
            Of the pixels.
        ranged : bool
            Whether the file also says the range. If not, the table of 8 bits has it; of more bits, programs
            stretch the table over the range that occurs.
        """
        if ranged or dtype != np.uint8:
            return self.colours
        gray = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
        colours = gray if self.colours is None else self.colours
        share = (np.arange(256) - self.low) / max(1, self.high - self.low)
        shown: Colours = colours[np.rint(share.clip(0, 1) * 255).astype(int)]
        return shown


def colours_of_labels() -> Colours:
    """Return black for 0, and for the others colours of which any two that follow each other differ much."""
    colours = np.zeros((256, 3), np.uint8)
    for label in range(1, 256):
        saturation, value = ((0.95, 1.0), (0.55, 1.0), (0.85, 0.75))[label // 8 % 3]
        colour = colorsys.hsv_to_rgb(label * _GOLDEN % 1, saturation, value)
        colours[label] = [round(255 * part) for part in colour]
    return colours


def display_of_classes(classes: int) -> Display:
    """Return how a class map is shown: from black, class 0, to white, the last class."""
    return Display(0, classes - 1)


def display_of_labels(largest: int) -> Display:
    """Return how instance labels up to a number are shown; up to 255 each has its own colour."""
    return Display(0, max(255, largest), colours_of_labels())


def stretched(pixels: NDArray[Any], ends: tuple[float, float]) -> NDArray[np.float64]:
    """Return pixels as they are shown: two percentiles become 0 and 1, and what lies beyond them is cut off.

    It is done in double precision: large values next to their differences, as times are, and very small
    ones are shown like others. What is not finite is 0, as are pixels that are all equal.
    """
    values: NDArray[np.float64] = pixels.astype(np.float64)  # changed in place, as pictures may be large
    finite = np.isfinite(values)
    known = values if finite.all() else values[finite]
    if not known.size:
        return np.zeros(values.shape)
    quarter = 4.0 if max(-float(known.min()), float(known.max())) > 1 else 1.0
    low, high = (np.percentile(known / quarter, ends)).tolist()  # no difference of quarters is infinite
    if not high > low:
        return np.zeros(values.shape)
    values /= quarter
    values -= low
    values /= high - low
    values[np.isnan(values)] = 0
    return values.clip(0, 1, out=values)
