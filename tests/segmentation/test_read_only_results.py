"""Results in a folder that has become read-only: what is done needs no writing."""

import logging
import os
import subprocess
from contextlib import ExitStack

import pytest
import tifffile

from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings.objects import ObjectSettings


@pytest.fixture
def lock():
    """Return what makes a folder read-only; root may write whatever its mode, so for root by a mount."""
    with ExitStack() as after:

        def lock(folder):
            if os.geteuid():
                folder.chmod(0o555)
                after.callback(folder.chmod, 0o755)
                return
            mount = ["mount", "--bind", folder, folder], ["mount", "-o", "remount,ro,bind", folder]
            for command in mount:
                if subprocess.run(command, capture_output=True).returncode:
                    pytest.skip("root, who may not mount, can write everywhere")
                if command is mount[0]:
                    after.callback(subprocess.run, ["umount", "-l", folder], check=True)

        yield lock


@pytest.fixture
def images(tmp_path, stack):
    """Two images in a folder."""
    (tmp_path / "in").mkdir()
    for name, page in zip("ab", stack, strict=False):
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", page)
    return tmp_path / "in"


OBJECTS = SegmentOptions(device="cpu", objects=ObjectSettings(), views=("parquet",), threshold=0.0)


@pytest.mark.parametrize("options", [SegmentOptions(device="cpu"), OBJECTS], ids=["maps", "objects"])
def test_a_batch_that_is_done_is_done_again_without_writing(
    tmp_path, model, images, lock, caplog, options
) -> None:
    first = segment_files([images], tmp_path / "out", model, options)
    lock(tmp_path / "out")
    with caplog.at_level(logging.INFO, "unet2015"):
        caplog.clear()
        again = segment_files([images], tmp_path / "out", model, options)
    assert again == first
    assert [one.error for one in again] == [None] * len(first)
    assert caplog.text.count("done before, with the same model and settings") == 2
    assert not [one for one in caplog.records if "cannot write" in one.getMessage()]


@pytest.mark.parametrize("name", ["o.tif", "o.zarr"])
def test_so_is_a_single_result_by_its_name(tmp_path, model, images, lock, name) -> None:
    out = tmp_path / "out" / name
    (first,) = segment_files([images / "a.tif"], out, model, SegmentOptions(device="cpu"))
    lock(tmp_path / "out")
    (again,) = segment_files([images / "a.tif"], out, model, SegmentOptions(device="cpu"))
    assert again == first
    assert again.error is None


def test_what_is_new_or_other_is_an_error_there_and_what_is_done_is_not(
    tmp_path, model, images, stack, lock
) -> None:
    options = SegmentOptions(device="cpu")
    segment_files([images], tmp_path / "out", model, options)
    lock(tmp_path / "out")
    tifffile.imwrite(images / "b.tif", stack[2])
    tifffile.imwrite(images / "c.tif", stack[0, :50])
    results = segment_files([images], tmp_path / "out", model, options)
    assert [one.error is None for one in results] == [True, False, False]
    for one in results[1:]:
        assert f"{tmp_path / 'out'}: cannot write to the folder" in str(one.error)
    (other,) = segment_files([images / "a.tif"], tmp_path / "out", model, SegmentOptions(threshold=0.25))
    assert "cannot write to the folder" in str(other.error)


def test_a_table_of_all_that_would_be_another_is_an_error_there(tmp_path, model, images, lock) -> None:
    segment_files([images], tmp_path / "out", model, OBJECTS)
    segment_files([images / "a.tif"], tmp_path / "out", model, OBJECTS)  # now that has the rows of one
    lock(tmp_path / "out")
    one = segment_files([images / "a.tif"], tmp_path / "out", model, OBJECTS)
    assert [result.error for result in one] == [None]
    results = segment_files([images], tmp_path / "out", model, OBJECTS)
    assert [result.input.name for result in results if result.error] == ["objects.csv", "objects.parquet"]


def test_a_table_of_all_that_somebody_has_changed_is_not_taken_for_done(
    tmp_path, model, images, lock
) -> None:
    segment_files([images], tmp_path / "out", model, OBJECTS)
    with (tmp_path / "out" / "objects.csv").open("a") as file:
        file.write("a.tif,9\n")
    lock(tmp_path / "out")
    results = segment_files([images], tmp_path / "out", model, OBJECTS)
    assert [result.input.name for result in results if result.error] == ["objects.csv"]
