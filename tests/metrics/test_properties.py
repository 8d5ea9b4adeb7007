"""What holds for all the EM measures."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unet2015.metrics.components import components
from unet2015.metrics.information import v_info
from unet2015.metrics.pixel import pixel_error
from unet2015.metrics.rand import rand_error
from unet2015.metrics.thinned_rand import v_rand
from unet2015.metrics.thresholds import ELEVEN, Measure
from unet2015.metrics.warping import TEN, warping_error

ERRORS = [pixel_error, rand_error, warping_error]
SCORES = [v_rand, v_info]
# Thinning and warping visit pixels in an order that a flip changes.
UNORDERED = [pixel_error, rand_error]

# Twice as many pages are still no more than 4: with more, pages so narrow are refused.
shapes = st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9))
values = st.integers(0, 20).map(lambda k: np.float32(k / 20))


@st.composite
def stacks(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(shapes)
    labels = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 255])))
    return labels, draw(hnp.arrays(np.float32, shape, elements=values))


def rows(measured: Measure[Any]) -> list[Any]:
    return [(row.value, *row.slices) for row in measured.by_threshold]


every = pytest.mark.parametrize("measure", ERRORS + SCORES)
common = settings(deadline=None, max_examples=15)


@every
@common
@given(stacks())
def test_bounds(measure: Callable[..., Any], stack: tuple[np.ndarray, np.ndarray]) -> None:
    measured = measure(*stack)
    assert all(-1e-12 <= row.value <= 1 + 1e-12 for row in measured.by_threshold)
    chosen = min if measure in ERRORS else max
    assert measured.value == pytest.approx(chosen(row.value for row in measured.by_threshold), abs=1e-12)


@every
@common
@given(stacks())
def test_the_same_picture_twice_is_perfect(
    measure: Callable[..., Any], stack: tuple[np.ndarray, np.ndarray]
) -> None:
    labels, _ = stack
    labels[:, 0, 0] = 255
    perfect = 0 if measure in ERRORS else 1
    if measure is v_info:  # one object has no information
        perfect = np.mean([components(page > 0).max() > 1 for page in labels])
    measured = measure(labels, (labels > 0).astype(np.float32))
    for row in measured.by_threshold:
        assert row.value == pytest.approx(perfect, abs=1e-12)
    assert measured.threshold == (0 if perfect or measure in ERRORS else None)


@every
@common
@given(stacks(), st.data())
def test_the_numbers_of_the_labels_do_not_matter(
    measure: Callable[..., Any], stack: tuple[np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    labels, proposal = stack
    numbers = data.draw(hnp.arrays(np.uint32, labels.shape, elements=st.integers(1, 2**32 - 1)))
    expected = rows(measure(labels, proposal))
    assert rows(measure(np.where(labels > 0, numbers, 0), proposal)) == expected
    assert rows(measure(labels > 0, proposal)) == expected
    assert rows(measure((labels > 0).astype(float), proposal)) == expected


@pytest.mark.parametrize("measure", UNORDERED)
@common
@given(stacks())
def test_flips_and_transposition_do_not_matter(
    measure: Callable[..., Any], stack: tuple[np.ndarray, np.ndarray]
) -> None:
    expected = rows(measure(*stack))
    for turned in (lambda a: a[:, ::-1], lambda a: a[:, :, ::-1], lambda a: a.transpose(0, 2, 1)):
        assert rows(measure(*map(turned, stack))) == expected


@every
@common
@given(stacks())
def test_thresholds_may_be_rescaled_with_the_proposal(
    measure: Callable[..., Any], stack: tuple[np.ndarray, np.ndarray]
) -> None:
    labels, proposal = stack
    steps = TEN if measure is warping_error else ELEVEN
    halved = measure(labels, proposal / 2, thresholds=[step / 2 for step in steps])
    assert rows(halved) == rows(measure(labels, proposal))


@pytest.mark.parametrize("measure", [m for m in ERRORS + SCORES if m is not warping_error])
@common
@given(stacks())
def test_only_the_order_of_values_and_thresholds_matters(
    measure: Callable[..., Any], stack: tuple[np.ndarray, np.ndarray]
) -> None:
    labels, proposal = stack
    between = np.digitize(proposal.astype(np.float64), ELEVEN, right=True)  # thresholds below each value
    edges = np.array([0.0, *ELEVEN, 1.0])
    moved = (edges[between] * 0.25 + edges[between + 1] * 0.75).astype(np.float32)
    moved[between == 0] = 0
    moved[between == len(ELEVEN)] = 1
    assert rows(measure(labels, moved)) == rows(measure(labels, proposal))


@every
@common
@given(stacks())
def test_a_stack_is_its_slices(measure: Callable[..., Any], stack: tuple[np.ndarray, np.ndarray]) -> None:
    whole = measure(*stack)
    alone = [measure(labels, proposal) for labels, proposal in zip(*stack, strict=True)]
    for k, row in enumerate(whole.by_threshold):
        assert list(row.slices) == [page.by_threshold[k].slices[0] for page in alone]
    again = measure(*(np.concatenate([a, a]) for a in stack))
    assert [row.value for row in again.by_threshold] == pytest.approx(
        [row.value for row in whole.by_threshold]
    )


@every
@pytest.mark.parametrize(("label", "value"), list(product([0, 1], [0.0, 1.0])))
def test_one_pixel_images_and_uniform_images(measure: Callable[..., Any], label: int, value: float) -> None:
    """Empty truth, all background, all foreground: no warning, and the value the rules give."""
    perfect = {
        pixel_error: label == value,
        rand_error: label == 1,
        warping_error: True,
        v_rand: label == 1,
        v_info: 0,
    }
    for shape in ((1, 1, 1), (2, 1, 5), (1, 4, 3)):
        measured = measure(np.full(shape, label), np.full(shape, value, np.float32))
        if measure is rand_error and label == 1 and value == 0 and shape != (1, 1, 1):
            assert 0 < measured.value < 1  # every pixel its own object: pairs with itself only
        else:
            assert measured.value == (not perfect[measure] if measure in ERRORS else perfect[measure])
