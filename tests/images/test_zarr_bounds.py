"""A chunk that becomes more than the metadata say is refused before there is memory for it."""

import bz2
import gzip
import lzma
import tracemalloc
import zlib

import numcodecs
import numpy as np
import pytest
import zarr

from unet2015.errors import ImageReadError
from unet2015.images.reader import open_image
from unet2015.images.zarr_bounds import TooLargeError, check_chunk

SIDE = 64
MOST = SIDE * SIDE
LARGE = 2**24
CODECS = {  # of Zarr 3, and of Zarr 2
    "blosc": (zarr.codecs.BloscCodec(), numcodecs.Blosc()),
    "gzip": (zarr.codecs.GzipCodec(), numcodecs.GZip()),
    "zstd": (zarr.codecs.ZstdCodec(), numcodecs.Zstd()),
    "zlib": (None, numcodecs.Zlib()),
    "bz2": (None, numcodecs.BZ2()),
    "lzma": (None, numcodecs.LZMA()),
    "lz4": (None, numcodecs.LZ4()),
}


def image(path, zarr_format, codec, **options):
    """Write an OME-Zarr image of 2 x 2 chunks."""
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    pixels = np.random.default_rng(0).integers(0, 50, (2 * SIDE, 2 * SIDE), np.uint8)
    array = group.create_array(
        "0", shape=pixels.shape, chunks=(SIDE, SIDE), dtype="uint8", compressors=codec, **options
    )
    array[:] = pixels
    declared = {
        "axes": [{"name": name, "type": "space"} for name in "yx"],
        "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}],
    }
    if zarr_format == 3:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [declared]}
    else:
        group.attrs["multiscales"] = [declared | {"version": "0.4"}]
    return path, pixels


def cases():
    for kind, (new, old) in CODECS.items():
        if new is not None:
            yield pytest.param(3, kind, id=f"3-{kind}")
        if old is not None:
            yield pytest.param(2, kind, id=f"2-{kind}")


@pytest.mark.parametrize(("zarr_format", "kind"), list(cases()))
def test_a_chunk_that_becomes_more_is_refused(tmp_path, zarr_format, kind):
    codec = CODECS[kind][3 - zarr_format]
    path, pixels = image(tmp_path / "a.zarr", zarr_format, codec)
    with open_image(path) as opened:
        assert (opened.read(0, 0, 2 * SIDE, 0, 2 * SIDE)[0] == pixels).all()
    file = path / "0" / ("c/1/1" if zarr_format == 3 else "1.1")
    assert file.exists()
    file.write_bytes(CODECS[kind][1].encode(np.zeros(LARGE, np.uint8)))
    with open_image(path) as opened:
        opened.read(0, 0, SIDE, 0, SIDE)
        tracemalloc.start()
        with pytest.raises(ImageReadError, match=rf"chunk \(1, 1\) .* more than the {MOST} bytes of a chunk"):
            opened.read(0, SIDE, 2 * SIDE, SIDE, 2 * SIDE)
        assert tracemalloc.get_traced_memory()[1] < LARGE  # the dictionary of LZMA alone has 8 MiB
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["gzip", "zstd", "blosc"])
def test_a_chunk_in_a_shard(tmp_path, kind):
    path, pixels = image(tmp_path / "a.zarr", 3, CODECS[kind][0], shards=(2 * SIDE, 2 * SIDE))
    with open_image(path) as opened:
        assert (opened.read(0, 0, 2 * SIDE, 0, 2 * SIDE)[0] == pixels).all()
    bomb = CODECS[kind][1].encode(np.zeros(LARGE, np.uint8))
    places = np.array([[0, len(bomb)]] * 4, "<u8").tobytes()
    shard = bytes(bomb) + places + np.uint32(numcodecs.CRC32C().encode(places)[-4:].view("<u4")[0]).tobytes()
    (path / "0" / "c" / "0" / "0").write_bytes(shard)
    with open_image(path) as opened, pytest.raises(ImageReadError, match="more than the"):
        opened.read(0, SIDE, 2 * SIDE, SIDE, 2 * SIDE)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_file_that_is_far_too_large_is_not_read(tmp_path, zarr_format):
    path, _ = image(tmp_path / "a.zarr", zarr_format, None)
    file = path / "0" / ("c/0/0" if zarr_format == 3 else "0.0")
    with file.open("r+b") as opened:
        opened.truncate(2**40)
    with open_image(path) as opened, pytest.raises(ImageReadError, match="its file has 1099511627776 bytes"):
        opened.read(0, 0, SIDE, 0, SIDE)


def test_several_members_add_up_and_damage_is_left_to_the_decoder():
    part = bytes(3000)
    for kind, compress in (
        ("gzip", gzip.compress),
        ("zlib", zlib.compress),
        ("bz2", bz2.compress),
        ("lzma", lzma.compress),
    ):
        check_chunk(kind, compress(part), 3000)
        check_chunk(kind, compress(part)[:-4], 3000)
        check_chunk(kind, b"damaged", 3000)
        with pytest.raises(TooLargeError):
            check_chunk(kind, compress(part) + compress(part), 3000)
    check_chunk("zstd", b"", 10)
    check_chunk("unknown", b"x", 10)


def test_other_users_of_zarr_get_its_own_decoders(tmp_path):
    path, _ = image(tmp_path / "a.zarr", 3, CODECS["gzip"][0])
    open_image(path).close()
    (codec,) = zarr.open_group(path, mode="r")["0"].compressors
    assert type(codec) is zarr.codecs.GzipCodec
