"""Small files that declare huge things are refused by arithmetic, before memory is taken for them."""

import json
import re
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import tifffile
import zarr

from unet2015.errors import MemoryLimitError, ModelError, OutOfMemoryError, UnexpectedError
from unet2015.images.array_image import ArrayImage
from unet2015.images.reader import open_image, read_pages
from unet2015.models.model_file import read_model_file
from unet2015.safe_files import signed
from unet2015.segmentation import segmenter
from unet2015.segmentation.batch import segment_files
from unet2015.segmentation.file_plan import plan_files
from unet2015.segmentation.options import SegmentOptions
from unet2015.segmentation.replay import replay
from unet2015.settings import TrainingSettings
from unet2015.training.checks import pair as training_pair
from unet2015.training.checks.training_set import inspect_set

LITTLE = 2**26
"""Bytes that looking at a file and refusing it may take."""
CAPPED = SegmentOptions(max_memory=2**30, device="cpu")


def zarr_image(path, shape, chunks, axes="zyx"):
    """Write an OME-Zarr image of which one chunk is there."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.create_array("0", shape=shape, chunks=chunks, dtype="uint8")
    chunk = path.joinpath("0", "c", *"0" * len(shape))
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(b"of no use")
    names = axes[-len(shape) :]
    scale = [{"type": "scale", "scale": [2.0] * len(shape)}]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [
            {
                "axes": [{"name": name, "type": "space", "unit": "micrometer"} for name in names],
                "datasets": [{"path": "0", "coordinateTransformations": scale}],
            }
        ],
    }
    return path


def png(path, height, width):
    """Write a PNG of zeros, row by row, so that it takes no memory."""
    packed, body = zlib.compressobj(1), []
    row = bytes(1 + width) * 64
    body += [packed.compress(row) for _ in range(height // 64)]
    data = b"".join(body) + packed.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, part in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b"")):
            file.write(
                struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
            )
    return path


def refused_in_little_memory(function):
    """Return the message of the error, having seen how much memory it took."""
    tracemalloc.start()
    try:
        result = function()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < LITTLE
    assert isinstance(result.error, MemoryLimitError), result.error
    return str(result.error)


def both(path, tmp_path, model, options):
    """Return what a run says of a file that it refuses, as a plan does; what is free differs between them."""
    first = refused_in_little_memory(lambda: plan_files([path], tmp_path / "out", model, options)[0])
    second = refused_in_little_memory(lambda: segment_files([path], tmp_path / "out", model, options)[0])
    assert re.sub("[0-9]+", "", first) == re.sub("[0-9]+", "", second)
    assert first.startswith(f"{path}: ")
    return first


@pytest.mark.parametrize("shape", [(10**12, 64), (64, 10**12), (10**12, 64, 64), (10**6, 10**6, 10**6)])
@pytest.mark.parametrize("options", [CAPPED, SegmentOptions(device="cpu")], ids=["capped", "free"])
def test_a_zarr_of_a_huge_shape(tmp_path, percentile_model, shape, options):
    path = zarr_image(tmp_path / "a.zarr", shape, (64,) * len(shape))
    message = both(path, tmp_path, percentile_model, options)
    assert "MiB" in message


def test_what_the_refusal_names_is_enough(tmp_path, percentile_model):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((6200, 6200), np.uint8), compression="zlib", rowsperstrip=6200)
    (plan,) = plan_files(
        [path], tmp_path, percentile_model, SegmentOptions(max_memory=650 * 2**20, tile=572, device="cpu")
    )
    message = str(plan.error)
    assert message.startswith(f"{path}: a memory cap of 650 MiB is too small: tiles of ")
    assert "must be decoded whole" in message
    enough = int(message.split("give --max-memory ")[1].split("M or more")[0])
    for cap, good in ((enough, True), (enough - 1, False)):
        options = SegmentOptions(max_memory=cap * 2**20, tile=572, device="cpu")
        (plan,) = plan_files([path], tmp_path, percentile_model, options)
        assert (plan.error is None) == good
        assert plan.memory <= cap * 2**20


def test_a_large_png_is_decoded_whole_and_counted(tmp_path, percentile_model):
    path = png(tmp_path / "a.png", 40_000, 40_000)
    with open_image(path) as image:
        assert image.decoding_bytes > 1.5 * 10**9
    assert "must be decoded whole" in both(path, tmp_path, percentile_model, CAPPED)


class DecodedWhole(ArrayImage):
    """Pixels of which much must be decoded at a time."""

    decoding_bytes = 2**26


@pytest.mark.parametrize(("free", "fits"), [(740, True), (650, False)])
def test_the_default_cap_counts_what_is_decoded_whole(percentile_model, monkeypatch, caplog, free, fits):
    image, default = DecodedWhole(np.zeros((2000, 2000), np.uint8), "YX"), free * 2**20
    monkeypatch.setattr(segmenter, "default_cap", lambda device: default)
    made = segmenter.Segmenter(percentile_model, SegmentOptions(device="cpu"))
    plan = made.plan(image)
    alone = made.plan(ArrayImage(np.zeros((2000, 2000), np.uint8), "YX"))
    assert made.memory(image, alone) > default  # as a plan was before, that counts only tiles
    assert (made.memory(image, plan) <= default) == fits
    assert ("more than what is taken by default" in caplog.text) == (not fits)


def test_a_huge_chunk_is_counted(tmp_path, percentile_model):
    path = zarr_image(tmp_path / "a.zarr", (20_000, 20_000), (20_000, 20_000))
    assert "must be decoded whole" in both(path, tmp_path, percentile_model, CAPPED)


def test_an_earlier_job_or_record_cannot_ask_for_more(tmp_path, percentile_model, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", np.random.default_rng(0).integers(0, 255, (400, 400), np.uint8))
    out, options = tmp_path / "out", SegmentOptions(max_memory=2**30, device="cpu")
    (result,) = segment_files([tmp_path / "a.tif"], out, percentile_model, options)
    assert result.error is None
    record = out / "a.record.json"
    said = json.loads(record.read_text())
    said["plan"]["tile"] = [16012, 16012]
    record.write_text(json.dumps(signed(said)))
    with pytest.raises(MemoryLimitError, match="16012"):
        replay(record)


def test_a_record_of_any_kind_beside_a_result(tmp_path, percentile_model):
    tifffile.imwrite(tmp_path / "a.tif", np.arange(600, dtype=np.uint8).reshape(20, 30))
    out = tmp_path / "out"
    out.mkdir()
    record = out / "a.record.json"
    for found in (b"[1]", b"7", b"\xff\xfe", b"[" * 100_000, b"{", b'{"outputs": 3, "input": []}', None):
        if found is None:
            with record.open("wb") as file:
                file.truncate(2**34)
        else:
            record.write_bytes(found)
        tracemalloc.start()
        (result,) = segment_files([tmp_path / "a.tif"], out, percentile_model, CAPPED)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < LITTLE
        assert not isinstance(result.error, UnexpectedError)
        if found is None:
            record.unlink()
    assert not (out / "failures.log").exists()


def test_a_large_file_that_is_no_model_is_not_read(tmp_path):
    path = tmp_path / "a.safetensors"
    for start, words in ((b"II*\0\0\0\0\1", "not a readable model"), ((2**20).to_bytes(8, "little"), "GiB")):
        with path.open("wb") as file:
            file.write(start)
            file.truncate(2**42)
        with pytest.raises(ModelError, match=words):
            read_model_file(path)


@pytest.mark.parametrize("shape", [(10**12, 64, 64), (10**12, 64), (10**6, 10**6, 10**6)])
def test_what_reads_a_whole_image_or_set_names_the_file_that_is_too_large(tmp_path, shape):
    path = zarr_image(tmp_path / "a.zarr", shape, (64,) * len(shape))
    with pytest.raises(OutOfMemoryError, match=re.escape(f"{path}: ") + ".* GiB of memory together"):
        read_pages(path)
    labels = tmp_path / "b.tif"
    tifffile.imwrite(labels, np.zeros((64, 64), np.uint8))
    assert str(path) in inspect_set([(path, labels)], TrainingSettings()).problems[0].file
    (problem,) = [
        one for one in inspect_set([(labels, path)], TrainingSettings()).problems if "memory" in one.message
    ]
    assert str(path) in problem.file


@pytest.mark.parametrize("labels_too", [False, True])
def test_a_huge_sparse_image_is_not_read_without_labels_of_its_size(tmp_path, monkeypatch, labels_too):
    """One chunk is good, and all others read as zero: it would take years."""
    path = zarr_image(tmp_path / "a.zarr", (10**12, 64), (64, 64))
    zarr.open_group(path)["0"][:64] = 1
    labels = zarr_image(tmp_path / "b.zarr", (10**12, 64), (64, 64)) if labels_too else tmp_path / "b.tif"
    small = tmp_path / "c.tif"
    for file in (tmp_path / "b.tif", small):
        tifffile.imwrite(file, np.zeros((64, 64), np.uint8))
    read = []
    monkeypatch.setattr(training_pair, "read_all", lambda image, *rest, **more: read.append(image.path) or [])
    problems = inspect_set([(path, labels), (small, labels)], TrainingSettings()).problems
    assert read == [small]
    assert {problem.file for problem in problems if problem.severity == "error"} == {str(path), str(labels)}
    assert any("59605 GiB of pixels are declared" in problem.message for problem in problems)


@pytest.mark.parametrize("cap", [2**30, 2**31])
def test_a_wide_image_has_the_larger_tiles_the_less_is_written(percentile_model, cap):
    wide = ArrayImage(np.broadcast_to(np.uint8(0), (6_000, 60_000)), "YX")
    found = {}
    for products in (("classes",), ("classes", "probability")):
        options = SegmentOptions(products=products, max_memory=cap, device="cpu")
        chosen = segmenter.Segmenter(percentile_model, options)
        plan = chosen.plan(wide)
        assert chosen.memory(wide, plan) <= cap
        found[products] = plan.tiles * plan.tile[0] * plan.tile[1]
    least, most = found.values()
    assert least < most
