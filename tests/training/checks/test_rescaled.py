"""A page in another brightness or contrast is known by its pixels; frames of a still scene are others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unet2015.images.array_image import ArrayImage
from unet2015.training.checks.rescaled import SampleTaker, rescaled


def sample(page, rows=30):
    channels = page if page.ndim == 3 else page[None]
    taker = SampleTaker(*channels.shape[1:])
    for top in range(0, channels.shape[1], rows):
        taker.update(channels[:, top : top + rows])
    low, high = (end(channels, axis=(1, 2)).astype(np.float64) for end in (np.min, np.max))
    return taker.found(low, high)


def found(trained, held_out):
    """The page trained on that goes with each page held out, both numbered among themselves."""
    pages = [*trained, *held_out]
    sites = [(ArrayImage(page, axes="CYX" if page.ndim == 3 else "YX"), 0) for page in pages]
    training, rest = range(len(trained)), range(len(trained), len(pages))
    said = rescaled([sample(page) for page in pages], sites, training, rest)
    return {page - len(trained): other for page, other in said.items()}


def scene(random, channels=1):
    """A camera's image of 16 bits: light, disks and noise."""
    rows, columns = np.mgrid[:180, :220]
    page = 2000 + 4.0 * columns + random.normal(0, 60, (channels, *rows.shape))
    for y, x, light in random.integers((0, 0, 500), (180, 220, 9000), (12, 3)):
        page += light * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 200.0)
    return page.astype(np.uint16)[0 if channels == 1 else slice(None)]


def to_bytes(page, low=0, high=100):
    least, most = np.percentile(page, [low, high])
    return (255 * ((page - least) / (most - least)).clip(0, 1)).astype(np.uint8)


CHANGES = {
    "8 bits": to_bytes,
    "percentiles": lambda page: to_bytes(page, 10, 90),
    "inverted": lambda page: 65535 - page,
    "standardised": lambda page: ((page - page.mean()) / page.std()).astype(np.float32),
    "half": lambda page: page // 2,
    "brighter": lambda page: page + 300,
    "stretched": lambda page: (page * 2.5).clip(0, 30000).astype(np.uint16),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_page_in_another_brightness_or_contrast_is_found_among_others(change, back, channels):
    random = np.random.default_rng(0)
    pages = [scene(random, channels) for _ in range(4)]
    if channels == 3:
        for page in pages:
            page[2] = 0  # an empty channel, as in many RGB files
        changed = [np.stack([*map(change, page[:2]), page[2]]) for page in pages]
    else:
        changed = [change(page) for page in pages]
    one, other = (changed, pages) if back else (pages, changed)
    assert found(one, [other[2], other[0]]) == {0: 2, 1: 0}
    assert found(one[:2], other[2:]) == {}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 4), st.floats(-500, 5000), st.booleans())
def test_any_line_is_found_and_noise_of_a_step_beside_it_is_not(seed, factor, offset, falling):
    random = np.random.default_rng(seed)
    page = scene(random)
    line = (-factor if falling else factor) * page.astype(np.float64) + offset
    rounded = np.round(line).astype(np.int32)
    assert found([page], [rounded]) == {0: 0}
    noise = random.normal(0, max(1.0, factor), page.shape)
    assert found([page], [np.round(line + noise).astype(np.int32)]) == {}
    assert found([page], [np.roll(rounded, 3, axis=1)]) == {}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("deviation", [0.5, 1, 3])
def test_frames_of_a_still_scene_are_no_copies(dtype, deviation):
    random = np.random.default_rng(0)
    still = to_bytes(scene(random)).astype(np.float64)
    frames = [
        (still + random.normal(0, deviation, still.shape)).round().clip(0, 255).astype(dtype)
        for _ in range(6)
    ]
    assert found(frames[::2], frames[1::2]) == {}
    samples = [sample(frame) for frame in frames]
    assert rescaled(samples, [(None, 0)] * 6, range(3), range(3, 6)) == {}, "no page is read for that"


def test_nothing_is_said_of_what_holds_too_little():
    random = np.random.default_rng(0)
    levels = [random.integers(0, 12, (90, 90)).astype(np.uint8) for _ in range(2)]
    sparse = [np.where(random.random((90, 90)) < 0.02, 200, 0).astype(np.uint8) for _ in range(2)]
    blank = [np.full((90, 90), value, np.uint8) for value in (0, 7)]
    for one, other in (levels, sparse, blank):
        assert found([one], [other, one // 2]) == {}
    page = scene(random)
    assert found([page], [page[:, :-1], to_bytes(page) // 32]) == {}


def test_a_curve_is_no_line_and_one_changed_part_makes_another_image():
    page = scene(np.random.default_rng(0))
    curve = (255 * (page / page.max()) ** 0.7).round().astype(np.uint8)
    part = to_bytes(page)
    part[3:8] = np.random.default_rng(1).integers(20, 200, (5, 220))  # between the places of the sample
    assert np.array_equal(sample(part).values, sample(to_bytes(page)).values)
    bar = to_bytes(page)
    bar[160:165, 100:180] = 255
    assert found([page], [curve, part, bar]) == {2: 0}
