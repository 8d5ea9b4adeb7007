"""Label files that are the same though their images are not are said."""

import numpy as np
import pytest
import tifffile

from unet2015.settings import TrainingSettings
from unet2015.training.checks.training_set import inspect_set
from unet2015.training.pairing import pair_images

RANDOM = np.random.default_rng(0)
ROWS, COLUMNS = np.mgrid[:80, :90]
SLANTED = COLUMNS + ROWS // 3
CELLS = ((ROWS - 20) ** 2 + (SLANTED - 40) ** 2 < 200) + 2 * ((ROWS - 60) ** 2 + (SLANTED - 70) ** 2 < 350)
CELLS = CELLS.astype(np.uint8)
SCENES = RANDOM.integers(0, 200, (3, 80, 90)).astype(np.uint8)
SQUARE = np.zeros_like(CELLS)
SQUARE[20:60, 10:80] = 1


@pytest.fixture
def said(tmp_path):
    """Return what is said of such images with such labels."""

    def look(images, labels):
        for folder, arrays in (("i", images), ("l", labels)):
            (tmp_path / folder).mkdir(exist_ok=True)
            for number, array in enumerate(arrays):
                tifffile.imwrite(tmp_path / folder / f"t{number}.tif", array, photometric="minisblack")
        pairs = pair_images([tmp_path / "i"], [tmp_path / "l"])
        found = inspect_set(
            pairs, TrainingSettings.model_validate({"labels": {"kind": "instances"}})
        ).problems
        return [one.message for one in found if "pixel by pixel" in one.message]

    return look


def test_labels_of_other_images_that_are_the_same_are_said(said, tmp_path):
    (message,) = said(SCENES, [CELLS, np.fliplr(CELLS), CELLS])
    assert f"{tmp_path / 'l' / 't0.tif'} and {tmp_path / 'l' / 't2.tif'}; was one copied" in message
    (message,) = said([np.stack([SCENES[0]] * 2), np.stack(SCENES[:2])], [np.stack([CELLS, CELLS + 1])] * 2)
    assert "t0.tif and" in message, "the second pages differ"


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (SCENES, [CELLS, np.fliplr(CELLS), np.flipud(CELLS)]),
        (SCENES, [np.zeros_like(CELLS), CELLS, np.zeros_like(CELLS)]),
        (SCENES, [SQUARE, SQUARE, SQUARE]),
        ([SCENES[0], SCENES[0]], [CELLS, CELLS]),
        ([SCENES[0], np.fliplr(SCENES[0])], [CELLS, CELLS]),
        ([SCENES[0], SCENES[0] // 2 + 9], [CELLS, CELLS]),
        ([SCENES[0], 200 - SCENES[0]], [CELLS, CELLS]),
        ([SCENES[0], SCENES[0] + RANDOM.integers(0, 50, (80, 90)).astype(np.uint8)], [CELLS, CELLS]),
        ([SCENES[0], np.full_like(SCENES[0], 7)], [CELLS, CELLS]),
    ],
)
def test_other_labels_simple_ones_and_images_of_one_place_are_no_news(said, images, labels):
    assert said(images, labels) == []
