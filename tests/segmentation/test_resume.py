"""Killed at any moment and run again: the same bytes, only unfinished work, nothing left behind."""

import json
import os
import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch

from unet2015.errors import ImageReadError, ImageWriteError
from unet2015.images.mapped_image import MappedImage
from unet2015.models.model_file import Model, ModelInfo, read_model_file, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.safe_files import atomic_path, claim, leftovers
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.settings import Mapping, NetworkSettings
from unet2015.tiling import plan, tile_sizes
from unet2015.tiling.predictor import Predictor

TILE = SegmentOptions(tile=44)
BOTH = SegmentOptions(tile=44, products=("classes", "probability"))


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    info = ModelInfo(
        network=NetworkSettings(width=2, depth=1),
        mapping=Mapping(method="image-percentiles", low=(1.0,), high=(99.0,)),
        class_names=("membrane", "cell"),
    )
    save_model(tmp_path / "m.safetensors", UNet(width=2, depth=1), info)
    return tmp_path / "m.safetensors"


@pytest.fixture
def image(tmp_path, monkeypatch):
    """A page of 8 rows of tiles, each a part of its own."""
    monkeypatch.setattr(plan, "PART_PIXELS", 4 * 44 * 44)
    array = np.random.default_rng(0).integers(0, 60_000, (8 * 28 - 3, 4 * 28 - 3)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", array)
    return tmp_path / "a.tif"


def interrupt_at(monkeypatch, tiles, error=KeyboardInterrupt):
    """Let the network fail after so many tiles; return the list that counts them."""
    real, seen = Predictor.__call__, []

    def counting(self, batch):
        if len(seen) == tiles:
            raise error
        seen.extend(batch)
        return real(self, batch)

    monkeypatch.setattr(Predictor, "__call__", counting)
    return seen


def hidden(folder):
    return [path for path in folder.iterdir() if path.name.startswith(".")]


def begin(monkeypatch, image, out, model, options=TILE, tiles=18):
    """Interrupt a run in its fifth row of four tiles."""
    with monkeypatch.context() as patch:
        interrupt_at(patch, tiles)
        with pytest.raises(KeyboardInterrupt):
            segment_files([image], out, model, options)
    assert [path.name for path in out.iterdir()] == [path.name for path in hidden(out)]
    (work,) = hidden(out)
    return work


def test_an_interrupted_image_goes_on_inside(tmp_path, monkeypatch, image, model):
    segment_files([image], tmp_path / "whole", model, TILE)
    work = begin(monkeypatch, image, tmp_path / "out", model)
    kept = len(list(work.glob("*.part")))
    assert 2 <= kept <= 4
    seen = interrupt_at(monkeypatch, -1)
    # The mapping is known, so that the image is not read as a whole once more.
    monkeypatch.setattr("unet2015.images.mapped_image.intensity_scale", None)
    segment_files([image], tmp_path / "out", model, TILE)
    assert len(seen) == 32 - 4 * kept
    one, other = (tmp_path / folder / "a.classes.tif" for folder in ("whole", "out"))
    assert one.read_bytes() == other.read_bytes()
    assert hidden(tmp_path / "out") == []


def test_the_plan_stays_when_less_memory_is_free(tmp_path, monkeypatch, image, model):
    free = SegmentOptions()
    monkeypatch.setattr(tile_sizes, "LARGEST_OUTPUT", 28)
    segment_files([image], tmp_path / "whole", model, free)
    begin(monkeypatch, image, tmp_path / "out", model, free)
    monkeypatch.setattr(tile_sizes, "LARGEST_OUTPUT", 60)  # another plan would be chosen now
    segment_files([image], tmp_path / "out", model, free)
    plans = [json.loads((tmp_path / f / "a.record.json").read_text())["plan"] for f in ("whole", "out")]
    assert plans[0] == plans[1]
    assert plans[0]["parts"] == 8


@pytest.mark.parametrize("change", ["model", "settings", "input", "job", "gain", "offset"])
def test_what_was_begun_otherwise_is_not_used(tmp_path, monkeypatch, image, model, change):
    work, options = begin(monkeypatch, image, tmp_path / "out", model), TILE
    if change == "model":
        network = read_model_file(model)
        with torch.no_grad():
            network.network.head.weight.mul_(2)
        save_model(model, network.network, network.info)
    elif change == "settings":
        options = SegmentOptions(tile=44, threshold=0.3)
    elif change == "input":
        tifffile.imwrite(image, tifffile.imread(image)[::-1])
    elif change == "job":
        (work / "job.json").write_text("{")
    else:  # a damaged mapping is none, even where it could be used
        job = json.loads((work / "job.json").read_text())
        job[change] = [job[change][0] * 2]
        (work / "job.json").write_text(json.dumps(job))
    seen = interrupt_at(monkeypatch, -1)
    segment_files([image], tmp_path / "out", model, options)
    assert len(seen) == 32
    assert hidden(tmp_path / "out") == []


def test_leftovers_of_killed_runs_go_also_when_all_is_done(tmp_path, image, model):
    out = tmp_path / "out"
    segment_files([image], out, model, TILE)
    (out / ".other.tif.0123abcd-000000000000.tmp").touch()
    for name in ("a.classes.tif", "a.record.json"):
        with atomic_path(out / name) as temporary:
            other = "00" if temporary.stem[-2:] == "11" else "11"  # the name ends in random digits
            left = temporary.with_name(temporary.name[:-6] + other + ".tmp")
            left.write_bytes(b"half")
            temporary.write_bytes((out / name).read_bytes())
        assert leftovers(out / name) == [left]
    (result,) = segment_files([image], out, model, TILE)
    assert result.error is None
    assert [path.name for path in hidden(out)] == [".other.tif.0123abcd-000000000000.tmp"]


def test_two_runs_do_not_write_one_output(tmp_path, image, model):
    (tmp_path / "out").mkdir()
    with claim(tmp_path / "out" / "a.classes.tif"):
        (result,) = segment_files([image], tmp_path / "out", model, TILE)
    assert isinstance(result.error, ImageWriteError)
    assert "another run" in str(result.error)
    (result,) = segment_files([image], tmp_path / "out", model, TILE)
    assert result.error is None


@pytest.mark.parametrize("how", ["replaced", "changed", "touched", "removed"])
def test_an_input_that_changes_while_it_is_read_is_an_error(tmp_path, monkeypatch, image, model, how):
    real, calls = MappedImage.raw, []
    other = image.with_name("b.tif")
    tifffile.imwrite(other, tifffile.imread(image)[:, ::-1])
    lock = threading.Lock()

    def reading(self, *region):
        with lock:
            calls.append(region)
            if len(calls) == 10:
                if how == "replaced":
                    os.replace(other, image)
                elif how == "changed":
                    with image.open("r+b") as file:  # never shorter, as another thread reads at the same time
                        file.write(other.read_bytes())
                elif how == "touched":
                    os.utime(image, (1, 1))
                else:
                    image.unlink()
        return real(self, *region)

    monkeypatch.setattr(MappedImage, "raw", reading)
    (result,) = segment_files([image], tmp_path / "out", model, TILE)
    if how == "touched":
        assert result.error is None
        return
    assert isinstance(result.error, ImageReadError)
    assert "changed or replaced" in str(result.error)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["failures.csv"]


@pytest.mark.parametrize("parts", [1, 8])
def test_an_output_folder_that_vanishes_is_an_error(tmp_path, monkeypatch, image, model, parts):
    if parts == 1:
        monkeypatch.setattr(plan, "PART_PIXELS", 2**22)
    real, calls = Predictor.__call__, []

    def vanishing(self, tiles):
        calls.append(1)
        if len(calls) == 14:
            (tmp_path / "out").rename(tmp_path / "gone")
        return real(self, tiles)

    monkeypatch.setattr(Predictor, "__call__", vanishing)
    (result,) = segment_files([image], tmp_path / "out" / "in", model, TILE)
    assert isinstance(result.error, ImageWriteError)
    assert not list((tmp_path / "out").rglob("*.tif"))
    assert not list((tmp_path / "gone").rglob("*.tif"))


def test_a_damaged_image_leaves_no_work_behind(tmp_path, monkeypatch, image, model):
    interrupt_at(monkeypatch, 20, ImageReadError("planted"))
    (result,) = segment_files([image], tmp_path / "out", model, TILE)
    assert str(result.error) == "planted"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["failures.csv"]


@contextmanager
def files_of_at_most(size):
    """Let no file grow larger than so many bytes, as on a full disk."""
    resource = pytest.importorskip("resource")  # of POSIX; Python ignores the signal that comes with it
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("limit", "parts"), [(30_000, True), (9_000, True), (30_000, False)])
def test_a_full_disk_is_one_clear_error_and_the_next_run_goes_on(
    tmp_path, image, model, limit, parts, monkeypatch, capfd
):
    out = tmp_path / "out"
    with monkeypatch.context() as patch, files_of_at_most(limit):
        patch.setattr(plan, "PART_PIXELS", 4 * 44 * 44 if parts else 2**22)
        (failed,) = segment_files([image], out, model, BOTH)
    assert "cannot write the file: File too large" in str(failed.error)
    assert "\n" not in str(failed.error)
    assert "Traceback" not in "".join(capfd.readouterr())
    assert not list(out.glob("*.tif"))
    (result,) = segment_files([image], out, model, BOTH)
    assert result.error is None
    assert sorted(path.name for path in out.iterdir()) == [
        "a.classes.tif", "a.probability.tif", "a.record.json",
    ]  # fmt: skip


def test_skipped_tiles_are_background_and_recorded(tmp_path, image, model):
    array = tifffile.imread(image)
    array[:112] = 7
    tifffile.imwrite(image, array)
    loaded = read_model_file(model)
    with torch.no_grad():
        loaded.network.head.bias.copy_(torch.tensor([-100.0, 100.0]))  # all is class 1
    loud = Model(loaded.network, loaded.info)
    options = replace(BOTH, skip_empty=True)
    (result,) = segment_files([image], tmp_path / "out", loud, options)
    assert not any("--skip-empty" in note for note in result.notes)
    record = json.loads((tmp_path / "out" / "a.record.json").read_text())
    assert record["settings"]["skip_empty"] is True
    assert record["skipped_tiles"] == 3 * 4  # the fourth row's margin reaches the pixels below
    classes = tifffile.imread(tmp_path / "out" / "a.classes.tif")
    assert not classes[:84].any()
    assert classes[84:].all()
    shown = tifffile.imread(tmp_path / "out" / "a.probability.tif")
    assert (shown[:84] == 0).all()
    assert (shown[84:] > 0.9).all()


@pytest.mark.parametrize("empty", [True, False])
def test_that_skipped_areas_depend_on_the_memory_is_said(tmp_path, image, model, empty):
    tifffile.imwrite(image, tifffile.imread(image) * (not empty))
    (result,) = segment_files([image], tmp_path / "out", model, replace(BOTH, tile=None, skip_empty=True))
    record = json.loads((tmp_path / "out" / "a.record.json").read_text())
    assert (record["skipped_tiles"] > 0) == empty
    said = [note for note in record["notes"] if "give --tile for the same result" in note]
    assert len(said) == empty
    assert set(said) <= set(result.notes)
