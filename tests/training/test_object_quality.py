"""The quality of objects that a training says is that of `evaluate objects`, for the pages held out."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from scipy import ndimage

from unet2015.metrics.object_folders import evaluate_objects
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings import LabelSettings
from unet2015.settings.objects import ObjectSettings
from unet2015.training import object_choice, thresholds
from unet2015.training.labels import make_targets
from unet2015.training.loop import train
from unet2015.training.object_choice import choose_objects
from unet2015.training.object_maps import measure_objects

CPU = torch.device("cpu")


def touching(ignored=False):
    """Numbered cells of 10 px, of which some lie side by side, on a page of 48 x 56 px."""
    labels = np.zeros((48, 56), np.uint16)
    for number, (y, x) in enumerate((y, x) for y in (6, 26) for x in (3, 13, 26, 39)):
        labels[y : y + 10, x : x + 10] = number + 1
    if ignored:
        labels[:, 50:] = 99
    return labels


@pytest.fixture
def drawn(tmp_path):
    """Write numbered cells that touch, some pages of them, and images in which they are bright."""

    def write(pages, **values):
        random = np.random.default_rng(0)
        (tmp_path / "images").mkdir()
        (tmp_path / "labels").mkdir()
        labels = touching(**values)
        rims = ndimage.maximum_filter(labels, 3) != ndimage.minimum_filter(labels, 3)
        for page in range(pages):
            pixels = np.where((labels > 0) & ~rims, 190, 60) + random.normal(0, 12, labels.shape)
            for name, array in (("images", pixels.clip(0, 255).astype(np.uint8)), ("labels", labels)):
                tifffile.imwrite(tmp_path / name / f"p{page}.tif", array, photometric="minisblack")
        return tmp_path / "images", tmp_path / "labels"

    return write


@pytest.mark.parametrize(("border", "ignored"), [(True, True), (False, False)])
def test_a_training_says_the_quality_that_evaluate_does(
    drawn, small_settings, tmp_path, monkeypatch, caplog, border, ignored
):
    monkeypatch.setattr(object_choice, "MOST_PAGES", 1)  # fewer than are held out
    caplog.set_level("INFO", "unet2015")
    images, labels = drawn(4, ignored=ignored)
    ignore = 99 if ignored else None
    settings = small_settings(
        labels={"kind": "instances", "separation_border": border, "ignore": ignore},
        optimisation={"steps": 60, "learning_rate": 6e-3},
        validation={"fraction": 0.5},
    )
    model = train(images, labels, tmp_path / "run", settings=settings, device="cpu")
    assert model.info.objects is not None
    held_out = [images / f"p{page}.tif" for page in (2, 3)]
    assert model.info.training["held_out"] == ["p2.tif", "p3.tif"]
    segment_files(held_out, tmp_path / "found", model, SegmentOptions(objects=ObjectSettings()))
    (tmp_path / "true").mkdir()
    for page in (2, 3):
        (labels / f"p{page}.tif").rename(tmp_path / "true" / f"p{page}.tif")
    said = evaluate_objects(tmp_path / "true", tmp_path / "found", ignore=ignore).as_dict()
    measured = model.info.training["objects"]
    assert measured["panoptic_quality"] == pytest.approx(said["panoptic_quality"], abs=1e-6)
    assert measured["panoptic_quality"] > 0.3
    assert (measured["true"], measured["called"]) == (said["true_objects"], said["found_objects"])
    assert measured["true"] == 16
    assert (measured["pages"], measured["truth"]) == (2, "labels")
    assert f"panoptic quality {said['panoptic_quality']:.3f} on held-out pages" in caplog.text


def numbered(answers, values, labels, ignore=None, border=True):
    """A held-out page of numbered cells, and the answer of the network to it."""
    coding = LabelSettings(kind="instances", ignore=ignore, separation_border=border)
    targets = make_targets(labels, coding, "page")
    return replace(answers.page_of(values, targets.classes), cells=targets.whole)


def test_cells_that_the_border_has_shrunk_are_measured_as_they_were_drawn(answers):
    labels = np.zeros((48, 48), np.uint16)
    for number in (1, 2, 3):  # of two rows, a border takes one
        labels[8 + 2 * number : 10 + 2 * number, 10:40] = number
    values = np.where(labels, 0.9, 0.1)
    values[[12, 14]] = 0.1
    pages = [numbered(answers, values, labels)]
    measured = measure_objects(answers.Echo(), pages, 0.5, ObjectSettings(), CPU, 48)
    # The first has both rows, and of the others one of two is found: an IoU of 0.5 each.
    assert measured["panoptic_quality"] == pytest.approx((1 + 0.5 + 0.5) / 3, abs=1e-6)
    assert measured["matched"] == 3


def test_a_cell_that_the_border_tears_is_one(answers):
    labels = np.zeros((48, 48), np.uint16)
    labels[10:30, 10:30] = 1
    labels[10:30, 20] = 2  # a stray line through a cell
    values = np.where(labels == 1, 0.9, 0.1)
    pages = [numbered(answers, values, labels)]
    measured = measure_objects(answers.Echo(), pages, 0.5, ObjectSettings(), CPU, 48)
    assert measured["true"] == 2
    assert measured["matched"] == 1


def test_cells_without_a_border_are_divided_where_their_labels_say_so(answers):
    y, x = np.indices((48, 80))
    away = [np.hypot(y - 24, x - column) for column in (24, 40, 56)]
    values = np.clip(0.97 - 0.035 * np.min(away, axis=0), 0.02, 0.98)
    labels = np.where(values > 0.62, np.argmin(away, axis=0) + 1, 0).astype(np.uint16)
    page = numbered(answers, values, labels, border=False)
    found, measured = choose_objects(answers.Echo(), [page], 0.62, CPU, 48)
    assert found.markers is not None
    assert measured["panoptic_quality"] > measured["plain"] + 0.3


def test_all_pages_are_measured_whole_also_those_without_cells(answers, monkeypatch):
    labels, empty = touching(), np.zeros((48, 56), np.uint16)
    labels[(labels % 2) == 1] = 0
    pages = [numbered(answers, np.where(labels, 0.9, 0.1), labels)]
    pages.append(numbered(answers, np.where(labels, 0.9, 0.1), empty))
    monkeypatch.setattr(thresholds, "LARGEST_SIDE", 32)
    _, compared = choose_objects(answers.Echo(), pages, 0.5, CPU, 48)
    assert compared["pages"] == 1
    assert compared["true"] < 4
    measured = measure_objects(answers.Echo(), pages, 0.5, ObjectSettings(), CPU, 48)
    assert (measured["pages"], measured["true"], measured["called"]) == (2, 4, 8)
    assert measured["panoptic_quality"] == pytest.approx(4 / 6, abs=1e-6)


def test_masks_have_parts_for_objects_and_this_is_told(small_set, small_settings, tmp_path, caplog):
    caplog.set_level("INFO", "unet2015")
    settings = small_settings(optimisation={"steps": 60, "learning_rate": 3e-3})
    model = train(*small_set, tmp_path / "run", settings=settings, device="cpu")
    assert model.info.training["objects"]["truth"] == "parts"
    assert (
        " on held-out pages, of which the connected parts count as true objects, as the labels number none"
        in caplog.text
    )


def test_where_nothing_is_finite_nothing_is_measured(answers):
    page = numbered(answers, np.where(touching(), 0.9, 0.1), touching())
    page.source.pixels[...] = np.nan
    assert measure_objects(answers.Echo(), [page], 0.5, ObjectSettings(), CPU, 48) is None
