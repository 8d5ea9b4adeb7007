"""What objects take is within what is said."""

import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from unet2015.errors import MemoryLimitError
from unet2015.images.array_image import ArrayImage
from unet2015.objects import cost
from unet2015.objects.instances import ArrayPage, label_objects
from unet2015.objects.labelling import Maps, number_image
from unet2015.objects.measures import PageMeasures
from unet2015.objects.numbering import number_page
from unet2015.objects.strips import HELD_BYTES, KEPT, PART_BYTES, Room, Strips, object_bytes, strip_rows
from unet2015.settings.objects import MarkerSettings, ObjectSettings

DIVIDED = ObjectSettings(markers=MarkerSettings(level=0.9, blur=1))
SIDE = 224


def masks():
    """Pages of which some have as many parts as there can be."""
    random, (y, x) = np.random.default_rng(0), np.indices((SIDE, SIDE))
    return {
        "checkerboard": (y + x) % 2,
        "noise": random.random((SIDE, SIDE)) < 0.5,
        "columns": x % 2,
        "cells": cost.cells(SIDE),
        "nothing": np.zeros((SIDE, SIDE)),
    }


def measured(values, settings, strips):
    """Return numbers of a page that is numbered and measured in strips, with two intensities."""
    numbers = number_page(ArrayPage(values, 0.5), settings, strips.rows, kept=strips.kept)
    measures = PageMeasures(*values.shape, numbers.objects, 2)
    # of many sizes, so that sums are rounded
    intensities = np.exp(-20 * np.random.default_rng(1).random(values.shape))
    for row in range(0, values.shape[0], strips.rows):
        measures.add(numbers.labels(row), [intensities[row : row + strips.rows]] * 2)
    return numbers, measures.finish()


@pytest.mark.parametrize("settings", [ObjectSettings(), DIVIDED])
@pytest.mark.parametrize("name", masks())
def test_finding_and_measuring_stays_within_the_memory_that_is_said(name, settings):
    values = masks()[name].astype(np.float32)
    strips = Strips.within((1, SIDE, SIDE))
    measured(values, settings, strips)  # what is loaded at first use
    tracemalloc.start()
    numbers, _ = measured(values, settings, strips)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    parts = max(PART_BYTES * numbers.parts, HELD_BYTES * numbers.parts + object_bytes(2) * numbers.objects)
    assert peak < strips.size + parts


def test_strips_are_smaller_where_room_is_little_and_never_smaller_than_a_row():
    usual = Strips.within((1, 3000, 3000))
    assert (usual.rows, usual.kept) == (strip_rows(3000, 3000), KEPT)
    sizes = []
    for room in (usual.size, usual.size - 1, usual.size // 2, 0):
        found = Strips.within((1, 3000, 3000), room=room)
        assert found.size <= room or (found.rows, found.kept) == (2**16 // 3000, 0)
        sizes.append(found.size)
    assert sizes == sorted(sizes, reverse=True)
    assert Strips.within((1, 10, 10**6), room=0).rows == 1


@pytest.mark.parametrize("name", masks())
def test_smaller_strips_give_the_same_numbers_and_sums(name):
    values = masks()[name].astype(np.float32)
    few, many = (measured(values, ObjectSettings(), Strips(rows, 10**7, 0)) for rows in (SIDE, 7))
    for one, other in zip(vars(few[1]).values(), vars(many[1]).values(), strict=True):
        assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def enough(refused):
    """Return the cap that a refusal names, in bytes."""
    return int(str(refused.value).split("--max-memory ")[1].split("M or more")[0]) * 2**20


@pytest.mark.parametrize("pages", [1, 3])
@pytest.mark.parametrize("name", ["checkerboard", "noise"])
def test_more_parts_than_there_is_room_for_are_refused_with_what_would_do(name, pages):
    maps = Maps(classes=ArrayImage(np.stack([masks()[name].astype(np.uint8)] * pages), name="a.tif"))

    def numbered(cap, free):
        return number_image(maps, ObjectSettings(), room=Room("a.tif", cap, free, 2, pages))

    with pytest.raises(
        MemoryLimitError, match=r"^a.tif: .*page 0 has .* connected parts of objects"
    ) as refused:
        numbered(2**30, 2**20)
    assert ("if the pages to come have no more" in str(refused.value)) == (pages > 1)
    needed = enough(refused) - (2**30 - 2**20)
    assert numbered(enough(refused), needed).pages == pages
    parts = number_page(maps.page(0), ObjectSettings(), SIDE).parts
    with pytest.raises(MemoryLimitError):
        numbered(2**30, min(needed, PART_BYTES * parts) - 2**20)


def test_more_objects_than_there_is_room_for_are_refused():
    room = Room("a.tif", 700 * 2**20, 2**20, 2, pages=3)
    room = room.after(1000, 500).after(1000, 900)
    with pytest.raises(MemoryLimitError, match=r"there are 3000 objects, which take 2 MiB; .* 765M or more"):
        room.after(4000, 1600)


def test_an_object_that_the_cap_does_not_let_divide_is_refused_with_what_would_do():
    values = masks()["cells"].astype(np.float32)
    maps = Maps(ArrayImage(values, name="a.tif"), threshold=0.3)

    def numbered(cap, free):
        return number_image(maps, DIVIDED, room=Room("a.tif", cap, free, 2))

    with pytest.raises(
        MemoryLimitError, match=r"^a.tif: the object in rows .* of page 0 .*leaves"
    ) as refused:
        numbered(2**30, 2**16)
    assert numbered(enough(refused), enough(refused) - 2**30 + 2**16).largest


def test_cells_of_the_measurement_touch_and_can_be_divided():
    values = cost.cells(256)
    apart = label_objects(values, 0.5, markers=DIVIDED.markers)
    assert apart.max() == 64
    assert ndimage.label(values > 0.5)[1] < 64
    assert np.isfinite(cost.seconds_a_pixel(DIVIDED))
