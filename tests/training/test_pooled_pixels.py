"""What is counted of held-out pages, against the definitions written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from unet2015.synthetic import em_stack
from unet2015.training.pooled_pixels import PooledPixels

IGNORED = 255


def both(p):
    return np.stack([1 - p, p]).astype(np.float32)


def pooled(*pages, factor=16):
    """Counts of pages of (probability of class 1 or of all, true classes)."""
    classes = 2 if pages[0][0].ndim == 2 else len(pages[0][0])
    found = PooledPixels(classes, factor)
    for probability, truth in pages:
        found.add(both(probability) if classes == 2 else probability, truth.astype(np.uint8))
    return found


@st.composite
def maps(draw):
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    steps = draw(st.sampled_from([2, 5, 1000]))
    p = random.integers(1, steps + 1, (height, width)) / (steps + 1)
    truth = random.choice(
        [0, 1, IGNORED], (height, width), p=draw(st.sampled_from([(0.4, 0.4, 0.2), (1, 0, 0)]))
    )
    return p, truth


@settings(max_examples=40)
@given(st.lists(maps(), min_size=1, max_size=3))
def test_the_area_under_the_curve_is_that_of_mann_and_whitney(pages):
    p = np.concatenate([p[truth != IGNORED] for p, truth in pages])
    truth = np.concatenate([truth[truth != IGNORED] for p, truth in pages])
    found = pooled(*pages).auc()
    if {0, 1} - set(truth.tolist()):
        assert found is None
        return
    inside, outside = p[truth == 1], p[truth == 0]
    expected = stats.mannwhitneyu(inside, outside).statistic / inside.size / outside.size
    assert found == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("shift", [-12.0, -5.0, 0.0, 5.0, 12.0])
def test_a_ranking_far_from_one_half_is_seen(shift):
    scores = np.linspace(-1, 1, 400).reshape(20, 20) + shift
    found = PooledPixels(2, 16)
    odds = np.exp(scores)
    truth = (scores > shift).astype(np.uint8)
    found.add(np.stack([1 / (1 + odds), odds / (1 + odds)]).astype(np.float32), truth)
    assert found.auc() > 0.999


@settings(max_examples=40)
@given(st.lists(maps(), min_size=1, max_size=3))
def test_f1_and_what_calling_everything_class_1_gets(pages):
    p = np.concatenate([p[truth != IGNORED] for p, truth in pages]).astype(np.float32)
    truth = np.concatenate([truth[truth != IGNORED] for p, truth in pages])
    found = pooled(*pages)
    f1, threshold = found.f1()
    if not (truth == 1).any():
        assert (f1, threshold, found.baseline()) == (None, 0.5, None)
        return
    scores = {
        t: 2 * np.sum((p > np.float32(t)) & (truth == 1)) / (np.sum(p > np.float32(t)) + np.sum(truth == 1))
        for t in np.arange(1, 100) / 100
    }
    assert f1 == pytest.approx(max(scores.values()))
    assert scores[threshold] == pytest.approx(f1)
    share = (truth == 1).mean()
    assert found.baseline() == pytest.approx(2 * share / (1 + share))
    everything = pooled(*[(np.full(p.shape, 0.6), truth) for p, truth in pages])
    assert everything.f1()[0] == pytest.approx(found.baseline())


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(3, 5))
def test_of_more_classes_the_baseline_is_the_best_of_all_constant_answers(seed, classes):
    random = np.random.default_rng(seed)
    truth = random.choice([*range(classes), IGNORED], (9, 9), p=random.dirichlet(np.ones(classes + 1) * 0.7))

    def calling(k):
        p = np.full((classes, 9, 9), 0.1, np.float32)
        p[k] = 0.9
        return pooled((p, truth))

    answers = [calling(k).f1()[0] for k in range(classes)]
    if not np.isin(truth, range(1, classes)).any():
        assert answers == [None] * classes
        assert calling(0).baseline() is None
    else:
        assert calling(0).baseline() == pytest.approx(max(answers))


def test_a_class_that_is_invented_counts_as_f1_of_0():
    truth = np.repeat([0, 1, 2], 4).reshape(3, 4)
    p = np.eye(4, dtype=np.float32)[[0, 1, 2]][:, None].repeat(4, 1).transpose(2, 0, 1) * 0.9 + 0.025
    assert pooled((p, truth)).f1()[0] == 1
    p[:, 0] = np.eye(4, dtype=np.float32)[3][:, None] * 0.9 + 0.025
    assert pooled((p, truth)).f1()[0] == pytest.approx(2 / 3)


def test_a_pixel_of_a_class_that_does_not_occur_costs_little():
    truth = np.zeros((20, 20), int)
    truth[:12] = 1
    right = np.eye(3, dtype=np.float32)[truth].transpose(2, 0, 1) * 0.9 + 0.03
    assert pooled((right, truth)).f1() == (1, None)
    figures = []
    for wrong in (1, 6, 60, 160):  # on background; class 1 is found without an error
        called = truth.ravel().copy()
        called[-wrong:] = 2
        p = np.eye(3, dtype=np.float32)[called.reshape(20, 20)].transpose(2, 0, 1) * 0.9 + 0.03
        found = pooled((p, truth))
        figures.append(found.f1()[0])
        assert found.of_classes()[1][0] == 1
    assert figures == pytest.approx([1 / (1 + wrong / 240) for wrong in (1, 6, 60, 160)])
    assert figures[0] > 0.99 > pooled((right, truth)).baseline()
    everywhere = np.full((3, 20, 20), 0.1, np.float32)
    everywhere[2] = 0.8
    assert pooled((everywhere, truth)).f1() == (0, None)


def test_all_classes_must_be_alike_for_a_constant_answer():
    truth = np.zeros((6, 6), int)
    p = np.full((3, 6, 6), 1 / 3, np.float32)
    assert pooled((p, truth)).constant
    p[0, 2, 2], p[2, 2, 2] = 0.2, 1 - 0.2 - 1 / 3  # class 1 stays alike everywhere
    assert not pooled((p, truth)).constant


def test_pages_without_annotation_count_nothing():
    p = np.full((4, 4), 0.3)
    found = pooled((p, np.full((4, 4), IGNORED)))
    assert (found.f1(), found.auc(), found.baseline()) == ((None, 0.5), None, None)
    assert (found.cross_entropy, found.repetition()) == (0, None)
    assert pooled((p, np.zeros((4, 4)))).cross_entropy == pytest.approx(-np.log(0.7))


def grid(height, width, factor=16, seed=0):
    """A pattern that depends on the position modulo the factor alone, in [0.2, 0.8]."""
    cell = np.random.default_rng(seed).uniform(0.2, 0.8, (factor, factor))
    return np.tile(cell, (height // factor + 1, width // factor + 1))[:height, :width]


@pytest.fixture(scope="module")
def membranes():
    """Interior of cells in an EM-like page, and the map of a network that has learned it."""
    _, labels = em_stack(1, 200, 232, 3)
    truth = (labels[0] > 0).astype(np.uint8)
    return truth, np.clip(ndimage.gaussian_filter(truth.astype(float), 2), 0.02, 0.98)


def test_a_checkerboard_of_the_pooling_grid_is_periodic(membranes):
    truth, _ = membranes
    board = 0.5 + 0.3 * ((np.add.outer(np.arange(200) // 8, np.arange(232) // 8) % 2) * 2 - 1)
    for pattern in (board, grid(200, 232), grid(200, 232, factor=4)):
        assert pooled((pattern, truth)).repetition() > 0.95
    noisy = grid(200, 232) + np.random.default_rng(1).normal(0, 0.05, (200, 232))
    assert pooled((noisy, truth)).repetition() > 0.8


def test_the_phase_is_that_of_each_page(membranes):
    truth, _ = membranes
    pattern = grid(200, 232)
    assert pooled((pattern[:150, :150], truth[:150, :150]), (pattern[:77], truth[:77])).repetition() > 0.95


@pytest.mark.parametrize("factor", [2, 8, 16])
def test_a_map_of_membranes_is_not_periodic_even_where_it_is_wrong(membranes, factor):
    truth, right = membranes
    for p in (right, 1 - right, np.roll(right, 57, 1), ndimage.gaussian_filter(right, 6)):
        assert pooled((p, truth), factor=factor).repetition() < 0.1


def test_cells_that_truly_stand_in_the_grid_are_not_periodic():
    y, x = np.mgrid[:160, :160]
    truth = (((y % 16) - 8) ** 2 + ((x % 16) - 8) ** 2 < 30).astype(np.uint8)
    p = np.clip(ndimage.gaussian_filter(truth.astype(float), 1.5), 0.02, 0.98)
    assert pooled((p, truth)).repetition() < 0.3
    assert pooled((np.where(truth, 0.9, 0.1), truth)).repetition() < 1e-6
    # A pattern of the grid that is not those cells still is.
    assert pooled((grid(160, 160), truth)).repetition() > 0.5


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.floats(0.5, 12))
def test_chance_gives_no_repetition(seed, blur):
    """Of smooth random maps on small pages, on which the plain share of variance by position is large."""
    random = np.random.default_rng(seed)
    pages = []
    for _ in range(2):
        p = ndimage.gaussian_filter(random.normal(size=(72, 90)), blur)
        pages.append((0.5 + 0.1 * p / p.std(), random.integers(0, 2, p.shape)))
    assert pooled(*[(np.clip(p, 0.01, 0.99), truth) for p, truth in pages]).repetition() < 0.5


def test_the_repetition_is_the_mean_product_of_other_cells_over_the_variance():
    """Written out over all pairs of cells, on two pages with pixels that are not annotated."""
    random = np.random.default_rng(5)
    factor, pages, cells = 4, [], []
    for height, width in ((24, 16), (17, 14)):
        p = np.clip(grid(height, width, 4) + random.normal(0, 0.2, (height, width)), 0.01, 0.99)
        truth = random.choice([0, 1, IGNORED], (height, width))
        pages.append((p.astype(np.float32), truth))
    annotated = [(p[truth != IGNORED], truth[truth != IGNORED]) for p, truth in pages]
    values, true = (np.concatenate(part) for part in zip(*annotated, strict=True))
    mean = {k: values[true == k].mean() for k in (0, 1)}
    for p, truth in pages:
        rest = np.where(truth == IGNORED, np.nan, p - np.where(truth == 1, mean[1], mean[0]))
        for top in range(0, p.shape[0], factor):
            for left in range(0, p.shape[1], factor):
                cell = np.full((factor, factor), np.nan)
                part = rest[top : top + factor, left : left + factor]
                cell[: part.shape[0], : part.shape[1]] = part
                cells.append(cell)
    products = [(one * other)[np.isfinite(one * other)] for k, one in enumerate(cells) for other in cells[:k]]
    expected = np.concatenate(products).mean() / values.var()
    assert pooled(*pages, factor=factor).repetition() == pytest.approx(expected, rel=1e-4)


def test_what_cannot_be_told_is_not_said(membranes):
    truth, right = membranes
    assert pooled((right, truth), factor=1).repetition() is None
    assert pooled((np.full(truth.shape, 0.4), truth)).repetition() is None
    assert pooled((grid(40, 40), truth[:40, :40])).repetition() is None  # fewer than 9 cells


def test_of_more_classes_the_repetition_is_that_of_what_is_not_background(membranes):
    truth, _ = membranes
    p = np.stack([1 - grid(200, 232), grid(200, 232) * 0.3, grid(200, 232) * 0.7]).astype(np.float32)
    assert pooled((p, truth * 2)).repetition() > 0.95
