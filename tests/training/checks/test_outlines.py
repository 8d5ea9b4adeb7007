"""Cells that are drawn as outlines, lines or specks are said, and whole cells are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.segmentation import find_boundaries

from unet2015.settings import LabelSettings
from unet2015.training.checks.label_file import inspect_labels


def ellipses(generator, side, count, least, most):
    """Draw ellipses of such half axes; later ones lie over the others."""
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.int32)
    for number, row in enumerate(np.linspace(most, side - most - 1, count), start=1):
        column = most + (number * 37) % (side - 2 * most)
        a, b = generator.integers(least, most + 1, 2)
        labels[((y - row) / a) ** 2 + ((x - column) / b) ** 2 < 1] = number
    return labels


FIELD = ellipses(np.random.default_rng(0), 300, 12, 12, 14)


def notes_on(labels, kind="instances"):
    settings = LabelSettings(kind=kind, separation_border=False)
    return [note for note in inspect_labels(labels, settings, "a.tif").notes if "are these outlines" in note]


def rings_of(labels, width):
    """Return the outermost pixels of each cell."""
    inner = np.zeros(labels.shape, bool)
    for number in range(1, labels.max() + 1):
        inner |= ndimage.binary_erosion(labels == number, iterations=width)
    return np.where(inner, 0, labels)


@pytest.mark.parametrize("kind", ["instances", "mask"])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_rings_are_said(kind, width):
    labels = FIELD.copy()
    drawn = rings_of(labels, width)
    (note,) = notes_on(drawn if kind == "instances" else (drawn > 0).astype(np.uint8), kind)
    assert note.startswith("a.tif: most cells (")
    # In a mask a line of one pixel falls apart at its corners.
    apart = kind == "mask" and width == 1
    assert ("are nowhere 3 pixels wide" if apart else "enclose more background than they cover") in note
    assert not notes_on(labels, kind)


def test_broken_outlines_and_specks_are_said():
    labels = FIELD.copy()
    mask = find_boundaries(labels, mode="inner")
    mask[::7] = False  # none encloses anything
    (note,) = notes_on(mask.astype(np.uint8), "mask")
    assert "are nowhere 3 pixels wide" in note
    rng = np.random.default_rng(0)
    (note,) = notes_on((rng.random((100, 100)) < 0.02).astype(np.uint8), "mask")
    assert "specks" in note


@given(st.integers(0, 2**32), st.integers(2, 12))
def test_filled_cells_with_small_holes_are_never_said(seed, least):
    rng = np.random.default_rng(seed)
    labels = ellipses(rng, 100, 6, least, least + 3)
    labels[rng.random(labels.shape) < 0.05 * (least > 6)] = 0
    assert not notes_on(labels)


def test_a_few_cells_say_nothing():
    labels = FIELD.copy()
    drawn = rings_of(labels, 1)
    assert notes_on(np.where(drawn <= 5, drawn, 0))
    assert not notes_on(np.where(drawn <= 4, drawn, 0))
    mostly = np.where(labels <= labels.max() // 2 + 1, labels, drawn)
    assert not notes_on(mostly)


def test_pages_count_together():
    labels = FIELD.copy()
    drawn = rings_of(labels, 1)
    stack = np.stack([np.where(drawn <= 3, drawn, 0), np.where(drawn <= 3, drawn, 0)])
    (note,) = notes_on(stack)
    assert "6 of 6 looked at" in note


def test_of_many_cells_some_are_looked_at():
    y, x = np.mgrid[:200, :200]
    labels = np.where((y % 8 < 2) & (x % 8 < 5), 1 + y // 8 * 25 + x // 8, 0)
    (note,) = notes_on(labels)  # 625 cells, of which each fourth
    assert "157 of 157 looked at" in note
