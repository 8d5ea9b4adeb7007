"""Whether a network has learned, which of two is better, and what is said to who trains."""

import json
import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from unet2015.training.validation import Validation, advice, validate

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def truth():
    """Cells of irregular shape over about 60 % of a page."""
    field = ndimage.gaussian_filter(np.random.default_rng(2).normal(size=(96, 128)), 5)
    return (field > np.quantile(field, 0.4)).astype(np.uint8)


@pytest.fixture
def judged(answers):
    """What is said of pages of a probability map and classes."""

    def judge(*pages, classes=2):
        result = validate(answers.Echo(classes), [answers.page_of(*page) for page in pages], CPU, 48)
        text = json.dumps(result.as_dict(), allow_nan=False)
        assert Validation.from_dict(json.loads(text) | {"step": 5}) == result
        return result

    return judge


def blurred(truth, sigma=1.5):
    return np.clip(ndimage.gaussian_filter(truth.astype(float), sigma), 0.03, 0.97)


def test_a_network_that_tells_the_classes_apart_has_learned(judged, truth):
    result = judged((blurred(truth), truth))
    assert result.learned is True
    assert result.why == ()
    assert result.f1 > 0.9 > result.baseline
    assert result.auc > 0.95
    assert not result.periodic
    assert advice(result) == ""
    for words in (f"F1 {result.f1:.4f}", f"{result.baseline:.4f}", "AUC"):
        assert words in result.describe()


def test_every_pixel_alike(judged, truth):
    result = judged((np.full(truth.shape, 0.62), truth))
    assert result.constant
    assert result.learned is False
    assert result.f1 == pytest.approx(result.baseline)
    assert any("alike" in reason for reason in result.why)


def test_no_better_than_calling_every_pixel_a_cell(judged, truth):
    """Nearly alike, with a few pixels that differ: no constant map, but as useful as one."""
    p = np.random.default_rng(0).uniform(0.6, 0.62, truth.shape)
    result = judged((p, truth))
    assert not result.constant
    assert result.learned is False
    assert any(f"{result.baseline:.3f} of calling every pixel the same" in reason for reason in result.why)
    assert any("ROC" in reason for reason in result.why)


def test_a_pattern_of_the_pooling_grid(judged, truth):
    board = 0.5 + 0.2 * ((np.add.outer(np.arange(96) // 8, np.arange(128) // 8) % 2) * 2 - 1)
    result = judged((board, truth))
    assert result.periodic
    assert result.learned is False
    assert any("pooling grid" in reason for reason in result.why)


def test_the_wrong_way_round(judged, truth):
    result = judged((1 - blurred(truth), truth))
    assert result.auc < 0.1
    assert result.learned is False
    assert any("upside down" in reason for reason in result.why)
    assert "the same meaning" in advice(result)


def test_rare_cells_that_are_found_are_learned_at_a_low_f1(judged):
    truth = np.zeros((96, 96), np.uint8)
    truth[40:44, 40:46] = 1  # 0.26 % of the pixels
    p = np.where(ndimage.binary_dilation(truth, iterations=6), 0.4, 0.02) + np.linspace(0, 0.01, 96)
    result = judged((p, truth))
    assert result.f1 < 0.3
    assert result.learned is True


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("classes", [2, 3])
def test_held_out_pages_of_one_class_cannot_tell(judged, value, classes):
    truth = np.full((64, 64), value)
    p = np.full((classes, 64, 64), 1e-4)
    p[value] = 1 - 1e-4 * (classes - 1)
    certain = judged((p, truth), classes=classes)
    assert certain.learned is None
    assert "only one class" in advice(certain)
    assert certain.why == ()
    # Who is less certain is worse, though it is more certain than 0.5 everywhere.
    p = np.full((classes, 64, 64), 0.3 / (classes - 1))
    p[value] = 0.7
    unsure = judged((p, truth), classes=classes)
    assert certain.better_than(unsure)
    assert not unsure.better_than(certain)
    if value == 0:
        assert certain.f1 is certain.pixel_error is certain.baseline is None
        assert certain.threshold == (0.5 if classes == 2 else None)
        assert "undefined" in certain.describe()


def test_nothing_annotated_is_no_answer(judged):
    result = judged((np.full((64, 64), 0.3), np.full((64, 64), 255)))
    assert (result.f1, result.learned, result.cross_entropy) == (None, None, 0)


def test_of_more_classes(judged, truth):
    many = truth * (1 + (np.arange(128) > 64))
    p = np.stack([ndimage.gaussian_filter((many == k).astype(float), 1) + 0.02 for k in range(3)])
    result = judged((p / p.sum(0), many), classes=3)
    assert result.learned is True
    assert (result.auc, result.threshold) == (None, None)
    background = np.stack([np.full(truth.shape, 0.5), *np.full((2, *truth.shape), 0.25)])
    background[0] += np.random.default_rng(0).uniform(-0.02, 0.02, truth.shape)
    background /= background.sum(0)
    result = judged((background, many), classes=3)
    assert result.learned is False
    assert result.f1 == 0 < result.baseline


def test_each_of_several_classes_is_measured_and_one_that_is_not_found_is_said(judged):
    truth = np.zeros((20, 30), np.int64)
    truth[:10, :10], truth[0, 20:26] = 1, 2
    answer = np.full((3, 20, 30), 0.1)
    answer[0], answer[1, :10, :10], answer[0, :10, :10] = 0.8, 0.8, 0.1
    result = judged((answer, truth), classes=3)
    (_, _, (f1, chance)) = result.by_class
    assert f1 == 0
    assert chance == pytest.approx(2 * 0.01 / 1.01)
    assert result.by_class[1][0] == 1
    assert result.learned is True, "as a whole"
    assert result.not_found == ("class 2 (F1 0.000; calling every pixel so: 0.020)",)
    assert result.as_dict()["not_found"] == list(result.not_found)
    assert result.describe().endswith("; F1 of each class: 0 0.994, 1 1.000, 2 0.000")
    again = Validation.from_dict(json.loads(json.dumps(result.as_dict())))
    assert again == result
    answer[2, 0, 20:26], answer[0, 0, 20:26] = 0.8, 0.1
    assert judged((answer, truth), classes=3).not_found == ()
    truth[0, 20:26] = 0
    absent = judged((np.where(np.arange(3)[:, None, None] == truth, 0.8, 0.1), truth), classes=3)
    assert (absent.by_class[2], absent.not_found) == ((None, 0.0), ())


def test_of_two_classes_there_are_no_figures_for_each(judged, truth):
    result = judged((np.where(truth, 0.9, 0.1), truth))
    assert result.by_class is None
    assert not {"by_class", "not_found"} & result.as_dict().keys()


def test_pages_are_pooled(judged, truth):
    """A page without cells beside one with: F1 is defined, and what is invented there counts."""
    empty = np.zeros_like(truth)
    quiet = judged((blurred(truth), truth), (np.full(truth.shape, 0.1), empty))
    loud = judged((blurred(truth), truth), (np.full(truth.shape, 0.9), empty))
    assert loud.f1 < quiet.f1
    assert quiet.learned is True


def test_what_is_not_finite_is_none(answers, truth):
    page = answers.page_of(blurred(truth), truth)
    page.source.pixels[0, 5, 5] = np.inf
    assert validate(answers.Echo(), [page], CPU, 48) is None


@pytest.mark.parametrize(
    ("one", "other", "better"),
    [
        ((0.8, 0.9), (0.7, 0.1), True),
        ((0.7, 0.1), (0.8, 0.9), False),
        ((0.8, 0.3), (0.8, 0.4), True),
        ((0.8, 0.4), (0.8, 0.4), False),
        ((None, 0.3), (None, 0.4), True),
        ((None, 0.4), (None, 0.3), False),
        ((None, 0.003), (None, 0.002), True),  # of nearly equal ones the later
        ((0.8, 0.303), (0.8, 0.302), False),
        ((None, 0.3), (0.0, 0.4), True),  # one of another version of the program
        ((1.0, 0.4), (None, 0.3), False),
    ],
)
def test_the_better_one_is_chosen_by_f1_and_by_cross_entropy_where_that_says_nothing(one, other, better):
    first, second = (Validation(f1, 0.5, loss, constant=False) for f1, loss in (one, other))
    assert first.better_than(second) is better
    assert first.better_than(None)


def test_the_advice_fits_the_reason(truth):
    stuck = Validation(0.75, 0.01, 0.69, constant=True, baseline=0.75, auc=0.5)
    for words in ("alike", "another seed", "lower learning_rate", "clip", "unet2015 check"):
        assert words in advice(stuck)
    assert "higher" not in advice(stuck)
    slow = Validation(0.75, 0.01, 0.69, constant=False, baseline=0.75, auc=0.62)
    for words in ("0.750 of calling", "more steps", "higher learning_rate", "lower", "seed", "check"):
        assert words in advice(slow)
    assert "ROC" not in advice(slow)
    # A little below one half is chance, and no reason to doubt the labels.
    chance = Validation(0.75, 0.01, 0.69, constant=False, baseline=0.75, auc=0.4)
    assert "ROC curve is 0.400, that of guessing 0.5" in advice(chance)
    assert "the same meaning" not in advice(chance)


@pytest.mark.parametrize("auc", [0.5, 0.564, 0.599, 0.6, 0.65])
def test_what_an_untrained_network_reaches_by_chance_is_a_plateau(auc):
    """Random features follow the image, and so the truth, a little: 0.564 was seen without a step."""
    result = Validation(0.8, 0.5, 0.69, constant=False, baseline=0.75, auc=auc)
    assert result.plateau is (auc < 0.6)
    assert result.learned is (auc >= 0.6)


def test_records_of_before_can_be_read():
    old = {
        "step": 4,
        "f1": 0.5,
        "threshold": 0.3,
        "cross_entropy": 0.7,
        "constant": False,
        "pixel_error": 0.5,
    }
    result = Validation.from_dict(old)
    assert (result.f1, result.baseline, result.learned) == (0.5, None, None)
    assert math.isclose(result.pixel_error, 0.5)
