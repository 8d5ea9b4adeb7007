"""What finding and measuring objects takes: seconds, by a short measurement, and bytes."""

import time
from functools import cache

import numpy as np
from numpy.typing import NDArray

from unet2015.objects.hulls import ROW_BYTES
from unet2015.objects.instances import ArrayPage
from unet2015.objects.labelling import strip_rows
from unet2015.objects.measures import HULL_BYTES, PageMeasures
from unet2015.objects.numbering import number_page
from unet2015.objects.runs import KEPT
from unet2015.settings.objects import ObjectSettings

PIXEL_BYTES = 100
"""For each pixel of a strip: its labels, and the sums over it. A test measures half of it."""
OBJECT_BYTES = 500
"""For each object of a page: its numbers, and its row of the table. Measured with five million."""
_SIDE, _PITCH = 320, 32


def bytes_of_strips(height: int, width: int) -> int:
    """Return the bytes that the objects of a page take beside those for each of them, at most.

    Dividing a large object has a limit of its own.
    """
    pixels = height * width
    hulls = min(HULL_BYTES, ROW_BYTES * pixels // 2)
    return PIXEL_BYTES * strip_rows(height, width) * width + 8 * min(KEPT, pixels) + hulls


@cache
def seconds_a_pixel(settings: ObjectSettings) -> float:
    """Return how long it takes here to find and measure the objects of a page, for each of its pixels.

    A page of round cells is timed, of which each fourth touches the next; the settings are those of use.
    """
    return min(_seconds(settings) for _ in range(2)) / _SIDE**2  # the first also loads what is needed


def _seconds(settings: ObjectSettings) -> float:
    values = cells(_SIDE)
    page, rows = ArrayPage(values, 0.5), strip_rows(*values.shape)
    start = time.perf_counter()
    numbers = number_page(page, settings, rows)
    measures = PageMeasures(page.height, page.width, numbers.objects, 2)
    for row in range(0, page.height, rows):
        measures.add(numbers.labels(row), [values[row : row + rows]] * 2)
    measures.finish()
    return time.perf_counter() - start


def cells(side: int) -> NDArray[np.float32]:
    """Return a page of probabilities of round cells, of which each fourth touches the next."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    shift = np.where(x // _PITCH % 4 == 0, 5, np.where(x // _PITCH % 4 == 1, -5, 0))
    away = np.hypot(y % _PITCH - _PITCH / 2, x % _PITCH - _PITCH / 2 - shift)
    found: NDArray[np.float32] = np.clip(1.3 - away / 15, 0, 1)
    return found
