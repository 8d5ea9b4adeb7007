"""Pages that go together by number, and those that do not."""

import numpy as np
import pytest

from unet2015.images.array_image import ArrayImage
from unet2015.images.page_order import other_names, other_order, other_way


def image(axes, *sizes):
    return ArrayImage(np.zeros((*sizes, 4, 5), np.uint8), axes, name=axes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (image("TZYX", 2, 3), image("TZYX", 2, 3)),
        (image("IYX", 6), image("ZYX", 6)),
        (image("IYX", 6), image("TZYX", 2, 3)),
        (image("TIYX", 2, 3), image("TZYX", 2, 3)),
        (image("TZYX", 6, 1), image("ZTYX", 1, 6)),
        (image("YX"), image("IYX", 1)),
        (image("ZCYX", 2, 3), image("ZYX", 2)),
    ],
)
def test_these_go_together(one, other):
    assert other_order(one, other) is None
    assert other_names(one, other) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (image("TZYX", 2, 3), image("ZTYX", 3, 2)),
        (image("TZYX", 2, 3), image("TZYX", 3, 2)),
        (image("ZYX", 6), image("TZYX", 2, 3)),
        (image("ZIYX", 2, 3), image("TZYX", 2, 3)),
        (image("ZIYX", 3, 2), image("IZYX", 2, 3)),
    ],
)
def test_these_do_not(one, other):
    assert "its pages are" in other_order(one, other)
    assert "its pages are" in other_order(other, one)


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (image("TYX", 6), image("ZYX", 6), "its pages are Z 6, those of TYX T 6; "),
        (image("TZYX", 2, 3), image("IYX", 6), None),
        (image("TIYX", 2, 3), image("ZIYX", 2, 3), "its pages are Z 2 x I 3, those of TIYX T 2 x I 3; "),
    ],
)
def test_axes_that_mean_different_things_are_noted(one, other, said):
    assert other_order(one, other) is None
    found = other_names(one, other)
    assert found is None if said is None else found.startswith(said)


def test_pages_of_some_kind_of_a_stack_of_times_are_noted():
    """ImageJ and most programs count slices first; who saved this stack flat may have counted either way."""
    flat, unusual = image("IYX", 6), image("ZTYX", 3, 2)
    said = "are taken to go together by their number, where the T of one changes first: see that they do"
    for one, other in ((flat, unusual), (unusual, flat)):
        assert other_order(one, other) is None
        assert other_names(one, other).endswith(said)
    assert other_names(flat, image("TZYX", 2, 3)) is None
    assert other_names(flat, image("ZTYX", 6, 1)) is None
    assert other_names(image("IYX", 1), image("ZTYX", 1, 1)) is None


def test_pages_of_some_kind_in_the_other_order_of_two_axes():
    pages = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 5), np.uint8)
    named = ArrayImage(pages.reshape(2, 3, 4, 5), "TZYX")
    flat = ArrayImage(pages.reshape(2, 3, 4, 5).swapaxes(0, 1).reshape(6, 4, 5), "IYX")
    for one, other in ((named, flat), (flat, named)):
        found = other_way(one, other)
        for page in range(6):
            assert np.array_equal(one.read(page, 0, 4, 0, 5), other.read(int(found[page]), 0, 4, 0, 5))
    for one, other in (
        (named, named),
        (flat, flat),
        (named, image("TIYX", 2, 3)),
        (flat, image("TIYX", 2, 3)),
    ):
        assert other_way(one, other) is None
    assert other_way(image("ZYX", 6), image("IYX", 6)) is None
