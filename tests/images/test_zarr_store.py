"""The files of a Zarr folder are only read if they are regular: nothing waits for a pipe."""

import os
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from zarr.codecs import BloscCodec

from tests.images.test_zarr import make
from unet2015.errors import ImageReadError
from unet2015.images.reader import open_image

KINDS = {
    "zstd of Zarr 2": ("0.4", {}),
    "plain of Zarr 2": ("0.4", {"compressors": None}),
    "no fill value": ("0.4", {"compressors": None, "fill_value": None}),
    "zstd of Zarr 3": ("0.5", {}),
    "plain of Zarr 3": ("0.5", {"compressors": None}),
    "blosc of Zarr 3": ("0.5", {"compressors": BloscCodec()}),
    "shard": ("0.5", {"shards": (20, 20)}),
}

GONE = r"was there when the image was opened, and is not any more, .* see that|is not there"
"""The second of an array that says no value for chunks that were left out."""


def error_of(path):
    """Return what reading an image raises; a pipe that is opened is given back, so that no thread stays."""
    found = []

    def read():
        try:
            with open_image(path) as image:
                image.read(0, 0, image.height, 0, image.width)
        except ImageReadError as error:
            found.append(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(10)
    if reader.is_alive():
        for pipe in (one for one in path.rglob("*") if one.is_fifo()):
            with suppress(OSError):
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        reader.join(10)
        pytest.fail("waits for a writer of the pipe")
    return str(found[0]) if found else "none"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize(("version", "options"), KINDS.values(), ids=KINDS)
def test_a_pipe_in_place_of_a_chunk_is_refused(tmp_path, version, options):
    pixels = np.random.default_rng(0).integers(1, 200, (40, 20)).astype(np.uint8)
    path = make(tmp_path / "a.zarr", pixels, version=version, chunks=(10, 20), **options)
    chunk = sorted(one for one in (path / "0").rglob("*") if one.is_file() and one.name[-1].isdigit())[-1]
    chunk.unlink()
    os.mkfifo(chunk)
    assert "a named pipe (FIFO)" in error_of(path)


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs devices")
@pytest.mark.parametrize(("version", "options"), KINDS.values(), ids=KINDS)
def test_a_link_to_a_device_in_place_of_a_chunk_is_refused(tmp_path, version, options):
    """Such as /dev/zero, which would fill the memory."""
    path = make(tmp_path / "a.zarr", np.ones((40, 20), np.uint8), version=version, chunks=(10, 20), **options)
    chunk = sorted(one for one in (path / "0").rglob("*") if one.is_file() and one.name[-1].isdigit())[-1]
    chunk.unlink()
    chunk.symlink_to("/dev/null")
    assert "this is a device" in error_of(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", [".zgroup", ".zattrs", "0/.zarray", "zarr.json", "0/zarr.json"])
def test_a_pipe_in_place_of_metadata_is_refused(tmp_path, name):
    version = "0.5" if "json" in name else "0.4"
    path = make(tmp_path / "a.zarr", np.ones((40, 20), np.uint8), version=version)
    (path / name).unlink()
    os.mkfifo(path / name)
    assert "a named pipe (FIFO)" in error_of(path)


@pytest.mark.parametrize("moved", ["", "0"], ids=["image", "array"])
@pytest.mark.parametrize(("version", "options"), KINDS.values(), ids=KINDS)
def test_chunks_of_a_folder_that_is_away_are_no_empty_ones(tmp_path, version, options, moved):
    pixels = np.random.default_rng(0).integers(1, 200, (40, 20)).astype(np.uint8)
    path = make(tmp_path / "a.zarr", pixels, version=version, chunks=(10, 20), **options)
    there, away = path / moved, tmp_path / "away"
    with open_image(path) as image:
        there.rename(away)
        with pytest.raises(ImageReadError, match=GONE):
            image.read(0, 0, 40, 0, 20)
        if not moved:
            there.mkdir()  # a mount point without its disk
            with pytest.raises(ImageReadError, match=GONE):
                image.read(0, 0, 40, 0, 20)
            there.rmdir()
        away.rename(there)
        assert np.array_equal(image.read(0, 0, 40, 0, 20).squeeze(), pixels)


def test_chunks_that_were_left_out_are_read_as_before(tmp_path):
    pixels = np.zeros((40, 20), np.uint8)
    pixels[:10] = 7
    path = make(tmp_path / "a.zarr", pixels, version="0.5", chunks=(10, 20))
    left = sorted(one for one in (path / "0").rglob("*") if one.is_file() and one.name != "zarr.json")
    with open_image(path) as image:
        assert len(left) == 1, "zarr leaves out chunks of zeros"
        assert np.array_equal(image.read(0, 0, 40, 0, 20).squeeze(), pixels)


@pytest.mark.parametrize("compressors", [None, "auto"])
def test_a_shard_that_ends_before_a_chunk_of_its_index_is_damaged(tmp_path, compressors):
    pixels = np.random.default_rng(0).integers(1, 200, (40, 20)).astype(np.uint8)
    shards = {"shape": (40, 20), "index_location": "start"}
    options = {"chunks": (10, 20), "shards": shards, "compressors": compressors}
    path = make(tmp_path / "a.zarr", pixels, version="0.5", **options)
    (shard,) = (file for file in (path / "0").rglob("*") if file.is_file() and file.name != "zarr.json")
    whole = shard.read_bytes()
    index = np.frombuffer(whole[:64], "<u8").reshape(4, 2)  # where each chunk lies, and its bytes
    for start, length in index.tolist():
        for end in (start, start + length - 1):
            shard.write_bytes(whole[:end])
            with open_image(path) as image:
                for row in range(4):
                    there = index[row].sum() <= end
                    if there:
                        found = image.read(0, 10 * row, 10 * row + 10, 0, 20)[0]
                        assert np.array_equal(found, pixels[10 * row : 10 * row + 10])
                    else:
                        with pytest.raises(ImageReadError, match=f"ends at byte {end}.*copy the image again"):
                            image.read(0, 10 * row, 10 * row + 10, 0, 20)
