"""Which tiles are shown: pages by their area, centres where something is annotated, classes in balance."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from unet2015.settings import AugmentationSettings, LabelSettings, SamplingSettings, WeightMapSettings
from unet2015.training.augment import augment
from unet2015.training.draw import draw
from unet2015.training.labels import balanced_weights, class_frequencies, make_targets
from unet2015.training.losses import total_weight, weighted_cross_entropy
from unet2015.training.sampling import Centres, TileSampler, allowed_range, draw_pages
from unet2015.training.tile_source import TileSource
from unet2015.training.weight_map import target_weights

ALL = SamplingSettings(centres="anywhere", mirrored=1.0)
ANNOTATED = SamplingSettings(mirrored=1.0)
AREAS = st.lists(st.integers(0, 10**4), min_size=1, max_size=12)
AUGMENTATION = AugmentationSettings(elastic_std=3)


def unknown(height: int, width: int) -> NDArray[np.uint8]:
    """Classes of a page on which nothing is annotated."""
    return np.full((height, width), 255, np.uint8)


def grid(n: int) -> NDArray[np.float64]:
    """Numbers evenly over [0, 1): the middles of n parts."""
    return (np.arange(n) + 0.5) / n


def hits(centres: Centres, shape: tuple[int, ...], n: int = 60) -> NDArray[np.float64]:
    """How often each pixel is the centre, over an even grid of the two numbers."""
    found = np.zeros(shape)
    for y in grid(n):
        for x in grid(n):
            found[centres.at(y, x)] += 1
    return found


# Pages


@given(seed=st.integers(0, 2**70), turn=st.integers(0, 10**6), pages=st.integers(1, 40))
def test_a_round_of_pages_alike_shows_each_once(seed: int, turn: int, pages: int) -> None:
    assert sorted(draw_pages(seed, turn, range(pages), "alike")) == list(range(pages))


def test_the_order_of_a_round_stays_what_it_was() -> None:
    """Written down, so that trainings can be repeated."""
    assert draw_pages(0, 0, range(7), "alike") == [1, 5, 2, 4, 6, 3, 0]
    assert draw_pages(5, 3, range(7), "alike") == [4, 0, 5, 1, 2, 3, 6]


@given(
    seed=st.integers(0, 2**70),
    turn=st.integers(0, 10**6),
    pages=st.integers(1, 60),
    area=st.sampled_from([1, 2, 3, 7, 512**2, 3**20, 10**11 + 1]),
)
def test_pages_of_one_area_come_once_a_round_in_the_same_order(
    seed: int, turn: int, pages: int, area: int
) -> None:
    areas = [area] * pages
    assert draw_pages(seed, turn, areas, "area") == draw_pages(seed, turn, areas, "alike")


@given(seed=st.integers(0, 10**6), turn=st.integers(0, 100), areas=AREAS)
def test_a_round_has_each_page_as_often_as_its_area_says(seed: int, turn: int, areas: list[int]) -> None:
    """Up to rounding in every single round, and a page without area never."""
    drawn = draw_pages(seed, turn, areas, "area")
    assert len(drawn) == len(areas)
    assert drawn == draw_pages(seed, turn, areas, "area")
    counts = np.bincount(drawn, minlength=len(areas))
    if sum(areas):
        expected = len(areas) * np.array(areas) / sum(areas)
        assert (np.floor(expected - 1e-9) <= counts).all()
        assert (counts <= np.ceil(expected + 1e-9)).all()
    else:
        assert (counts == 1).all()


def test_over_many_rounds_a_pages_share_is_that_of_its_area() -> None:
    areas = [1200 * 1200, 0, 64 * 64, 64 * 64, 300 * 200, 17]
    turns = 4000
    counts = np.sum([np.bincount(draw_pages(3, turn, areas), minlength=6) for turn in range(turns)], axis=0)
    expected = turns * 6 * np.array(areas) / sum(areas)
    assert counts[1] == 0
    assert (np.abs(counts - expected) <= 4 * np.sqrt(np.maximum(expected, 1))).all()


def test_huge_pages_do_not_overflow() -> None:
    areas = [2**49, 2**49, 2**50] * 1000
    counts = np.bincount(draw_pages(0, 0, areas), minlength=len(areas))
    assert counts.sum() == 3000
    assert set(counts[2::3]) == {1, 2}
    assert set(counts[::3]) == {0, 1}


def test_large_and_small_pages_in_turn_are_drawn_by_area_in_every_round() -> None:
    """Were they cumulated in their own order, a round could have a third more of the large ones."""
    for turn in range(20):
        counts = np.bincount(draw_pages(0, turn, [1, 1, 2] * 200), minlength=600)
        assert counts.sum() == 600
        assert abs(counts[2::3].sum() - 300) < 40


def test_where_in_a_round_a_page_comes_is_even() -> None:
    """A large page is not always first, although the pages are cumulated in order."""
    places = np.zeros(5)
    for turn in range(600):
        places += np.array(draw_pages(1, turn, [1, 1, 6, 1, 1])) == 2
    assert stats.chisquare(places).pvalue > 0.001


@given(areas=AREAS, rule=st.sampled_from(["area", "alike"]), numbers=st.lists(st.integers(0, 60), max_size=8))
def test_the_sampler_gives_the_pages_of_each_round_in_any_order(
    areas: list[int], rule: str, numbers: list[int]
) -> None:
    pages = [np.zeros((1, area), np.uint8) if area else unknown(1, 5) for area in areas]
    sampler = TileSampler.of(pages, SamplingSettings(pages=rule), 4, 10)
    assert sampler.areas == areas
    for number in numbers:
        turn, position = divmod(number, len(areas))
        assert sampler.page(number) == draw_pages(4, turn, areas, rule)[position]


# Centres


@given(
    height=st.integers(1, 400),
    width=st.integers(1, 400),
    output=st.integers(1, 300),
    centres=st.sampled_from(["annotated", "anywhere"]),
    seed=st.integers(0, 10**6),
)
def test_a_wholly_annotated_page_has_the_centres_of_the_image_and_costs_no_memory(
    height: int, width: int, output: int, centres: str, seed: int
) -> None:
    rule = SamplingSettings(centres=centres, mirrored=1.0)
    chosen = Centres.of(np.zeros((height, width), np.uint8), rule, output)
    assert chosen.ends is None
    assert chosen.classes is None
    with_them = draw(AUGMENTATION, seed, 3, height, width, centres=chosen)
    without = draw(AUGMENTATION, seed, 3, height, width)
    assert with_them.centre == without.centre
    assert (with_them.angle, with_them.gray_shift) == (without.angle, without.gray_shift)
    np.testing.assert_array_equal(with_them.vectors, without.vectors)


@pytest.mark.slow
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    share=st.floats(0, 1),
    seed=st.integers(0, 10**6),
)
def test_the_centre_is_each_annotated_pixel_alike(height: int, width: int, share: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    classes = np.where(random.random((height, width)) < share, 1, 255).astype(np.uint8)
    annotated = classes != 255
    found = hits(Centres.of(classes, ANNOTATED, 5), classes.shape)
    if not annotated.any():
        annotated[:] = True
    assert (found[~annotated] == 0).all()
    # The grid is 60 x 60: a row may have one part of it too many, and so may each pixel of the row.
    assert np.abs(found[annotated] / 60**2 - 1 / annotated.sum()).max() < 3 / 60
    assert (found[annotated] > 0).all()


def test_the_centres_of_a_training_are_even_over_the_annotated_pixels() -> None:
    classes = unknown(30, 40)
    classes[3, 5:8] = 0
    classes[20:22, 30:40:3] = 1
    chosen = Centres.of(classes, ANNOTATED, 12)
    assert chosen.ends is not None
    assert chosen.ends.nbytes <= 8 * 30
    counts = np.zeros(classes.shape)
    for step in range(1500):
        counts[draw(AUGMENTATION, 2, step, 30, 40, centres=chosen).centre] += 1
    assert counts.sum() == counts[classes != 255].sum()
    assert stats.chisquare(counts[classes != 255]).pvalue > 0.001


def test_anywhere_means_where_nothing_is_annotated_too() -> None:
    classes = unknown(6, 10)
    classes[0, 0] = 1
    assert (hits(Centres.of(classes, ALL, 4), classes.shape) == 60).all()


def test_without_shift_the_centre_stays_in_the_middle() -> None:
    classes = unknown(20, 30)
    classes[0, 0] = 1
    still = AUGMENTATION.model_copy(update={"shift": False})
    assert draw(still, 0, 0, 20, 30, centres=Centres.of(classes, SamplingSettings(), 4)).centre == (10, 15)


# Mirrored pixels


def mirrored_share(centre: tuple[int, int], shape: tuple[int, int], output: int) -> float:
    """The share of an output's pixels outside the image, counted."""
    inside = [
        sum(0 <= c - output // 2 + i < length for i in range(output))
        for c, length in zip(centre, shape, strict=True)
    ]
    return 1 - inside[0] * inside[1] / output**2


@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    output=st.integers(1, 40),
    mirrored=st.sampled_from([0.0, 0.1, 0.19, 0.36, 0.5, 0.75, 1.0]),
)
def test_no_more_of_an_output_is_mirrored_than_allowed(
    height: int, width: int, output: int, mirrored: float
) -> None:
    """In a corner, the worst place, and where the image is too small, as little as can be."""
    rows, columns = (allowed_range(length, output, mirrored) for length in (height, width))
    for (first, end), length in ((rows, height), (columns, width)):
        assert 0 <= first < end <= length
        # The allowed range is as large at one end as at the other, up to the pixel of an even output.
        assert abs((length - end) - first) <= 1
    least = mirrored_share((height // 2, width // 2), (height, width), output)
    for y in (rows[0], rows[1] - 1):
        for x in (columns[0], columns[1] - 1):
            share = mirrored_share((y, x), (height, width), output)
            assert share <= max(mirrored, least) + 1e-9 or min(height, width) < output


@pytest.mark.parametrize("output", [8, 9])
def test_the_range_is_the_largest_that_is_allowed(output: int) -> None:
    assert allowed_range(100, output, 0.0) == (4, 97 if output == 8 else 96)
    assert allowed_range(100, output, 0.75) == allowed_range(100, output, 1.0) == (0, 100)
    first, end = allowed_range(100, output, 0.3)
    shape = (100, 100)
    assert mirrored_share((first, first), shape, output) <= 0.3
    assert mirrored_share((first - 1, first - 1), shape, output) > 0.3
    assert mirrored_share((end - 1, end - 1), shape, output) <= 0.3
    assert mirrored_share((end, end), shape, output) > 0.3


def test_in_an_image_smaller_than_the_output_the_centre_is_the_middle() -> None:
    assert allowed_range(7, 20, 0.0) == (3, 4)
    assert allowed_range(1, 20, 0.0) == (0, 1)
    assert allowed_range(7, 20, 1.0) == (0, 7)
    # One axis may be too small, the other not.
    assert (
        hits(Centres.of(unknown(7, 22), ALL.model_copy(update={"mirrored": 0.0}), 20), (7, 22))[
            3, 10:13
        ].sum()
        == 60**2
    )


def test_annotated_pixels_of_the_allowed_range_come_first() -> None:
    classes = unknown(40, 40)
    classes[0, ::2] = 1  # at the edge
    rule = SamplingSettings(mirrored=0.0)
    edge = hits(Centres.of(classes, rule, 10), classes.shape)
    assert set(zip(*np.nonzero(edge), strict=True)) == {(0, x) for x in range(0, 40, 2)}
    classes[20, 7] = classes[30, 11] = 0
    classes[20, 38] = 1  # the row is in the range, the column is not
    inner = hits(Centres.of(classes, rule, 10), classes.shape)
    assert inner[20, 7] == inner[30, 11] == 60**2 / 2
    everywhere = hits(Centres.of(classes, ANNOTATED, 10), classes.shape)
    assert (everywhere[classes != 255] > 0).all()


# What is learned from


def disks(side: int, cells: int, radius: int, seed: int) -> NDArray[np.uint16]:
    """A page of round cells."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.uint16)
    for cell in range(cells):
        cy, cx = random.uniform(0, side, 2)
        labels[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = cell + 1
    return labels


def shares(pages: list[NDArray[np.uint16]], rule: SamplingSettings, steps: int, divisor: str) -> NDArray:
    """Return how much each class has of the loss over many tiles.

    Of a network that calls the classes equally probable, whose loss at every pixel is log(2) times the
    weight; the class's part is what is lost when its weights alone stay.
    """
    coding = LabelSettings(ignore=65535)
    targets = [make_targets(labels, coding, "page") for labels in pages]
    w_c = balanced_weights(np.sum([class_frequencies(target, 2) for target in targets], axis=0))
    weights = [target_weights(target, WeightMapSettings(w0=0), w_c) for target in targets]
    sampler = TileSampler.of([target.classes for target in targets], rule, 0, 36)
    total = np.zeros(2)
    for step in range(steps):
        page = sampler.page(step)
        classes = targets[page].classes
        source = TileSource.of(
            draw(AUGMENTATION, 0, step, *classes.shape, centres=sampler.centres[page]), 52, *classes.shape
        )
        planes = [torch.from_numpy(source.cut(plane)) for plane in (classes, weights[page])]
        sample = augment(torch.zeros((1, *planes[0].shape)), *planes, source, 36)
        scores = torch.zeros((1, 2, 36, 36))
        loss = weighted_cross_entropy(scores, sample.classes, sample.weights, divisor)
        of_cells = torch.where(sample.classes == 1, sample.weights, 0)
        if weight := total_weight(sample.classes, sample.weights):
            part = float(of_cells.sum() / weight)
            total += float(loss) * np.array([1 - part, part])
    return total / total.sum()


@pytest.fixture(scope="module")
def rare() -> list[NDArray[np.uint16]]:
    """Cells on 1 % of the pixels."""
    return [disks(160, 4, 5, seed) for seed in range(4)]


@pytest.fixture(scope="module")
def uneven() -> list[NDArray[np.uint16]]:
    """One large page with few cells, and many small ones nearly full of them."""
    return [disks(400, 25, 7, 0), *(disks(24, 4, 8, seed) for seed in range(1, 12))]


@pytest.mark.slow
def test_balanced_weights_balance_rare_cells_in_the_loss_that_is_minimised(rare) -> None:
    assert 0.35 < shares(rare, SamplingSettings(), 300, "pixels")[1] < 0.65


@pytest.mark.slow
def test_balanced_weights_balance_pages_of_very_different_size(uneven) -> None:
    assert 0.35 < shares(uneven, SamplingSettings(), 300, "pixels")[1] < 0.65


@pytest.mark.slow
def test_balanced_weights_balance_where_a_part_is_annotated(rare) -> None:
    """A window of each page alone, and one page not at all."""
    pages = [np.full_like(page, 65535) for page in rare]
    for page, labels in zip(pages[1:], rare[1:], strict=True):
        page[30:140, 20:150] = labels[30:140, 20:150]
    assert 0.35 < shares(pages, SamplingSettings(), 300, "pixels")[1] < 0.65


@pytest.mark.slow
def test_otherwise_they_do_not(rare, uneven) -> None:
    """What the settings are for: divided by weights, or with all pages alike."""
    assert shares(rare, SamplingSettings(), 150, "weights")[1] < 0.3
    assert shares(uneven, SamplingSettings(pages="alike"), 150, "pixels")[1] > 0.65


def test_every_tile_of_a_partly_annotated_page_teaches() -> None:
    """With centres on annotated pixels; anywhere, most of them do not."""
    classes = unknown(200, 200)
    classes[80:110, 50:90] = 1
    weights = (classes == 1).astype(np.float32)
    taught = {}
    for rule in (SamplingSettings(), ALL):
        chosen, taught[rule.centres] = Centres.of(classes, rule, 36), 0
        for step in range(60):
            source = TileSource.of(draw(AUGMENTATION, 0, step, 200, 200, centres=chosen), 52, 200, 200)
            planes = [torch.from_numpy(source.cut(plane)) for plane in (classes, weights)]
            sample = augment(torch.zeros((1, *planes[0].shape)), *planes, source, 36)
            taught[rule.centres] += bool(total_weight(sample.classes, sample.weights))
    assert taught["annotated"] == 60
    assert taught["anywhere"] < 25
