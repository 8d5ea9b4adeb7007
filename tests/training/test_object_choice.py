"""The settings of objects that a training chooses, on maps of which the best are known."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from unet2015.metrics.objects import match_objects
from unet2015.models.model_file import read_model_file
from unet2015.objects.instances import label_page
from unet2015.settings.objects import MarkerSettings, ObjectSettings
from unet2015.training import object_choice
from unet2015.training.loop import train
from unet2015.training.object_choice import choose_objects

CPU = torch.device("cpu")


def discs(places, radius=7, shape=(64, 96)):
    """Probability of round cells that falls towards their rims, and their classes."""
    y, x = np.indices(shape)
    away = np.min([np.hypot(y - a, x - b) for a, b in places], axis=0)
    return np.clip(0.97 - 0.035 * away, 0.02, 0.98), (away < radius).astype(np.uint8)


@pytest.fixture
def chosen(answers):
    def choose(*pages, threshold=0.5):
        return choose_objects(answers.Echo(), [answers.page_of(*page) for page in pages], threshold, CPU, 48)

    return choose


APART = [(16, 16), (16, 48), (48, 32), (48, 70)]


def test_what_makes_no_difference_stays_as_in_the_paper(chosen):
    p, classes = discs(APART)
    p = np.where(classes, np.maximum(p, 0.6), 0.1)
    found, measured = chosen((p, classes))
    assert found == ObjectSettings()
    assert measured == {"panoptic_quality": 1.0, "plain": 1.0, "pages": 1}


def test_specks_are_left_out(chosen):
    p, classes = discs(APART)
    p = np.where(classes, np.maximum(p, 0.6), 0.1)
    p[::9, ::9] = np.where(ndimage.binary_dilation(classes)[::9, ::9], p[::9, ::9], 0.9)
    found, measured = chosen((p, classes))
    assert 2 <= found.smallest < classes.sum() / 4
    assert measured["panoptic_quality"] == 1
    assert measured["plain"] < 0.5


def test_touching_cells_are_divided_where_that_scores_better(chosen):
    p, _ = discs([(16, 16), (16, 31), (48, 60), (48, 75)], radius=8)
    x = np.indices(p.shape)[1]
    classes = (p > 0.69).astype(np.uint8)
    classes[(x == 23) | (x == 67)] = 0  # the border that labels have between touching cells
    found, measured = chosen((p, classes), threshold=0.65)
    assert found.markers is not None
    assert measured["panoptic_quality"] > measured["plain"] + 0.3


def test_holes_that_are_true_stay(chosen):
    p, classes = discs(APART, radius=12)
    p = np.where(classes, 0.9, 0.1)
    for y, x in APART:
        p[y - 6 : y + 6, x - 6 : x + 6], classes[y - 6 : y + 6, x - 6 : x + 6] = 0.1, 0
    assert chosen((p, classes))[0].fill_holes is False


def test_what_is_not_annotated_does_not_count(chosen):
    p, classes = discs(APART)
    p = np.where(classes, 0.9, 0.1)
    p[:8, ::5], classes[:8] = 0.9, 255
    assert chosen((p, classes))[0] == ObjectSettings()


def test_the_quality_is_the_measure_over_all_pages(chosen, answers):
    random = np.random.default_rng(0)
    pages = []
    for _ in range(2):
        p, classes = discs(random.integers(8, 56, (6, 2)))
        pages.append((np.clip(p + random.normal(0, 0.1, p.shape), 0.01, 0.99), classes))
    found, measured = chosen(*pages)
    truth = np.stack([ndimage.label(classes == 1)[0] for _, classes in pages])
    for settings, name in ((found, "panoptic_quality"), (ObjectSettings(), "plain")):
        labels = np.stack([label_page(p.astype(np.float32), 0.5, settings).astype(int) for p, _ in pages])
        assert measured[name] == pytest.approx(match_objects(truth, labels).panoptic_quality, abs=0.02)


def test_without_objects_nothing_is_chosen(chosen):
    assert chosen((np.full((48, 48), 0.2), np.zeros((48, 48)))) is None


def test_only_some_pages_are_used(chosen, monkeypatch):
    monkeypatch.setattr(object_choice, "MOST_PAGES", 2)
    p, classes = discs(APART)
    assert chosen(*[(p, classes)] * 5)[1]["pages"] == 2


def test_a_model_that_learned_has_the_settings_and_training_again_keeps_them(
    small_set, small_settings, tmp_path, monkeypatch
):
    from unet2015.training import completion

    calls = []

    def choose(*arguments):
        calls.append(arguments)
        return ObjectSettings(smallest=7, markers=MarkerSettings()), {"panoptic_quality": 0.5}

    monkeypatch.setattr(completion, "choose_objects", choose)
    settings = small_settings(optimisation={"steps": 60, "learning_rate": 3e-3})
    images, labels = small_set
    model = train(images, labels, tmp_path / "run", settings=settings, device="cpu")
    assert model.info.learned
    assert model.info.objects == ObjectSettings(smallest=7, markers=MarkerSettings())
    assert model.info.training["objects"] == {"panoptic_quality": 0.5}
    train(images, labels, tmp_path / "run", settings=settings, device="cpu", resume=True)
    assert len(calls) == 1
    assert read_model_file(tmp_path / "run" / "model.safetensors").info == model.info
