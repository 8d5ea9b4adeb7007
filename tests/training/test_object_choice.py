"""The settings of objects that a training chooses, on maps of which the best are known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage

from unet2015.metrics.objects import match_objects
from unet2015.models.model_file import ModelInfo, read_model_file
from unet2015.objects.instances import label_page
from unet2015.settings import Mapping
from unet2015.settings.objects import MarkerSettings, ObjectSettings
from unet2015.training import completion, object_choice
from unet2015.training.loop import train
from unet2015.training.object_choice import choose_objects

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def fewer_objects():
    """All settings are tried here."""


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
    qualities = {"panoptic_quality": 1.0, "plain": 1.0, "pages": 1}
    assert measured == qualities | {"true": 4, "called": 4, "matched": 4}


def test_specks_are_left_out(chosen):
    p, classes = discs(APART)
    p = np.where(classes, np.maximum(p, 0.6), 0.1)
    p[::9, ::9] = np.where(ndimage.binary_dilation(classes)[::9, ::9], p[::9, ::9], 0.9)
    found, measured = chosen((p, classes))
    assert 2 <= found.smallest < classes.sum() / 4
    assert measured["panoptic_quality"] == 1
    assert measured["plain"] < 0.5


def test_few_objects_take_the_lowest_least_size_that_is_as_good(chosen):
    def page(places, shape):
        p, classes = discs(places, shape=shape)
        p = np.where(classes, np.maximum(p, 0.6), 0.1)
        p[::9, ::9] = np.where(ndimage.binary_dilation(classes)[::9, ::9], p[::9, ::9], 0.9)
        return p, classes

    area = page(APART, (64, 96))[1].sum() / 4
    few, measured = chosen(page(APART, (64, 96)))
    assert measured["true"] == 4
    assert few.smallest == max(2, round(0.05 * area))
    many, measured = chosen(page([(y, x) for y in (16, 48) for x in range(16, 170, 32)], (64, 180)))
    assert measured["true"] == 10
    assert few.smallest < many.smallest


def test_touching_cells_are_divided_where_that_scores_better(chosen):
    p, _ = discs([(16, 16), (16, 31), (48, 60), (48, 75)], radius=8)
    x = np.indices(p.shape)[1]
    classes = (p > 0.69).astype(np.uint8)
    classes[(x == 23) | (x == 67)] = 0  # the border that labels have between touching cells
    found, measured = chosen((p, classes), threshold=0.65)
    assert found.markers is not None
    assert measured["panoptic_quality"] > measured["plain"] + 0.3


def test_the_threshold_is_another_than_the_model_s_where_that_scores_better(chosen):
    p, classes = discs(APART)
    p = np.where(classes, 0.95, np.where(ndimage.binary_dilation(classes, iterations=6), 0.65, 0.1))
    found, measured = chosen((p, classes), threshold=0.45)
    assert found == ObjectSettings(threshold=0.8)  # in the middle of 0.7 to 0.9, which are as good
    assert measured["panoptic_quality"] == 1
    assert chosen((p, classes), threshold=0.85)[0] == ObjectSettings()


def test_where_markers_divide_a_lower_threshold_gives_whole_cells(chosen):
    places = [(16, 16), (16, 34), (48, 58), (48, 76)]
    p, classes = discs(places, radius=10)
    classes[:, [25, 67]] = 0
    found, measured = chosen((p, classes), threshold=0.85)
    assert found.markers is not None
    assert found.threshold == 0.6
    assert measured["panoptic_quality"] > measured["plain"] + 0.3


def test_specks_are_left_out_also_where_all_cells_are_joined_at_first(chosen):
    p, _ = discs([(16, 14), (16, 30), (16, 46), (48, 50), (48, 66), (48, 82)], radius=10)
    classes = (p > 0.6).astype(np.uint8)
    classes[:32, [22, 38]], classes[32:, [58, 74]] = 0, 0
    p[::7, ::7] = np.where(p[::7, ::7] < 0.5, 0.9, p[::7, ::7])
    found, measured = chosen((p, classes), threshold=0.55)
    assert measured["plain"] == 0
    assert found.smallest > 1
    assert found.markers is not None
    assert measured["panoptic_quality"] > 0.8


def test_holes_that_are_true_stay(chosen):
    p, classes = discs(APART, radius=12)
    p = np.where(classes, 0.9, 0.1)
    for y, x in APART:
        p[y - 6 : y + 6, x - 6 : x + 6], classes[y - 6 : y + 6, x - 6 : x + 6] = 0.1, 0
    assert chosen((p, classes))[0].fill_holes is False


def test_objects_at_the_border_stay_although_the_labels_of_these_pages_have_none(chosen):
    inside = APART
    p = np.where(discs([*inside, (0, 5), (0, 62), (63, 50), (30, 95), (63, 10), (2, 90)])[1], 0.9, 0.1)
    found, measured = chosen((p, discs(inside)[1]))
    assert found.frame == 0
    assert measured["plain"] < 0.7


def test_what_is_not_annotated_does_not_count(chosen):
    p, classes = discs(APART)
    p = np.where(classes, 0.9, 0.1)
    p[:8, ::5], classes[:8] = 0.9, 255
    assert chosen((p, classes))[0] == ObjectSettings()


def test_what_the_separation_border_tears_off_is_no_object(chosen):
    p, classes = discs(APART)
    p = np.where(classes, 0.9, 0.1)
    p[::9, ::9] = np.where(ndimage.binary_dilation(classes)[::9, ::9], p[::9, ::9], 0.9)  # specks
    clean = chosen((p, classes))[0]
    for y, x in APART:
        classes[y + 8, x], p[y + 8, x] = 1, 0.9
    found, measured = chosen((p, classes))
    assert found == clean
    assert measured["panoptic_quality"] == 1


def test_of_sizes_and_thresholds_that_are_as_good_the_middle_is_taken(chosen):
    p, classes = discs(APART)
    p = np.where(classes, 0.95, 0.1)
    p[30:33, 4:7], p[2:4, 80:82] = 0.95, 0.95  # 9 and 4 px, cells have 145
    p[56:59, 85:90] = 0.45
    found, _ = chosen((p, classes), threshold=0.4)
    assert 15 < found.smallest < classes.sum() / 8
    assert chosen((p, classes), threshold=0.5)[0].threshold is None


def test_the_quality_is_the_measure_over_all_pages(chosen, answers):
    random = np.random.default_rng(0)
    pages = []
    for _ in range(2):
        p, classes = discs(random.integers(8, 56, (6, 2)))
        pages.append((np.clip(p + random.normal(0, 0.1, p.shape), 0.01, 0.99), classes))
    found, measured = chosen(*pages)
    truth = np.stack([ndimage.label(classes == 1)[0] for _, classes in pages])
    for settings, name in ((found, "panoptic_quality"), (ObjectSettings(), "plain")):
        at = 0.5 if settings.threshold is None else settings.threshold
        labels = np.stack([label_page(p.astype(np.float32), at, settings).astype(int) for p, _ in pages])
        assert measured[name] == pytest.approx(match_objects(truth, labels).panoptic_quality, abs=0.02)


def test_nothing_is_measured_twice(chosen, monkeypatch):
    measure, seen = object_choice._quality, []

    def watched(maps, threshold, settings):
        seen.append((threshold, settings.model_copy(update={"threshold": None})))
        return measure(maps, threshold, settings)

    monkeypatch.setattr(object_choice, "_quality", watched)
    p, classes = discs(APART)
    p[::9, ::9] = np.where(ndimage.binary_dilation(classes)[::9, ::9], p[::9, ::9], 0.9)
    found, _ = chosen((p, classes))
    assert found.smallest  # so there was a second round
    assert len(seen) == len(set(seen)) > 60


def test_without_objects_nothing_is_chosen(chosen):
    assert chosen((np.full((48, 48), 0.2), np.zeros((48, 48)))) is None


def test_only_some_pages_are_used(chosen, answers):
    p, classes = discs(APART)
    assert chosen(*[(p, classes)] * 5)[1]["pages"] == object_choice.MOST_PAGES
    pages = [answers.page_of(p, classes)] * 5
    assert choose_objects(answers.Echo(), pages, 0.5, CPU, 48, 2)[1]["pages"] == 2


def test_a_model_that_learned_has_the_settings_and_training_again_keeps_them(
    small_set, small_settings, tmp_path, monkeypatch, caplog
):
    calls, compared = [], {"panoptic_quality": 0.75, "plain": 0.5, "true": 12}
    measured = {"panoptic_quality": 0.5, "plain": 0.25, "true": 20, "truth": "labels"}
    caplog.set_level("INFO", "unet2015")

    def choose(*arguments):
        calls.append(arguments)
        return ObjectSettings(smallest=7, markers=MarkerSettings()), dict(compared)

    monkeypatch.setattr(completion, "choose_objects", choose)
    monkeypatch.setattr(completion, "measure_objects", lambda *_: dict(measured))
    settings = small_settings(optimisation={"steps": 60, "learning_rate": 3e-3})
    images, labels = small_set
    model = train(images, labels, tmp_path / "run", settings=settings, device="cpu")
    assert model.info.learned
    assert model.info.objects == ObjectSettings(smallest=7, markers=MarkerSettings())
    assert model.info.training["objects"] == measured | {"chosen_on": compared}
    assert (
        "objects: smaller than 7 px left out, divided where they touch (markers above 0.8, blur 2 px); "
        "panoptic quality 0.500 on held-out pages; as in the paper 0.250" in caplog.text
    )
    said = [record.message for record in caplog.records if record.message.startswith("objects:")]
    caplog.clear()
    train(images, labels, tmp_path / "run", settings=settings, device="cpu", resume=True)
    assert len(calls) == 1
    assert said == [record.message for record in caplog.records if record.message.startswith("objects:")]
    assert "the training had ended before, at step" in caplog.text
    assert read_model_file(tmp_path / "run" / "model.safetensors").info == model.info


@pytest.mark.parametrize(("objects", "said"), [(1, "1 object alone"), (9, "9 objects alone"), (10, None)])
def test_a_least_size_that_few_objects_chose_is_said_to_be_so(
    small_settings, monkeypatch, caplog, objects, said
):
    compared = {"panoptic_quality": 0.5, "plain": 0.25, "true": objects}
    measured = compared | {"true": 100, "truth": "labels"}
    monkeypatch.setattr(completion, "choose_objects", lambda *_: (ObjectSettings(smallest=678), compared))
    monkeypatch.setattr(completion, "measure_objects", lambda *_: measured)
    info = ModelInfo(class_names=("background", "cell"), mapping=Mapping(method="standardise"))
    network = SimpleNamespace(inference_tile=lambda tile: tile)
    model, data = SimpleNamespace(network=network), SimpleNamespace(validation=[])
    found = completion._with_objects(model, info, small_settings(), data, CPU)
    assert found.objects.smallest == 678
    completion._say(found)
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert bool(warned) == bool(said)
    if said:
        assert f"objects: the least size of 678 px was chosen by {said}" in warned[0]
