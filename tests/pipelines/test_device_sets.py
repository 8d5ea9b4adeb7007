"""Sets packed into one file: what is trained on and what is measured, never the same pages or times."""

import numpy as np
import pytest
import tifffile

from pipelines.cells.frames import IGNORE
from pipelines.device_sets import main
from pipelines.on_device import sets
from pipelines.on_device.sets import find_split, load, training_pages
from unet2015.errors import DataSetError
from unet2015.settings import load_settings

CELL = np.zeros((20, 24), np.uint16)
CELL[4:10, 4:10], CELL[12:18, 14:20] = 1, 2


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in files.items():
        tifffile.imwrite(folder / f"{name}.tif", page, photometric="minisblack")


def cells(root, name, sequence, gold, silver, frames=12):
    """Write a sequence whose frame k has pixels of value k; the first gold frame lacks a cell."""
    folder = root / "ctc" / name
    write(folder / sequence, **{f"t{k:03d}": np.full(CELL.shape, k, np.uint8) for k in range(frames)})
    seg = {f"man_seg{k:03d}": CELL for k in gold}
    seg[f"man_seg{gold[0]:03d}"] = np.where(CELL == 1, CELL, 0)
    write(folder / f"{sequence}_GT/SEG", **seg)
    write(folder / f"{sequence}_GT/TRA", **{f"man_track{k:03d}": CELL for k in range(frames)})
    write(folder / f"{sequence}_ST/SEG", **{f"man_seg{k:03d}": CELL for k in silver})


@pytest.fixture
def packed(tmp_path):
    root = tmp_path / "data"
    volume = np.arange(30, dtype=np.uint8)[:, None, None] + np.zeros((30, 8, 9), np.uint8)
    labels = np.where(np.arange(9) < 4, 255, 0).astype(np.uint8) + np.zeros((30, 8, 1), np.uint8)
    write(root / "isbi2012", **{"train-volume": volume, "train-labels": labels})
    for sequence in ("01", "02"):
        cells(root, "DIC-C2DH-HeLa", sequence, [2, 5, 7], range(12))
    cells(root, "PhC-C2DH-U373", "01", [1, 4, 6, 8, 10], range(12))
    assert main(["--data", str(root), "--to", str(tmp_path / "sets.npz")]) == 0
    return load(tmp_path / "sets.npz")


def test_what_is_packed(packed):
    assert packed["em/images"].shape == packed["em/labels"].shape == (30, 8, 9)
    np.testing.assert_array_equal(packed["DIC-C2DH-HeLa/01/frames"], [2, 5, 7])
    np.testing.assert_array_equal(packed["DIC-C2DH-HeLa/01/images"][:, 0, 0], [2, 5, 7])
    np.testing.assert_array_equal(packed["DIC-C2DH-HeLa/01/truth"][1], CELL)
    labels = packed["DIC-C2DH-HeLa/01/labels"]
    assert (labels[0, 12:18, 14:20] == IGNORE).all()  # a cell that has a marker and no gold truth
    assert (labels[1] != IGNORE).all()
    # Every third of the silver frames without gold, of a sequence that is wholly measured elsewhere.
    np.testing.assert_array_equal(packed["DIC-C2DH-HeLa/01/silver-images"][:, 0, 0], [0, 4, 9])
    assert "PhC-C2DH-U373/02/images" not in packed


def test_silver_pages_are_never_from_the_measured_time(packed):
    split = find_split(packed, "phc-01")
    frames = packed["PhC-C2DH-U373/01/frames"]
    trained, measured = frames[split.train[1]], frames[split.test[1]]
    assert list(trained) == [1, 4, 6]
    assert list(measured) == [8, 10]
    silver = packed["PhC-C2DH-U373/01/silver-images"][:, 0, 0]
    np.testing.assert_array_equal(silver, [0, 5])  # of 0, 2, 3, 5
    assert silver.max() < measured.min()
    for name in ("dic-01", "dic-02"):
        split = find_split(packed, name)
        assert split.train[0] != split.test[0]  # the silver pages are of the one that is trained on


@pytest.mark.parametrize("fold", range(5))
def test_a_fold_is_held_out(packed, fold):
    split = find_split(packed, f"em-{fold}")
    assert split.kind == "em"
    assert split.test == ("em", list(range(6 * fold, 6 * fold + 6)))
    assert sorted(split.train[1] + split.test[1]) == list(range(30))


def test_the_other_splits(packed):
    assert find_split(packed, "em-all").train == ("em", list(range(30)))
    assert find_split(packed, "em-all").test == ("em", [])
    split = find_split(packed, "dic-02")
    assert split.train == ("DIC-C2DH-HeLa/02", [0, 1, 2])
    assert split.test == ("DIC-C2DH-HeLa/01", [0, 1, 2])


@pytest.mark.parametrize("name", ["em-5", "em-", "em", "dic-03", "fluo-01", "", "EM-0"])
def test_a_split_that_does_not_exist_is_refused(packed, name):
    with pytest.raises(DataSetError, match="no such split; there are em-0 to em-4, em-all, and dic-01"):
        find_split(packed, name)


def test_what_a_split_lacks_is_named(packed):
    with pytest.raises(DataSetError, match="lacks PhC-C2DH-U373/02/images"):
        find_split(packed, "phc-02")
    few = packed | {"em/labels": packed["em/labels"][:20]}
    with pytest.raises(DataSetError, match="expected 30 slices in em/labels, got 20"):
        find_split(few, "em-0")
    one = {key: value[:1] for key, value in packed.items() if key.startswith("PhC")}
    with pytest.raises(DataSetError, match="expected 2 gold frames or more in PhC-C2DH-U373/01; got 1"):
        find_split(one, "phc-01")


def test_pages_are_classes_weights_and_mapped_images(packed):
    base = {"labels": sets.label_settings("dic"), "weight_map": {"class_weights": [1.0, 1.0]}}
    settings, split = load_settings(None, base), find_split(packed, "dic-01")
    pages = training_pages(packed, split, settings)
    assert (pages.images.shape, pages.images.dtype) == ((3, 1, 20, 24), np.float32)
    np.testing.assert_allclose(pages.images.mean(), 0, atol=1e-6)
    assert abs(pages.images.std() - 1) < 1e-5
    assert (pages.classes[0, 12:18, 14:20] == 255).all()
    assert (pages.weights[pages.classes == 255] == 0).all()
    assert set(np.unique(pages.classes[1])) <= {0, 1, 255}
    more = training_pages(packed, split, settings, silver=True)
    assert len(more.images) == 3 + 3
    np.testing.assert_array_equal(more.classes[:3], pages.classes)
    images, truth = sets.test_pages(packed, split, settings)
    assert images.shape == (3, 1, 20, 24)
    np.testing.assert_array_equal(truth, packed["DIC-C2DH-HeLa/02/truth"])


def test_a_folder_without_sets_is_refused(tmp_path, capsys):
    assert main(["--data", str(tmp_path), "--to", str(tmp_path / "sets.npz")]) == 1
    assert "expected isbi2012/train-volume.tif or ctc/DIC-C2DH-HeLa, found neither" in capsys.readouterr().err
    write(tmp_path, **{"train-volume": np.zeros((30, 4, 4), np.uint8)})
    assert main(["--data", str(tmp_path), "--to", str(tmp_path / "sets.npz")]) == 1
    assert "train-labels.tif" in capsys.readouterr().err
    assert not (tmp_path / "sets.npz").exists()
