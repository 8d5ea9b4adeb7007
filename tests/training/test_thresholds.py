"""The threshold of the best Rand score, on maps of which it is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from unet2015.metrics import rand_error
from unet2015.training import thresholds
from unet2015.training.thresholds import model_thresholds, rand_threshold
from unet2015.training.validation import Validation, validate

CPU = torch.device("cpu")


def page(gap=0.7, side=64, shift=0):
    """Two cells, and a membrane between them that has a gap of this probability of interior."""
    truth = np.ones((side, side), np.uint8)
    truth[:, side // 2 + shift] = 0
    p = np.where(truth, 0.95, 0.1) - 0.05 * (np.arange(side) % 3 == 0)
    p[20:24, side // 2 + shift] = gap
    return p, truth


@pytest.fixture
def found(answers):
    """The threshold for pages of a probability map and classes."""
    return lambda *pages: rand_threshold(answers.Echo(), [answers.page_of(*one) for one in pages], CPU, 48)


@pytest.mark.parametrize("gap", [0.3, 0.52, 0.7, 0.82])
def test_a_gap_is_closed_and_the_cells_stay_whole(found, gap):
    """Below the gap's probability the cells are one, above 0.9 they fall apart: the middle is taken."""
    assert gap < found(page(gap)) < 0.9
    assert found(page(gap)) == pytest.approx((gap + 0.9) / 2, abs=0.06)


def test_it_is_the_best_of_the_candidates_by_the_measure(found, answers):
    random = np.random.default_rng(0)
    p, truth = page()
    p = np.clip(p + random.normal(0, 0.08, p.shape), 0.01, 0.99)
    other, more = page(0.8, shift=9)
    other = np.clip(other + random.normal(0, 0.08, p.shape), 0.01, 0.99)
    chosen = found((p, truth), (other, more))
    stack = np.stack([p, other]).astype(np.float32)
    scores = rand_error(np.stack([truth, more]), stack, thresholds=thresholds.CANDIDATES).by_threshold
    rand = {row.threshold: row.fscore for row in scores}
    assert rand[chosen] >= max(rand.values()) - thresholds.SAME
    assert rand[chosen] > rand[0.5]
    # F1 of pixels hardly sees the gaps, and prefers another.
    result = validate(answers.Echo(), [answers.page_of(p, truth), answers.page_of(other, more)], CPU, 48)
    assert result.threshold < chosen


def test_what_is_not_annotated_does_not_count(found):
    p, truth = page(0.7)
    p[:10], truth[:10] = np.tile([0.99, 0.01], 32), 255
    assert 0.7 < found((p, truth)) < 0.9


@pytest.mark.slow
def test_few_pages_are_segmented_spread_over_the_set(found, answers, monkeypatch):
    seen = []
    honest = thresholds.segment_page
    monkeypatch.setattr(
        thresholds, "segment_page", lambda *words: seen.append(words[2].pixels[0, 0, 0]) or honest(*words)
    )
    pages = []
    for k in range(40):
        p, truth = page()
        p[0, 0] = (k + 1) / 100
        pages.append((p, truth))
    found(*pages)
    assert len(seen) == thresholds.MOST_PAGES
    numbers = np.round(100 / (1 + np.exp(-np.array(seen)))) - 1
    assert (numbers[0], numbers[-1]) == (0, 39)
    assert max(np.diff(numbers)) <= 8
    seen.clear()
    rand_threshold(answers.Echo(), [answers.page_of(*one) for one in pages], CPU, 48, most=len(pages))
    assert len(seen) == 40  # all, where that is asked for


def test_of_a_large_page_a_window_in_phase_is_taken(found, answers, monkeypatch):
    monkeypatch.setattr(thresholds, "LARGEST_SIDE", 60)
    p, truth = np.full((150, 200), 0.02), np.zeros((150, 200), np.uint8)
    p[96:160, 48:112], truth[96:160, 48:112] = (part[:54] for part in page(0.7))
    shapes = []
    honest = thresholds.segment_page
    monkeypatch.setattr(thresholds, "segment_page", lambda *words: shapes.append(words[3]) or honest(*words))
    assert 0.7 < found((p, truth)) < 0.9
    assert shapes[0][0] <= 60
    assert shapes[0][1] <= 60
    whole = replace(answers.page_of(p, truth), cells=np.arange(p.size).reshape(p.shape))
    window = thresholds.best_window(whole, 16)
    source, part = window.source, window.classes
    assert (source.top % 16, source.left % 16) == (0, 0)
    at = np.s_[source.top : source.top + part.shape[0], source.left : source.left + part.shape[1]]
    assert np.array_equal(part, truth[at])
    assert np.array_equal(window.cells, whole.cells[at])
    read = source.read(0, 0, part.shape[0], 0, part.shape[1])[0]
    np.testing.assert_allclose(1 / (1 + np.exp(-read)), p[at], atol=1e-6)


def test_where_there_is_nothing_to_choose(found, answers):
    p, truth = page()
    assert found((p, np.zeros_like(truth))) is None
    assert found((p, np.full_like(truth, 255))) is None
    assert rand_threshold(answers.Echo(), [], CPU, 48) is None
    broken = answers.page_of(p, truth)
    broken.source.pixels[:] = np.nan
    assert rand_threshold(answers.Echo(), [broken], CPU, 48) is None
    # Pages without cells beside one that has them take nothing from it.
    assert found((p, np.zeros_like(truth)), (p, truth)) == found((p, truth))


def test_what_a_model_says_of_its_thresholds():
    result = Validation(0.9, 0.43, 0.2, constant=False)
    assert model_thresholds(result) == {"threshold": 0.43, "thresholds": {"f1": 0.43}}
    assert model_thresholds(result, 0.8) == {"threshold": 0.8, "thresholds": {"f1": 0.43, "rand": 0.8}}
    undefined = Validation(None, 0.5, 0.2, constant=False)
    assert model_thresholds(undefined) == {"threshold": 0.5, "thresholds": {}}
    assert model_thresholds(Validation(0.9, None, 0.2, constant=False)) == {
        "threshold": None,
        "thresholds": {},
    }
