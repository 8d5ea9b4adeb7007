"""Objects do not depend on strips: those of the whole page, whatever the cuts."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from tests.objects.whole_page import objects_of
from unet2015.errors import MemoryLimitError
from unet2015.objects import numbering, runs
from unet2015.objects.enclosed import owners
from unet2015.objects.instances import ArrayPage
from unet2015.objects.numbering import number_page
from unet2015.settings.objects import MarkerSettings, ObjectSettings

PAGES = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.sampled_from([0, 0.3, 0.6, 1])
)
MARKERS = st.builds(
    MarkerSettings, level=st.sampled_from([0.4, 0.6, 0.8]), blur=st.sampled_from([0.0, 0.5, 1.5])
)
SETTINGS = st.builds(
    ObjectSettings,
    connectivity=st.sampled_from([1, 2]),
    fill_holes=st.booleans(),
    smallest=st.integers(0, 8),
    frame=st.integers(0, 6),
    markers=st.none() | MARKERS,
)


def in_strips(page, chosen, rows, **options):
    numbers = number_page(page, chosen, rows, **options)
    return np.concatenate([numbers.labels(row) for row in range(0, page.height, rows)]), numbers


def rings(depth, gap=2):
    """Rings in rings, of which each second is an object."""
    side = 2 * depth * gap + 1
    y, x = np.indices((side, side))
    away = np.maximum(abs(y - side // 2), abs(x - side // 2))
    return (away // gap % 2).astype(np.float32)


@settings(max_examples=100)
@given(PAGES, SETTINGS, st.integers(1, 24), st.sampled_from([0, 30, 10_000]))
def test_strips_give_the_objects_of_the_whole_page(values, chosen, rows, kept):
    found, numbers = in_strips(ArrayPage(values, 0.5), chosen, rows, kept=kept)
    assert np.array_equal(found, objects_of(values, 0.5, chosen))
    assert np.array_equal(np.bincount(found.ravel(), minlength=numbers.objects + 1)[1:], numbers.areas)


@given(
    st.integers(0, 2**32),
    st.integers(20, 90),
    SETTINGS,
    st.sampled_from([1, 7, 16, 45]),
    st.sampled_from([0, 200, 10_000]),
)
@settings(max_examples=30)
def test_so_do_smooth_pages_of_cells_that_touch(seed, side, chosen, rows, kept):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((side, side + 5)), 2.0)
    values = ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)
    found, _ = in_strips(ArrayPage(values, 0.45), chosen, rows, kept=kept)
    assert np.array_equal(found, objects_of(values, 0.45, chosen))


@pytest.mark.parametrize("rows", [1, 3, 50])
def test_what_several_rings_enclose_belongs_to_the_innermost(rows):
    values = rings(6)
    found, numbers = in_strips(ArrayPage(values, 0.5), ObjectSettings(), rows)
    middle = len(values) // 2
    assert numbers.objects == 3
    assert found[middle, middle] == 3
    assert np.array_equal(found, objects_of(values, 0.5, ObjectSettings()))


def test_strips_may_be_read_in_any_order_and_more_than_once():
    values = rings(5)
    values[:, 11] = 1
    numbers = number_page(
        ArrayPage(values, 0.5), ObjectSettings(markers=MarkerSettings(level=0.9, blur=1)), 4
    )
    rows = [*range(0, len(values), 4)]
    once = [numbers.labels(row) for row in rows]
    again = [numbers.labels(row) for row in reversed(rows)][::-1]
    assert all(map(np.array_equal, once, again))


def test_labels_are_written_where_they_are_wanted_a_few_rows_at_a_time(monkeypatch):
    values = rings(5)
    values[:, 11] = 1
    for markers in (None, MarkerSettings(level=0.9, blur=1)):
        numbers = number_page(ArrayPage(values, 0.5), ObjectSettings(markers=markers), len(values))
        for pixels in (1, 50, 10_000):
            monkeypatch.setattr(runs, "_TOGETHER", pixels)
            place = np.full((len(values) + 2, values.shape[1]), 77, np.uint16)
            assert numbers.labels(0, place[1:-1]).base is place
            assert np.array_equal(place[1:-1], numbers.labels(0))
            assert (place[[0, -1]] == 77).all()


def test_an_object_too_large_to_divide_is_refused_by_its_place(monkeypatch):
    values = np.zeros((40, 60), np.float32)
    values[5:30, 7:50] = 0.6
    values[10, 10] = values[20, 40] = 1
    divided = ObjectSettings(markers=MarkerSettings(level=0.9, blur=0))
    with pytest.raises(MemoryLimitError, match="rows 5 to 30, columns 7 to 50"):
        number_page(ArrayPage(values, 0.5), divided, 8, memory=60_000)
    assert number_page(ArrayPage(values, 0.5), divided, 8, memory=70_000).objects == 2
    monkeypatch.setattr(numbering, "process_free", lambda: 130_000)
    with pytest.raises(
        MemoryLimitError, match=r"6.5e-05 GB may be used \(half of what is free\); .*--split none"
    ):
        number_page(ArrayPage(values, 0.5), divided, 8)
    monkeypatch.setattr(numbering, "process_free", lambda: 140_000)
    assert number_page(ArrayPage(values, 0.5), divided, 8).objects == 2


def test_strips_that_are_kept_are_read_once():
    class Counted(ArrayPage):
        def inside(self, top, bottom, left, right):
            read.append(top)
            return super().inside(top, bottom, left, right)

    read, values = [], rings(6)
    for kept, expected in ((10_000, 1), (0, 2)):
        read.clear()
        in_strips(Counted(values, 0.5), ObjectSettings(), 4, kept=kept)
        assert {read.count(row) for row in read} == {expected}


GRAPHS = st.integers(1, 9).flatmap(
    lambda n: st.tuples(
        hnp.arrays(bool, n),
        hnp.arrays(bool, n),
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] != p[1])),
    )
)


@settings(max_examples=200)
@given(GRAPHS)
def test_an_object_owns_what_cannot_be_reached_without_crossing_it(graph):
    is_object, outer, pairs = graph
    n = len(is_object)
    edges = {(a, b) for a, b in pairs} | {(b, a) for a, b in pairs}
    edges |= {(a, n) for a in np.flatnonzero(outer)} | {(n, a) for a in np.flatnonzero(outer)}

    def reached(without):
        seen, stack = {n}, [n]
        while stack:
            here = stack.pop()
            new = {b for a, b in edges if a == here and b != without} - seen
            seen |= new
            stack += new
        return seen

    if len(reached(None)) <= n:  # every part of a page has a way out
        return
    enclosed = {k: set(range(n)) - reached(k) - {k} for k in range(n) if is_object[k]}
    found = owners(is_object, outer, np.array(pairs, np.int64).reshape(-1, 2))
    for part in range(n):
        around = [k for k in enclosed if part in enclosed[k]]
        expected = min(around, key=lambda k: len(enclosed[k]), default=-1)
        assert found[part] == expected


def test_dividing_many_objects_takes_the_memory_of_one():
    def peak(objects):
        two = np.zeros((60, 60), np.float32)
        two[2:58, 2:58] = 0.6
        two[10:20, 10:20] = two[40:50, 40:50] = 0.95
        page = ArrayPage(np.tile(two, (objects, 1)), 0.5)
        chosen = ObjectSettings(markers=MarkerSettings(level=0.9, blur=1))
        tracemalloc.start()
        numbers = number_page(page, chosen, 60)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert numbers.objects == 2 * objects
        return found

    peak(2)  # what is loaded at first use
    few, many = peak(10), peak(110)
    assert many - few < 100 * 56 * 56 * 4  # labels that stay take 8 bytes a pixel; runs and numbers take 2


def test_a_checkerboard_of_objects_takes_hundreds_of_bytes_for_each_part_not_thousands():
    """Each pixel is a part of its own, and touches four others: nothing is a leaf."""
    page = ArrayPage((np.indices((300, 300)).sum(axis=0) % 2).astype(np.float32), 0.5)
    number_page(page, ObjectSettings(), 300)  # what is loaded at first use
    tracemalloc.start()
    numbers = number_page(page, ObjectSettings(), 300)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert numbers.objects == 300 * 300 // 2
    assert peak < 360 * 300 * 300
