"""The parts of a strip, found by runs: those of scipy.ndimage.label, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from unet2015.objects import runs as module
from unet2015.objects.runs import each_once, label_strip, least_joined
from unet2015.settings.objects import ObjectSettings

WAYS = [(connectivity, holes) for connectivity in (1, 2) for holes in (False, True)]


def expected(inside, connectivity, holes):
    found, objects = ndimage.label(inside, ndimage.generate_binary_structure(2, connectivity))
    ground, more = ndimage.label(~inside)
    return (
        (np.where(inside, found, ground + objects), objects, objects + more)
        if holes
        else (found, objects, objects)
    )


def neighbours(parts):
    """Pairs of parts of pixels that share an edge, of each the lower number first."""
    sides = ((parts[:, :-1], parts[:, 1:]), (parts[:-1], parts[1:]))
    pairs = [np.sort(np.stack([a.ravel(), b.ravel()], axis=1), axis=1) for a, b in sides]
    return {(a, b) for a, b in np.concatenate(pairs).tolist() if a != b}


def check(inside, connectivity, holes):
    runs, meeting = label_strip(inside, ObjectSettings(connectivity=connectivity, fill_holes=holes))
    parts, objects, count = expected(inside, connectivity, holes)
    assert np.array_equal(runs.pixels(), parts)
    assert (runs.objects, runs.count) == (objects, count)
    assert np.array_equal(runs.areas(), np.bincount(parts.ravel(), minlength=count + 1)[1:])
    for row in (0, len(inside) - 1):
        assert np.array_equal(runs.row(row), parts[row])
    if holes:
        one, other = (runs.parts[side] for side in meeting.touching())
        pairs = np.sort(np.stack([one, other], axis=1), axis=1)
        assert {tuple(pair) for pair in pairs.tolist()} == neighbours(parts)


@pytest.fixture(params=[0, 8, 10**9], ids=["runs", "either", "pixels"])
def dense(request, monkeypatch):
    """From how many runs on for how many pixels the pixels are labelled instead."""
    monkeypatch.setattr(module, "_DENSE", request.param)


@pytest.mark.usefixtures("dense")
@pytest.mark.parametrize(("connectivity", "holes"), WAYS)
def test_runs_give_the_parts_that_pixels_give_and_what_touches(connectivity, holes):
    rng = np.random.default_rng(0)
    for width in range(1, 41):
        for share in (0, 0.1, 0.4, 0.5, 0.6, 0.9, 1):
            for rows in (1, 2, int(rng.integers(3, 30))):
                check(rng.random((rows, width)) < share, connectivity, holes)
        smooth = ndimage.gaussian_filter(rng.random((40, width)), 1.5)
        check(smooth > np.median(smooth), connectivity, holes)


def test_wide_strips_are_looked_through_in_another_way_with_the_same_parts(monkeypatch):
    monkeypatch.setattr(module, "_EXACT", 0)
    rng = np.random.default_rng(2)
    for width in range(1, 30):
        for connectivity, holes in WAYS:
            check(rng.random((20, width)) < 0.6, connectivity, holes)


@given(st.lists(st.integers(0, 50)))
def test_each_number_comes_once(numbers):
    assert each_once(np.array(numbers, np.int64)).tolist() == sorted({*numbers})


def test_parts_that_meet_a_region_have_pixels_there():
    rng = np.random.default_rng(1)
    runs, _ = label_strip(rng.random((9, 11)) < 0.5, ObjectSettings())
    parts = runs.pixels()
    for _ in range(300):
        (top, bottom), (left, right) = rng.integers(0, 10, 2), rng.integers(0, 12, 2)
        inside = np.isin(np.arange(1, runs.count + 1), parts[top:bottom, left:right])
        assert np.array_equal(runs.meet(top, bottom, left, right), inside)


@given(st.integers(1, 30), st.data())
def test_each_number_has_the_least_of_those_that_pairs_join(count, data):
    number = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(number, number)))
    groups = {k: {k} for k in range(count)}
    for a, b in pairs:
        both = groups[a] | groups[b]
        groups.update(dict.fromkeys(both, both))
    one, other = np.array(pairs, np.int64).reshape(-1, 2).T
    assert least_joined(count, one, other).tolist() == [min(groups[k]) for k in range(count)]
