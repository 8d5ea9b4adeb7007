"""What objects take is within what is said."""

import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from unet2015.objects import cost
from unet2015.objects.instances import label_objects
from unet2015.settings.objects import MarkerSettings, ObjectSettings

DIVIDED = ObjectSettings(markers=MarkerSettings(level=0.9, blur=1))


@pytest.mark.parametrize("settings", [ObjectSettings(), DIVIDED])
def test_finding_and_measuring_stays_within_the_memory_that_is_said(settings, monkeypatch):
    values = cost.cells(256)
    monkeypatch.setattr(cost, "cells", lambda side: values)
    cost._seconds(settings)  # what is loaded at first use
    tracemalloc.start()
    cost._seconds(settings)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 10 * 256**2 < peak < cost.PIXEL_BYTES * 256**2 <= cost.bytes_of_strips(256, 256)


def test_cells_of_the_measurement_touch_and_can_be_divided():
    values = cost.cells(256)
    apart = label_objects(values, 0.5, markers=DIVIDED.markers)
    assert apart.max() == 64
    assert ndimage.label(values > 0.5)[1] < 64
    assert np.isfinite(cost.seconds_a_pixel(DIVIDED))
