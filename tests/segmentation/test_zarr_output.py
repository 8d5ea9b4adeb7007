"""OME-Zarr out: the pixels of the TIFF, valid metadata, one writer a chunk, whole or absent, resumed."""

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import ome_zarr_models
import pytest
import tifffile
import torch
import zarr
from ome_zarr_models.v05 import Image, ImageLabel, Labels

import unet2015.tiling.plan as plan_module
from tests.forks import loaded_context
from unet2015.errors import ImageWriteError, UsageError
from unet2015.images import zarr_layout
from unet2015.images.reader import open_image, read_pages
from unet2015.models.model_file import ModelInfo, save_model
from unet2015.networks.unet2015 import UNet
from unet2015.safe_files import mounts, sha256
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.replay import replay
from unet2015.segmentation.zarr_output import ZarrParts
from unet2015.settings import Mapping, NetworkSettings

OPTIONS = SegmentOptions(tile=60, device="cpu")


def make_model(path, classes=2):
    torch.manual_seed(0)
    info = ModelInfo(
        classes=classes,
        network=NetworkSettings(width=2, depth=2),
        mapping=Mapping(method="standardise"),
        class_names=("background", "cell", "border")[:classes],
    )
    save_model(path, UNet(1, classes, 2, 2), info)
    return path


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A calibrated stack of two pages, its model, and plans of several parts and resolutions."""
    monkeypatch.setattr(plan_module, "PART_PIXELS", 5000)
    monkeypatch.setattr(zarr_layout, "SMALLEST_LEVEL", 32)
    stack = np.random.default_rng(0).integers(0, 256, (2, 61, 75)).astype(np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif",
        stack,
        imagej=True,
        resolution=(4, 2),
        metadata={"axes": "ZYX", "spacing": 2, "unit": "um"},
    )
    return tmp_path / "a.tif", make_model(tmp_path / "m.safetensors")


def outcome(results):
    (result,) = results
    assert result.error is None, result.error
    return result.outputs[0]


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("probability", [False, True])
def test_pixels_axes_and_metadata(tmp_path, job, classes, probability):
    image, _ = job
    model = make_model(tmp_path / "m.safetensors", classes)
    options = replace(OPTIONS, products=("classes", "probability")) if probability else OPTIONS
    out = outcome(segment_files([image], tmp_path / "out.zarr", model, options))
    tiff = outcome(segment_files([image], tmp_path / "tiff", model, options))
    group = zarr.open_group(out, mode="r")
    classes_0 = group["labels/classes/0"]
    np.testing.assert_array_equal(classes_0[...], read_pages(tiff))
    assert isinstance(ome_zarr_models.open_ome_zarr(group), Image)
    assert list(Labels.from_zarr(group["labels"]).attributes.ome.labels) == ["classes"]
    label = ImageLabel.from_zarr(group["labels/classes"]).attributes.ome.image_label
    assert [item.label_value for item in label.properties] == list(range(classes))
    levels = [group[f"labels/classes/{level}"] for level in range(3)]
    assert [level.shape for level in levels] == [(2, 61, 75), (2, 31, 38), (2, 16, 19)]
    np.testing.assert_array_equal(levels[1][...], classes_0[:, ::2, ::2])
    with open_image(out / "labels" / "classes") as shown, open_image(image) as before:
        assert (shown.axes, shown.shape) == ("ZYX", before.shape)
        found = shown.calibration
        assert (found.pixel_size_y, found.pixel_size_x, found.z_spacing) == (0.5, 0.25, 2.0)
        assert found.unit == "micrometer"
    with open_image(out) as shown:
        if not probability:
            assert shown.dtype == np.uint8
            assert not (out / "0").exists()
            return
        expected = tifffile.imread(tmp_path / "tiff" / "a.probability.tif").reshape(2, -1, 61, 75)
        assert shown.axes == ("ZYX" if classes == 2 else "CZYX")
        for page in range(2):
            whole = shown.read(page, 0, 61, 0, 75)
            np.testing.assert_array_equal(whole, expected[page])
        means = group["1"][...].reshape(-1, 2, 31, 38)[:, 1, :30, :37]
        blocks = whole[:, :60, :74].reshape(-1, 30, 2, 37, 2).mean((2, 4))
        np.testing.assert_allclose(means, blocks, rtol=1e-6)
        edge = group["1"][...].reshape(-1, 2, 31, 38)[:, 1, 30, 37]
        np.testing.assert_array_equal(edge, whole[:, 60, 74])


def test_where_an_image_lies_goes_from_input_to_output(tmp_path, job, caplog):
    image, model = job
    first = outcome(segment_files([image], tmp_path / "first.zarr", model, OPTIONS))
    step = json.loads((first / "zarr.json").read_text())
    steps = step["attributes"]["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    steps.append({"type": "translation", "translation": [0.0, 7.0, 9.0]})
    (first / "zarr.json").write_text(json.dumps(step))
    second = outcome(segment_files([first], tmp_path / "out", model, OPTIONS))
    assert second == tmp_path / "out" / "first.classes.zarr"
    with open_image(first) as one, open_image(second) as other:
        assert (one.axes, one.calibration, one.origin) == (other.axes, other.calibration, other.origin)
        assert other.origin == {"Y": 7.0, "X": 9.0}
    assert "where it lies" not in caplog.text
    segment_files([first], tmp_path / "r.ome.tif", model, OPTIONS)
    said = "where it lies (translation: Y 7, X 9) is left out of the results"
    assert said in caplog.text
    assert said in (tmp_path / "r.record.json").read_text()


@pytest.mark.slow
def test_the_record_and_what_is_done(tmp_path, job, monkeypatch):
    image, model = job
    out = outcome(segment_files([image], tmp_path / "out.zarr", model, OPTIONS))
    record = json.loads((tmp_path / "out.record.json").read_text())
    assert record["outputs"] == {"out.zarr": sha256(out)}
    assert record["plan"]["parts"] > 4
    assert record["versions"]["zarr"] == zarr.__version__
    assert replay(tmp_path / "out.record.json").same
    made = []
    with monkeypatch.context() as patch:
        patch.setattr(ZarrParts, "finish", lambda self: made.append(self))
        segment_files([image], out, model, OPTIONS)
    assert made == []
    chunk = next(file for file in (out / "labels" / "classes" / "0" / "c").rglob("*") if file.is_file())
    before = sha256(out)
    chunk.write_bytes(b"damaged")
    (result,) = segment_files([image], out, model, OPTIONS)
    assert "was changed after this program made it" in str(result.error)
    shutil.rmtree(out)
    segment_files([image], out, model, OPTIONS)
    assert sha256(out) == before
    assert sorted(item.name for item in tmp_path.iterdir()) == [
        "a.tif",
        "m.safetensors",
        "out.record.json",
        "out.zarr",
    ]


def test_a_failure_leaves_nothing_at_the_path_and_is_gone_on_from(tmp_path, job, monkeypatch):
    image, model = job
    whole = sha256(outcome(segment_files([image], tmp_path / "whole.zarr", model, OPTIONS)))
    take, bands = ZarrParts.take, []

    def failing(self, band):
        if len(bands) == 4:
            raise OSError(28, "No space left on device")
        bands.append((band.page, band.row))
        take(self, band)

    with monkeypatch.context() as patch:
        patch.setattr(ZarrParts, "take", failing)
        (result,) = segment_files([image], tmp_path / "out.zarr", model, OPTIONS)
    assert "No space left" in str(result.error)
    assert not (tmp_path / "out.zarr").exists()
    again = []
    monkeypatch.setattr(
        ZarrParts, "take", lambda self, band: (again.append((band.page, band.row)), take(self, band))
    )
    assert sha256(outcome(segment_files([image], tmp_path / "out.zarr", model, OPTIONS))) == whole
    assert len(again) == len(set(again) | set(bands)) - 4
    assert not set(again) & set(bands)
    assert not list(tmp_path.glob(".*"))


KILLED = """
import os, signal
import torch
import unet2015.tiling.plan as plan_module
from unet2015.images import zarr_layout, zarr_writer
from unet2015.segmentation import zarr_output
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.options import SegmentOptions
plan_module.PART_PIXELS, zarr_layout.SMALLEST_LEVEL = 5000, 32
image, out, model, left, where = given
torch.set_num_threads(threads)
def dying(function):
    def call(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call
if where == "write":  # between the rows and the note that they are there
    zarr_output.write_json = dying(zarr_output.write_json)
else:
    zarr_writer._halved = dying(zarr_writer._halved)
segment_files([image], out, model, SegmentOptions(tile=60, device="cpu"))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("calls", "where"), [(3, "write"), (1, "levels")])
def test_a_killed_run_is_gone_on_from(tmp_path, job, monkeypatch, calls, where):
    image, model = job
    whole = sha256(outcome(segment_files([image], tmp_path / "whole.zarr", model, OPTIONS)))
    out = tmp_path / "out.zarr"
    # With as many threads as here: parts that were computed with others are not gone on with.
    given = {"given": (image, out, model, calls, where), "threads": torch.get_num_threads()}
    process = loaded_context().Process(target=exec, args=(KILLED, given))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not out.exists()
    (work,) = tmp_path.glob(".*.parts")
    notes = len(list(work.glob("*.part")))
    (work / "finished" / "out.zarr" / ".c.0123.partial").touch()  # as zarr leaves behind when it is killed
    parts, save = [], ZarrParts.take
    monkeypatch.setattr(ZarrParts, "take", lambda self, band: (parts.append(band.row), save(self, band)))
    assert sha256(outcome(segment_files([image], out, model, OPTIONS))) == whole
    assert (notes, len(parts)) == ((3, 5) if where == "write" else (8, 0))
    assert not list(tmp_path.glob(".*"))


def test_all_is_flushed_to_the_disk_once(tmp_path, job, monkeypatch):
    image, model = job
    flushed, honest = [], mounts.flush
    monkeypatch.setattr(mounts, "flush", lambda path: (flushed.append(path), honest(path)))
    out = outcome(segment_files([image], tmp_path / "out.zarr", model, OPTIONS))
    there = {item.relative_to(out) for item in out.rglob("*")}
    inside = [Path(str(path).partition("/finished/out.zarr/")[2]) for path in flushed]
    assert there <= set(inside)
    files = [path for path in inside if (out / path).is_file()]
    assert len(set(files)) == len(files) == len([path for path in there if (out / path).is_file()])


def test_nothing_else_is_replaced(tmp_path, job):
    image, model = job
    precious = tmp_path / "precious.zarr"
    (precious / "data").mkdir(parents=True)
    (precious / "zarr.json").touch()
    (result,) = segment_files([image], precious, model, OPTIONS)
    assert isinstance(result.error, ImageWriteError)
    assert "no record beside it says that this program made it" in str(result.error)
    assert (precious / "data").is_dir()
    with pytest.raises(UsageError, match="lies in the input"):
        segment_files([precious], precious / "labels" / "out.zarr", model, OPTIONS)
    with pytest.raises(UsageError, match="also an input"):
        segment_files([precious], precious, model, OPTIONS)
    with pytest.raises(UsageError, match="2 inputs"):
        segment_files([image, precious], tmp_path / "out.zarr", model, OPTIONS)
    assert not Path(tmp_path / "out.zarr").exists()
