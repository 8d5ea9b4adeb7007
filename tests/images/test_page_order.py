"""Pages that go together by number, and those that do not."""

import numpy as np
import pytest

from unet2015.images.image import ArrayImage
from unet2015.images.page_order import other_order


def image(axes, *sizes):
    return ArrayImage(np.zeros((*sizes, 4, 5), np.uint8), axes, name=axes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (image("TZYX", 2, 3), image("TZYX", 2, 3)),
        (image("TYX", 6), image("ZYX", 6)),
        (image("IYX", 6), image("TZYX", 2, 3)),
        (image("TZYX", 6, 1), image("ZTYX", 1, 6)),
        (image("YX"), image("IYX", 1)),
    ],
)
def test_these_go_together(one, other):
    assert other_order(one, other) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [(image("TZYX", 2, 3), image("ZTYX", 3, 2)), (image("TZYX", 2, 3), image("TZYX", 3, 2))],
)
def test_these_do_not(one, other):
    assert "its pages are" in other_order(one, other)
