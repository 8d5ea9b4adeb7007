"""Functions on arrays of instance labels say where these may be none, as the commands do of files."""

import logging

import numpy as np
import pytest

import unet2015
from unet2015 import metrics
from unet2015.errors import LabelError
from unet2015.metrics.measures import MEASURES


def labels_of_cells(cells: int = 9) -> np.ndarray:
    page = np.zeros((60, 60), np.uint16)
    for number in range(cells):
        y, x = 20 * (number // 3) + 2, 20 * (number % 3) + 2
        page[y : y + 8, x : x + 8] = number + 1
    return page


LABELS = labels_of_cells()
MASK = (LABELS > 0).astype(np.uint8)
NOISE = np.random.default_rng(0).integers(0, 60, (60, 60))
DOUBTFUL = {
    "mask of 1": (MASK, "looks like a mask"),
    "mask of 255": (MASK * 255, "looks like a mask"),
    "mask of 65535": (MASK.astype(np.uint16) * 65535, "looks like a mask"),
    "mask of floats": (MASK.astype(np.float32), "looks like a mask"),
    "class map": (MASK + (LABELS > 4), "looks like a mask"),
    "image": (NOISE, "is it an image?"),
    "numbered background": (LABELS + 1, "is it the background"),
}
SOUND = {
    "labels": LABELS,
    "one cell": labels_of_cells(1),
    "one cell of number 255": labels_of_cells(1) * 255,
    "two cells": labels_of_cells(2),
    "nothing": LABELS * 0,
    "a cell in pieces": np.where(LABELS == 4, 1, LABELS),
}
PAIRS = {
    name: (lambda truth, found: metrics.seg_score([(7, truth, found)]))
    if name == "seg_score"
    else getattr(metrics, name)
    for name in [
        *(entry.name for entry in MEASURES.values() if entry.compares in ("objects", "sequences")),
        "match_objects",
        "object_scores",
    ]
}


@pytest.fixture
def said(caplog):
    """What a call says."""

    def call(work, *args):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "unet2015"):
            work(*args)
        return [record.getMessage() for record in caplog.records]

    return call


@pytest.mark.parametrize("name", PAIRS)
def test_measures_of_objects_say_which_side_is_doubtful(said, name):
    for how, (doubtful, words) in DOUBTFUL.items():
        for side, pair in (("truth", (doubtful, LABELS)), ("prediction", (LABELS, doubtful))):
            (line,) = said(PAIRS[name], *pair)
            wanted = "result" if name == "seg_score" and side == "prediction" else side
            assert line.startswith(wanted), how
            assert words in line, how
    for how, sound in SOUND.items():
        assert said(PAIRS[name], LABELS, sound) == [], how


def test_a_doubt_of_several_pages_is_said_once_with_their_numbers(said):
    pages = np.stack([LABELS, MASK, LABELS, MASK])
    (line,) = said(metrics.object_f1, pages, np.stack([LABELS] * 4))
    assert line.startswith("truth (page 1, page 3): looks like a mask")
    (line,) = said(metrics.seg_score, [(number, page, LABELS) for number, page in enumerate(pages)])
    assert line.startswith("truth (frame 1, frame 3): looks like a mask")
    assert metrics.object_f1(MASK, MASK) == 1  # a warning, no refusal: an object may be in pieces


def test_masks_of_one_bit_are_refused_with_what_to_do():
    with pytest.raises(LabelError, match="bool; number the objects of a mask first"):
        metrics.object_f1(MASK > 0, MASK > 0)


@pytest.mark.parametrize("how", DOUBTFUL)
def test_the_weight_map_says_it(said, how):
    doubtful, words = DOUBTFUL[how]
    for labels in (doubtful, np.stack([LABELS, doubtful])):
        if how in ("mask of 255",) and labels.ndim == 2:
            with pytest.raises(LabelError, match="0 and 255, which is a mask"):
                unet2015.weight_map(labels)
            continue
        (line,) = said(unet2015.weight_map, labels)
        assert line.startswith("labels")
        assert words in line
        if "mask" in words:
            assert 'give kind="mask"' in line


def test_the_weight_map_of_sound_labels_says_nothing(said):
    for how, labels in SOUND.items():
        if "255" not in how:
            assert said(unet2015.weight_map, labels) == [], how
    assert said(unet2015.weight_map, MASK > 0) == []
    assert said(lambda: unet2015.weight_map(MASK, kind="mask")) == []
    # What nobody annotated is no cell.
    assert said(lambda: unet2015.weight_map(np.where(MASK > 0, 255, labels_of_cells(1)), ignore=255)) == []
    assert said(lambda: unet2015.weight_map(np.where(LABELS == 0, 99, LABELS), ignore=99)) == []


@pytest.mark.parametrize("measure", [metrics.dice, metrics.iou, metrics.f1, metrics.pixel_overlap])
def test_a_label_that_masks_do_not_have_is_said(said, measure):
    def of(truth, found, label):
        return said(lambda: measure(truth, found, label=label))

    for mask in (MASK * 255, MASK.astype(np.uint16) * 65535):
        for pair in ((mask, mask), (mask, MASK), (MASK, mask)):
            (line,) = of(*pair, 1)
            side = "prediction" if pair[0] is MASK else "truth"
            assert line.startswith(
                f"{side} is a mask of 0 and {mask.max()}, so label=1 selects nothing of it"
            )
    (line,) = of(MASK * 2, MASK * 2, 1)
    assert line.startswith("label 1 is in neither truth nor prediction")
    assert "highest values are 2 and 2" in line
    # One class may be missed, and masks may be empty where there is nothing to find.
    for pair, label in (((MASK, MASK), 1), ((MASK * 2, MASK), 1), ((MASK, MASK), 0), ((MASK, MASK * 0), 1)):
        assert of(*pair, label) == []
    assert of(MASK * 0, MASK * 0, 1) == []
