"""Objects in several pieces, found strip by strip as on the whole page."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from unet2015.images.array_image import ArrayImage
from unet2015.metrics.several_pieces import describe_pieces, several_pieces
from unet2015.objects import stored_labels
from unet2015.objects.files import measure_labels
from unet2015.objects.pieces import Pieces
from unet2015.objects.scattered import Scattered
from unet2015.objects.stored_labels import StoredLabels


def found(labels, rows):
    pieces = Pieces(labels.shape[1])
    for top in range(0, len(labels), rows):
        pieces.add(labels[top : top + rows])
    return pieces.several()


@settings(max_examples=300, deadline=None)
@given(
    arrays.arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)),
    st.integers(1, 9),
)
def test_they_are_those_of_the_whole_page(labels, rows):
    assert found(labels, rows) == several_pieces(labels)


def test_a_ring_that_closes_in_the_last_strip_is_one_piece():
    labels = np.zeros((9, 9), np.uint32)
    labels[1:8, 1] = labels[1:8, 7] = labels[7, 1:8] = 4_000_000_000
    assert found(labels, 2) == []
    labels[7, 4] = 0
    assert found(labels, 2) == [4_000_000_000]


def test_the_ends_of_rows_do_not_touch():
    labels = np.array([[0, 0, 5], [5, 0, 0], [0, 0, 0]], np.uint8)
    assert found(labels, 3) == found(labels, 1) == [5]
    assert found(np.zeros((3, 4), np.uint8), 2) == []
    assert Pieces(3).several() == []


class Watched(ArrayImage):
    """An image that counts the rows that are read of it."""

    rows = 0

    def read(self, page, y0, y1, x0, x1):
        self.rows += y1 - y0
        return super().read(page, y0, y1, x0, x1)


def test_they_are_found_in_the_pass_that_measures_by_the_numbers_of_the_file(monkeypatch):
    monkeypatch.setattr(stored_labels, "strip_rows", lambda *_: 4)
    pages = np.zeros((3, 30, 20), np.uint32)
    pages[0, 2:9, 2:5] = pages[0, 15:20, 2:5] = 4_000_000_000
    pages[0, 2:20, 8:12] = 70_000
    pages[2, 1:3, 1:3], pages[2, 20:25, 1:3] = 9, 12
    pages[2, 5:7, 15], pages[2, 28, 15] = 9, 12
    image = Watched(pages, "ZYX")
    labels = Scattered(StoredLabels(image))
    tables = measure_labels(labels, image)
    assert image.rows == 2 * pages.shape[0] * pages.shape[1]  # for the numbers, and to measure
    whole = [(f"page {page}", several_pieces(one)) for page, one in enumerate(pages)]
    assert whole == [("page 0", [4_000_000_000]), ("page 1", []), ("page 2", [9, 12])]
    assert labels.describe(tables) == describe_pieces(whole, 4)
    assert image.rows == 2 * pages.shape[0] * pages.shape[1]


def test_of_one_page_no_place_is_named_and_without_pieces_nothing_is_said():
    page = np.eye(9, dtype=np.uint16)
    image = ArrayImage(page, "YX")
    labels = Scattered(StoredLabels(image))
    assert labels.describe(measure_labels(labels, image)) is None
    page[0, 5] = 1
    labels = Scattered(StoredLabels(image))
    assert "are in several pieces, each of which counts as one: 1; see" in labels.describe(
        measure_labels(labels, image)
    )
