"""How long finding and measuring objects takes, by a short measurement."""

import time
from functools import cache

import numpy as np
from numpy.typing import NDArray

from unet2015.objects.instances import ArrayPage
from unet2015.objects.measures import PageMeasures
from unet2015.objects.numbering import number_page
from unet2015.objects.strips import strip_rows
from unet2015.settings.objects import ObjectSettings

_SIDE, _PITCH = 320, 32


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
