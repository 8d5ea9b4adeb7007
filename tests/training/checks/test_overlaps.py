"""Pages that overlap are known by their pixels, wherever they were cut; no others are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unet2015.images.array_image import ArrayImage
from unet2015.training.checks.landmarks import LandmarkFinder, places_of_each
from unet2015.training.checks.overlaps import covered, overlaps

SIDES = st.integers(32, 200)


def marks(page, rows=50, wanted=4096):
    channels = page if page.ndim == 3 else page[None]
    finder = LandmarkFinder(*channels.shape[1:], wanted)
    for top in range(0, channels.shape[1], rows):
        finder.update(channels[:, top : top + rows])
    return finder.found()


def found(trained, held_out):
    """The overlaps of the pages held out, by their numbers among themselves."""
    pages = [*trained, *held_out]
    sites = [(ArrayImage(page, axes="CYX" if page.ndim == 3 else "YX"), 0) for page in pages]
    training, rest = range(len(trained)), range(len(trained), len(pages))
    result = overlaps([marks(page) for page in pages], sites, training, rest)
    return {page - len(trained): parts for page, parts in result.items()}


def place(part):
    return part.other, part.top, part.bottom, part.left, part.end


@settings(max_examples=60, deadline=None)
@given(
    st.data(),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["u1", ">u2", "i2", "f4", "f8"]),
    st.sampled_from([1, 2]),
)
def test_crops_that_overlap_are_found_with_the_right_part_and_others_are_not(data, seed, dtype, channels):
    random = np.random.default_rng(seed)
    image = random.normal(100, 9, (channels, 300, 320)).astype(dtype)
    corners = []
    for _ in range(2):
        height, width = data.draw(SIDES), data.draw(SIDES)
        top, left = data.draw(st.integers(0, 300 - height)), data.draw(st.integers(0, 320 - width))
        corners.append((top, top + height, left, left + width))
    one, other = (image[:, top:bottom, left:end] for top, bottom, left, end in corners)
    (top, bottom, left, end), (their_top, their_bottom, their_left, their_end) = corners
    part = (
        0,
        max(top, their_top) - their_top,
        min(bottom, their_bottom) - their_top,
        max(left, their_left) - their_left,
        min(end, their_end) - their_left,
    )
    sides = part[2] - part[1], part[4] - part[3]
    said = [place(each) for each in found([one], [other]).get(0, [])]
    assert said in ([], [part])
    if min(sides) < 32:
        assert said == []
    elif min(sides) >= 40:
        assert said == [part]
    stranger = random.normal(100, 9, image.shape).astype(dtype)
    assert found([stranger], [one, other]) == {}


@pytest.mark.parametrize(("drawn", "expected"), [(0.02, True), (0.05, False)])
def test_a_copy_with_something_drawn_on_it_is_found(drawn, expected):
    """Such as a scale bar or the time; of frames of a compressed film more differs, see below."""
    page = np.random.default_rng(0).normal(900, 40, (1, 300, 400)).astype(np.uint16)
    stamped = page.copy()
    stamped[:, -round(300 * drawn) :] = 4095
    assert [place(each) for each in found([page], [stamped]).get(0, [])] == [(0, 0, 300, 0, 400)] * expected


def test_a_small_crop_of_a_large_page_is_found_and_a_page_of_which_many_have_parts_is_covered():
    image = np.random.default_rng(0).normal(900, 40, (2100, 2000)).astype(np.uint16)
    ((part,),) = found([image], [image[1000:1200, 700:900]]).values()
    assert place(part) == (0, 0, 200, 0, 200)
    crops = [image[top : top + 256, left : left + 256] for top in (0, 128, 256) for left in (0, 128, 256)]
    middle = crops.pop(4)
    parts = found(crops, [middle])[0]
    assert covered(parts, *middle.shape) == 1
    assert len(parts) < 5


def test_rims_that_many_neighbours_share_add_up():
    image = np.random.default_rng(0).normal(100, 9, (1500, 1500)).astype(np.uint8)
    rims = {}
    for step in (494, 480):
        sides = [slice(start, start + 512) for start in (0, step, 2 * step)]
        crops = [image[rows, columns] for rows in sides for columns in sides]
        middle = crops.pop(4)
        rims[step] = found(crops, [middle]).get(0, [])
    assert rims[494] == [], "18 px are too few"
    assert covered(rims[480], 512, 512) == pytest.approx(1 - (448 / 512) ** 2)


def test_what_is_covered_counts_once():
    image = np.random.default_rng(0).normal(100, 9, (200, 300)).astype(np.uint8)
    trained = [image[:, :150], image[:, 40:160], image[:120, 140:]]
    parts = found(trained, [image[:, 100:200]])[0]
    assert covered(parts, 200, 100) == pytest.approx((60 * 200 + 40 * 120) / 20000)


def test_a_scale_bar_or_filled_edges_hide_nothing():
    image = np.random.default_rng(0).normal(100, 9, (256, 400)).astype(np.uint8)
    one, other = image[:, :256].copy(), image[:, 128:384].copy()
    one[230:236, 150:240] = 255
    other[:, 250:] = 0
    ((part,),) = found([one], [other]).values()
    assert place(part) == (0, 0, 256, 0, 128)


def disks(random, size=256):
    """A picture without noise: the same disk at other places, smooth at its edge."""
    rows, columns = np.mgrid[:size, :size]
    page = np.full((size, size), 20.0)
    for y, x in random.integers(10, size - 10, (14, 2)):
        page = np.maximum(page, 20 + 200 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 90.0))
    return page.astype(np.uint8)


def still(random, size=256):
    """A film of what does not move, with the noise of a camera."""
    scene = random.normal(100, 30, (size, size))
    return [(scene + random.normal(0, 1, scene.shape)).clip(0, 255).astype(np.uint8) for _ in range(6)]


def repeated(random, size=256):
    """Films as they are compressed: what does not move is the same, to the last bit."""
    scene = random.normal(100, 30, (size, size)).clip(0, 255).astype(np.uint8)
    frames = [scene.copy() for _ in range(6)]
    for number, frame in enumerate(frames):
        frame[20 * number : 20 * number + 60, 30:90] = 255 - number
    return frames


@pytest.mark.parametrize(
    "pages",
    [
        lambda random: [disks(random) for _ in range(8)],
        still,
        repeated,
        lambda random: [np.full((256, 256), 7, np.uint8)] * 2 + [np.zeros((300, 256), np.uint8)] * 2,
        lambda random: [np.tile(np.arange(128, dtype=np.uint8), (256, 2 + n)) for n in range(4)],
        lambda random: [(np.indices((256, 256 + n)).sum(axis=0) % 251).astype(np.uint8) for n in range(4)],
        lambda random: [
            np.tile(random.integers(0, 255, (16, 16), np.uint8), (16, 16))[n:, n:] for n in range(0, 12, 3)
        ],
        lambda random: [np.where(random.random((256, 256)) < 0.01, 255, 0).astype(np.uint8)] * 4,
        lambda random: [(random.random((256, 256)) < 0.5).astype(np.uint8)[n:] for n in range(4)],
    ],
    ids=["disks", "still", "compressed", "blank", "ramps", "slopes", "periodic", "sparse", "two levels"],
)
def test_pictures_that_are_alike_but_not_cut_from_one_image_are_not_said(pages):
    pages = pages(np.random.default_rng(0))
    assert found(pages[::2], pages[1::2]) == {}


def test_landmarks_do_not_depend_on_bands_or_on_how_numbers_are_stored():
    page = np.random.default_rng(0).normal(100, 9, (90, 120)).astype(np.uint8)
    for other in (marks(page, 1), marks(page, 7), marks(page.astype(">u2"))):
        assert np.array_equal(other.keys, marks(page).keys)
        assert np.array_equal(other.places, marks(page).places)
    assert len(marks(page[:, :16]).keys) == len(marks(page * 0).keys) == 0
    assert len(marks(page).keys) > 100


def test_a_large_page_has_few_landmarks_and_a_slope_is_no_load():
    noise = np.random.default_rng(0).normal(100, 9, (2048, 2048)).astype(np.uint8)
    assert 3000 < len(marks(noise).keys) < 5000
    slope = np.indices((512, 512)).sum(axis=0).astype(np.uint16)
    assert len(marks(slope).keys) < 1024
    twice = np.concatenate([noise[:512, :512], noise[:512, :512]])
    assert len(marks(twice).keys) == 0, "what is there twice tells no place"


def test_pages_of_a_large_set_have_fewer_places_which_are_among_the_others():
    image = np.random.default_rng(0).normal(100, 9, (512, 512)).astype(np.uint8)
    few, many = (marks(image, wanted=places_of_each(pages)) for pages in (10**5, 10))
    assert 200 < len(few.keys) < 300 < 3500 < len(many.keys)
    assert set(few.keys) <= set(many.keys)
    assert [places_of_each(pages) * pages <= 2**22 for pages in (1024, 2000, 16384)] == [True] * 3
    assert places_of_each(10**9) == 256


def test_the_least_that_two_usual_pages_share_is_found():
    image = np.random.default_rng(0).normal(100, 9, (984, 984)).astype(np.uint8)
    ((part,),) = found([image[:512, :512]], [image[472:, 472:]]).values()
    assert place(part) == (0, 0, 40, 0, 40)
