import imagecodecs
import numpy as np
import pytest

from unet2015.errors import DataSetError, UsageError
from unet2015.report.overlays import overlay_classes, overlay_em, overlay_instances

pytest.importorskip("matplotlib")
ORANGE, BLUE = (255, 149, 0), (0, 200, 255)


def has(png, colour, tolerance=40):
    picture = imagecodecs.png_decode(png)[..., :3].astype(int)
    return int((np.abs(picture - colour).max(axis=-1) <= tolerance).sum())


@pytest.fixture
def cells():
    """Two cells with a membrane between them, and the image of nothing."""
    truth = np.ones((60, 80), np.uint8)
    truth[:, 40] = truth[0] = truth[-1] = truth[:, 0] = truth[:, -1] = 0
    return np.full(truth.shape, 128, np.uint8), truth


def splits(truth):
    found = truth.copy()
    found[30, 1:40] = 0
    return found


def merges(truth):
    found = truth.copy()
    found[28:32, 40] = 1
    return found


# The keys beneath the picture hold a patch of either colour, of this size.
KEY = 600


@pytest.mark.parametrize(("change", "split", "merged"), [(splits, True, False), (merges, False, True)])
def test_splits_are_orange_and_mergers_are_blue(cells, change, split, merged):
    pytest.importorskip("numba")
    image, truth = cells
    right = overlay_em(image, truth, truth, 0.5)
    wrong = overlay_em(image, truth, change(truth), 0.5)
    assert (has(wrong, ORANGE) > has(right, ORANGE) + KEY) == split
    assert (has(wrong, BLUE) > has(right, BLUE) + KEY) == merged


def test_errors_outside_the_window_are_not_shown_but_still_found(cells):
    pytest.importorskip("numba")
    image, truth = cells
    near = overlay_em(image, truth, merges(truth), 0.5, (slice(10, 50), slice(20, 60)))
    far = overlay_em(image, truth, merges(truth), 0.5, (slice(0, 15), slice(20, 60)))
    assert has(near, BLUE) > has(far, BLUE) + KEY
    with pytest.raises(UsageError, match="shows nothing"):
        overlay_em(image, truth, truth, 0.5, (slice(60, 70), slice(0, 5)))


def test_a_probability_is_cut_at_the_threshold(cells):
    pytest.importorskip("numba")
    image, truth = cells
    probability = np.where(merges(truth) > truth, 0.4, truth).astype(np.float32)
    assert has(overlay_em(image, truth, probability, 0.3), BLUE) > KEY + has(
        overlay_em(image, truth, probability, 0.5), BLUE
    )


COLOURS = {
    "matched": (86, 180, 233),
    "missed": (255, 90, 31),
    "split": (240, 228, 66),
    "merged": (255, 127, 212),
}


@pytest.mark.parametrize("fate", COLOURS)
def test_objects_are_outlined_by_what_became_of_them(fate):
    truth = np.zeros((60, 90), np.uint16)
    truth[10:50, 10:40], truth[10:50, 50:80] = 1, 2
    result = truth.copy()
    if fate == "missed":
        result[truth == 1] = 0
    elif fate == "split":
        result[30, :45] = 0
        result[31:, :45][result[31:, :45] > 0] = 3
    elif fate == "merged":
        result[20, 10:80] = result[truth > 0] = 7
    png = overlay_instances(np.full(truth.shape, 30, np.uint8), truth, result)
    present = {name for name, colour in COLOURS.items() if has(png, colour, 25) > 200}
    assert present == {"merged"} if fate == "merged" else present == {fate, "matched"}


def test_wrong_classes_are_marked_and_what_is_not_annotated_is_not():
    truth = np.zeros((40, 40), np.uint8)
    truth[5:20, 5:20] = 2
    image = np.zeros((40, 40), np.uint16)
    wrong = has(overlay_classes(image, truth, np.zeros_like(truth)), (204, 72, 25), 30)
    truth[truth == 2] = 255
    assert wrong > 10 * has(overlay_classes(image, truth, np.zeros_like(truth)), (204, 72, 25), 30)


@pytest.mark.parametrize("draw", [overlay_instances, overlay_classes])
def test_shapes_must_agree(draw):
    with pytest.raises(DataSetError, match=r"one size.*\(4, 5\).*\(5, 4\)"):
        draw(np.zeros((4, 5)), np.zeros((4, 5), int), np.zeros((5, 4), int))
