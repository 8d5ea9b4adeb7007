from collections import deque

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from unet2015.metrics.thinning import thin

shapes = st.tuples(st.integers(1, 14), st.integers(1, 14))


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    """Interiors with much or little membrane: the order of visits shows where floods run long."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    return random.random(draw(shapes)) < draw(st.sampled_from([0.02, 0.05, 0.1, 0.3, 0.6]))


def flood(interior: np.ndarray) -> np.ndarray:
    """The challenge's flooding, pixel by pixel, from its description."""
    height, width = interior.shape
    order = [(y, x) for x in range(width) for y in range(height)]
    state: dict[tuple[int, int], int | str] = dict.fromkeys(order, "untouched")

    def around(y: int, x: int) -> list[tuple[int, int]]:
        return [p for p in ((y, x - 1), (y - 1, x), (y, x + 1), (y + 1, x)) if p in state]

    regions = 0
    queue: deque[tuple[int, int]] = deque()

    def grow(seed: tuple[int, int], level: bool) -> None:
        state[seed] = regions
        fresh = deque([seed])
        while fresh:
            for p in around(*fresh.popleft()):
                if state[p] == "untouched" and interior[p] == level:
                    state[p] = regions
                    fresh.append(p)

    for p in order:
        if interior[p] and state[p] == "untouched":
            regions += 1
            grow(p, True)
    for p in order:
        if not interior[p] and any(isinstance(state[q], int) for q in around(*p)):
            queue.append(p)
    for p in queue:
        state[p] = "queued"
    inherited = False
    while queue:
        p = queue.popleft()
        for q in around(*p):
            if state[q] == 0:
                if state[p] == "queued":
                    state[p], inherited = 0, True
            elif isinstance(state[q], int):
                if state[p] == "queued" or (state[p] == 0 and inherited):
                    state[p] = state[q]
                elif state[p] != state[q]:
                    state[p], inherited = 0, False
            elif state[q] == "untouched":
                state[q] = "queued"
                queue.append(q)
    for p in order:
        if state[p] == "untouched":
            regions += 1
            grow(p, False)
    return np.array([[state[y, x] for x in range(width)] for y in range(height)])


@settings(deadline=None, max_examples=300)
@given(masks())
def test_equals_the_flooding_of_the_challenge(interior: np.ndarray) -> None:
    np.testing.assert_array_equal(thin(interior), flood(interior))


@settings(deadline=None)
@given(masks())
def test_components_keep_their_pixels_and_stay_apart(interior: np.ndarray) -> None:
    regions = thin(interior)
    objects, count = ndimage.label(interior)
    assert regions.max() == max(count, 1)
    for number in range(1, count + 1):
        assert len(np.unique(regions[objects == number])) == 1
    assert (regions[interior] > 0).all()


def test_without_interior_or_without_membrane_a_slice_is_one_region() -> None:
    for interior in (np.zeros((3, 4), bool), np.ones((3, 4), bool)):
        np.testing.assert_array_equal(thin(interior), np.ones((3, 4)))


def test_a_wide_membrane_becomes_a_dam_of_one_pixel() -> None:
    interior = np.ones((5, 9), bool)
    interior[:, 2:7] = False
    regions = thin(interior)
    np.testing.assert_array_equal((regions == 0).sum(axis=1), 1)
    assert regions[0, 0] == 1
    assert regions[0, -1] == 2
