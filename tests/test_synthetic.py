import numpy as np
import pytest
from scipy import ndimage

from unet2015.errors import UsageError
from unet2015.synthetic import em_page, em_stack


def test_the_same_seed_gives_the_same_stack():
    first, second = em_stack(2, 70, 90, 5), em_stack(2, 70, 90, 5)
    for a, b in zip(first, second, strict=True):
        assert a.dtype == b.dtype == np.uint8
        assert a.shape == (2, 70, 90)
        np.testing.assert_array_equal(a, b)


def test_the_seed_means_the_same_everywhere():
    # What version 0.1.0 drew; another machine may round a pixel differently, no more.
    images, labels = em_stack(1, 256, 256, 2015)
    assert images.mean() == pytest.approx(141.5453, abs=0.01)
    assert (labels == 0).mean() == pytest.approx(0.25879, abs=0.001)


def test_a_page_does_not_depend_on_the_number_of_pages():
    np.testing.assert_array_equal(em_stack(3, 60, 50, 1)[0][:2], em_stack(2, 60, 50, 1)[0])


def test_seeds_and_pages_differ():
    (one, two), labels = em_stack(2, 128, 128, 0)
    (other,), other_labels = em_stack(1, 128, 128, 1)
    for a, b in ((one, two), (one, other), (labels[0], labels[1]), (labels[0], other_labels[0])):
        # Unrelated pages correlate little; a shifted or noisier copy would correlate much.
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.25


@pytest.mark.parametrize("seed", range(4))
def test_touching_cells_have_membrane_between_them(seed):
    _, cells = em_page(150, 170, seed)
    for a, b in ((cells[1:], cells[:-1]), (cells[:, 1:], cells[:, :-1])):
        assert not ((a != b) & (a > 0) & (b > 0)).any()
    assert np.unique(cells).size > 10


def test_labels_are_the_cells_of_the_page():
    _, labels = em_stack(2, 80, 80, 3)
    _, cells = em_page(80, 80, 3, page=1)
    np.testing.assert_array_equal(labels[1], np.where(cells > 0, 255, 0))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_membranes_are_thin_and_dark_but_not_all_that_is_dark(seed):
    images, labels = em_stack(2, 384, 384, seed)
    membrane = labels == 0
    assert 0.15 < membrane.mean() < 0.3
    inside, outside = images[~membrane].astype(float), images[membrane].astype(float)
    assert inside.mean() - outside.mean() > 1.5 * inside.std()
    # Organelles: inside cells, well away from membranes, there is darkness that a threshold would take.
    deep = np.stack([ndimage.distance_transform_edt(page) > 7 for page in ~membrane])
    dark = ndimage.uniform_filter(images, (0, 3, 3)) < np.median(outside) + 15
    assert (dark & deep).sum() > 0.003 * deep.sum()
    # Thin: hardly any membrane is more than 5 px from a cell.
    depth = np.stack([ndimage.distance_transform_edt(page) for page in membrane])
    assert (depth > 5).sum() < 0.02 * membrane.sum()


def test_cells_are_of_very_different_sizes():
    _, cells = em_page(512, 512, 0)
    low, high = np.percentile(np.bincount(cells.ravel())[1:], [25, 95])
    assert high > 8 * low


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 37), (23, 1), (2, 3), (97, 15), (161, 64)])
def test_any_size(height, width):
    images, labels = em_stack(1, height, width, 7)
    assert images.shape == labels.shape == (1, height, width)
    assert set(np.unique(labels)) <= {0, 255}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((0, 5, 5, 0), "1 or more pages"), ((1, 0, 5, 0), "0 x 5"), ((1, 5, 5, -1), "0 or more, not -1")],
)
def test_what_cannot_be_drawn_is_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        em_stack(*arguments)
