"""Copies of a file in a folder are said, as they count again; frames that hold nothing are not."""

import json
import logging
import shutil

import numpy as np
import pytest
import tifffile

from unet2015.images import copies as module
from unet2015.images.copies import copies
from unet2015.models.model_file import read_model_file, save_model
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.label_files import measure_files
from unet2015.segmentation.map_files import label_files
from unet2015.segmentation.options import SegmentOptions

CELLS = np.kron(np.array([[1, 0, 2], [0, 3, 3]], np.uint16), np.ones((20, 20), np.uint16))
NAMES = ("a - Copy.tif", "a (1).tif")


def copied(path, pixels):
    """Write a file, two copies of it, and one of the same size that differs."""
    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(path, pixels)
    for name in NAMES:
        shutil.copy(path, path.parent / name)
    tifffile.imwrite(path.with_name("b.tif"), pixels + (pixels > 0).astype(pixels.dtype))
    return path.parent


def named(results):
    return {one.input.name: note for one in results for note in one.notes if "byte for byte" in note}


def messages(caplog):
    return [one.getMessage() for one in caplog.records if "byte for byte" in one.getMessage()]


def test_copies_that_are_segmented_are_said(tmp_path, model, caplog):
    folder = copied(tmp_path / "i" / "a.tif", np.random.default_rng(0).integers(0, 200, (40, 50), np.uint8))
    for _ in range(2):  # also where all was done before
        caplog.clear()
        results = segment_files([folder], tmp_path / "o", model, SegmentOptions(device="cpu"))
        said = named(results)
        assert len(said) == 2
        assert said.keys() <= {*NAMES, "a.tif"}
        (message,) = messages(caplog)
        assert message.endswith("(and 1 more copy)")


def test_lost_frames_are_no_copies(tmp_path, model, caplog):
    folder = copied(tmp_path / "i" / "a.tif", np.zeros((40, 50), np.uint8))
    assert not named(segment_files([folder], tmp_path / "o", model, SegmentOptions(device="cpu")))
    assert messages(caplog) == []


@pytest.mark.parametrize("work", [measure_files, label_files])
def test_copies_of_labels_and_maps_are_said_where_they_hold_objects(tmp_path, caplog, work):
    pixels = CELLS if work is measure_files else (CELLS > 0).astype(np.uint8)
    assert len(named(work(copied(tmp_path / "l" / "a.tif", pixels), tmp_path / "o"))) == 2
    caplog.clear()
    empty = copied(tmp_path / "e" / "a.tif", np.zeros_like(pixels))
    assert named(work(empty, tmp_path / "p")) == {}
    assert messages(caplog) == []


def test_labels_for_several_images_are_no_copies(tmp_path, caplog):
    for name in ("a", "b"):
        for place, pixels in (("l", CELLS), ("i", CELLS * (7 if name == "a" else 9))):
            (tmp_path / place).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / place / f"{name}.tif", pixels)
    assert named(measure_files(tmp_path / "l", tmp_path / "o", tmp_path / "i")) == {}
    shutil.copy(tmp_path / "i" / "a.tif", tmp_path / "i" / "b.tif")
    assert [*named(measure_files(tmp_path / "l", tmp_path / "p", tmp_path / "i"))] == ["b.tif"]


def test_only_files_that_look_alike_are_read_whole(tmp_path, monkeypatch):
    rng, read = np.random.default_rng(0), []
    for name in "abcd":  # frames of one size
        tifffile.imwrite(tmp_path / f"{name}.tif", rng.integers(0, 200, (400, 500), np.uint8))
    shutil.copy(tmp_path / "b.tif", tmp_path / "e.tif")
    digest = module.digest_of
    monkeypatch.setattr(module, "digest_of", lambda path: read.append(path.name) or digest(path))
    (tmp_path / "f.zarr").mkdir()
    paths = [*sorted(tmp_path.iterdir()), tmp_path / "gone.tif"]
    assert copies(paths) == {tmp_path / "e.tif": tmp_path / "b.tif"}
    assert read == ["b.tif", "e.tif"]


def test_a_scale_that_was_not_checked_is_in_the_record_and_no_warning(tmp_path, make_model, caplog):
    made = read_model_file(make_model(tmp_path / "m.safetensors"))
    info, path = made.info.model_copy(update={"pixel_size_nm": 4.0}), tmp_path / "n.safetensors"
    save_model(path, made.network, info)
    pixels = np.random.default_rng(0).integers(0, 200, (40, 50), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    plain, given = SegmentOptions(device="cpu"), SegmentOptions(device="cpu", pixel_size=0.004)
    for options in (plain, plain, given):
        caplog.clear()
        out = tmp_path / ("o" if options.pixel_size is None else "p")
        with caplog.at_level(logging.INFO, "unet2015"):
            (result,) = segment_files([tmp_path / "a.tif"], out, path, options)
        record = json.loads((out / "a.record.json").read_text())
        for notes in (result.notes, record["notes"]):
            assert any("pixels of 4 nm" in note for note in notes) == (options.pixel_size is None)
        said = {one.levelno for one in caplog.records if "4 nm" in one.getMessage()}
        assert said == ({logging.INFO} if options.pixel_size is None else set())
