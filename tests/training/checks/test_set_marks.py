"""What may not be annotated is asked about by all label files of a set."""

import numpy as np
import pytest
import tifffile

from unet2015.settings import TrainingSettings
from unet2015.training.checks.training_set import inspect_set
from unet2015.training.pairing import pair_images

RANDOM = np.random.default_rng(0)
CELLS = np.zeros((80, 100), np.uint16)
for number in range(12):
    y, x = 20 * (number // 5) + 4, 20 * (number % 5) + 4
    CELLS[y : y + 8, x : x + 8] = number + 1
HALF = np.zeros_like(CELLS)
HALF[:40] = 1


@pytest.fixture
def said(tmp_path):
    """Return what is said of --ignore in such labels."""

    def look(kind, labels, **settings):
        for folder, arrays in (("i", RANDOM.integers(0, 200, (len(labels), 80, 100))), ("l", labels)):
            (tmp_path / folder).mkdir(exist_ok=True)
            for number, array in enumerate(arrays):
                tifffile.imwrite(tmp_path / folder / f"t{number}.tif", array.astype(np.uint16))
        pairs = pair_images([tmp_path / "i"], [tmp_path / "l"])
        coding = {"labels": {"kind": kind, **settings}}
        found = inspect_set(pairs, TrainingSettings.model_validate(coding)).problems
        return [str(one) for one in found if "give --ignore" in one.message]

    return look


@pytest.mark.parametrize("mark", [255, 65535, 7000])
@pytest.mark.parametrize("whole", [False, True])
def test_a_page_with_a_mark_alone_is_asked_about_by_the_cells_of_other_files(said, tmp_path, mark, whole):
    page = np.full_like(CELLS, mark) if whole else mark * HALF
    labels = [CELLS, np.roll(CELLS, 3, 1), page]
    (text,) = said("instances", labels)
    assert text.startswith(f"{tmp_path / 'l' / 't2.tif'}: ")
    pixels = np.count_nonzero(page)
    assert f"{pixels} pixels have the number {mark}, as many as {pixels / 64:.0f} cells" in text
    assert f"give --ignore {mark}, else they are learned as one cell" in text
    assert said("instances", labels, ignore=mark) == []
    assert len(said("instances", [CELLS, np.where(HALF > 0, mark, CELLS), 0 * CELLS])) == 1


def test_one_cell_of_number_255_is_not_asked_about(said):
    assert said("instances", [CELLS, np.roll(CELLS, 3, 1), 255 * (CELLS == 4)]) == []


def test_a_mask_of_255_beside_masks_of_1_is_asked_about(said, tmp_path):
    masks = [CELLS > 0, np.roll(CELLS > 0, 3, 1)]
    (text,) = said("mask", [*masks, 255 * HALF])
    assert text.startswith(f"{tmp_path / 'l' / 't2.tif'}: holds 0, 255, but other files 1, all read as cells")
    assert "if 255 marks what nobody annotated, give --ignore 255" in text
    assert said("mask", [*masks, 255 * HALF], ignore=255) == []
    assert said("mask", [255 * mask for mask in [*masks, HALF]]) == []
    assert len(said("mask", [*masks, np.where(HALF > 0, 255, masks[0])])) == 1
