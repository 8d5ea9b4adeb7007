"""Folders with images that are not searched are named, but those that lie there for another reason."""

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile

from unet2015.images import folders_below
from unet2015.images.folders_below import not_searched
from unet2015.images.reader import find_images


def write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, np.zeros((4, 5), np.uint8), photometric="minisblack")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if "not searched" in one.getMessage()]


@pytest.mark.parametrize("pattern", ["", "*"])
def test_folders_with_images_beside_an_image_are_named(tmp_path, caplog, pattern):
    caplog.set_level(logging.INFO, "unet2015")
    write(tmp_path / "test.tif", tmp_path / "day10" / "a.tif", tmp_path / "day2" / "a.tif")
    write(tmp_path / "old" / "more" / "a.png")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("nothing")
    assert find_images([tmp_path / pattern]) == [tmp_path / "test.tif"]
    (line,) = said(caplog)
    folders = [str(tmp_path / name) for name in ("day2", "day10", "old")]
    assert line.startswith(
        f"{tmp_path / pattern}: folders with images are not searched: {', '.join(folders)};"
    )


def test_folders_that_are_given_or_searched_are_not_named(tmp_path, caplog):
    caplog.set_level(logging.INFO, "unet2015")
    write(tmp_path / "a.tif", tmp_path / "more" / "b.tif", tmp_path / "more" / "last" / "c.tif")
    find_images([tmp_path, tmp_path / "more", tmp_path / "more" / "last"])
    find_images([tmp_path, tmp_path / "more" / "last" / "c.tif", tmp_path / "more"])
    find_images([tmp_path / "**" / "*"])
    find_images([tmp_path / "a.tif"])
    assert not said(caplog)


@pytest.mark.parametrize("name", ["labels", "Masks", "GT", "results", "out", ".hidden", "ground_truth_masks"])
def test_folders_that_say_what_else_they_hold_are_not_named(tmp_path, name):
    write(tmp_path / "a.tif", tmp_path / name / "a.tif")
    taken = [tmp_path / "a.tif"]
    assert (not_searched(tmp_path, taken) == []) == (name != "ground_truth_masks")


def test_results_and_figures_of_this_program_are_not_named(tmp_path):
    write(tmp_path / "a.tif", tmp_path / "monday" / "a.classes.tif")
    (tmp_path / "monday" / "a.record.json").write_text("{}")
    write(tmp_path / "b.zarr" / "0" / "a.tif")
    (tmp_path / "b.zarr" / "zarr.json").write_text("{}")
    assert not_searched(tmp_path, [tmp_path / "a.tif", tmp_path / "b.zarr"]) == []


def test_a_folder_that_cannot_be_read_is_no_error(tmp_path, monkeypatch):
    write(tmp_path / "a.tif", tmp_path / "closed" / "b.tif")
    listed = Path.iterdir

    def iterdir(path):
        if path.name == "closed":
            raise PermissionError(13, "denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert not_searched(tmp_path, [tmp_path / "a.tif"]) == []


def test_many_files_are_looked_at_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [tmp_path / f"{number}.tif" for number in range(30)]
    write(*images, tmp_path / "day2" / "a.tif")
    looked, usual = [], folders_below.with_parents
    monkeypatch.setattr(folders_below, "with_parents", lambda given: looked.extend(given) or usual(given))
    assert find_images(images) == images
    assert looked == images, "not all of them for each"
