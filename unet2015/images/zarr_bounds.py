"""How much a compressed chunk of a Zarr array may become, seen before it is decompressed.

The metadata say how large a chunk is, but decoders follow what stands in the chunk: a file of a megabyte may
become gigabytes. Each decoder is therefore given only what becomes no more than a chunk.

Sources: https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst, RFC 8878 (Zstandard)
"""

import bz2
import lzma
import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import imagecodecs

_SLACK = 64  # a checksum
_PIECE, _STEP = 2**16, 2**20  # compressed and decompressed bytes at a time
_NAMES = ("blosc", "gzip", "zstd", *(f"numcodecs.{name}" for name in ("blosc", "bz2", "gzip", "lz4", "lzma")))
_NAMES += ("numcodecs.zlib", "numcodecs.zstd")


class TooLargeError(ValueError):
    """A chunk would become larger than the metadata say."""


def check_chunk(kind: str, data: Any, most: int) -> None:
    """Raise `TooLargeError` if compressed bytes would become more than `most`, but for a checksum.

    Parameters
    ----------
    kind : str
        Name of the codec; any other than those known here is not looked at.
    data : bytes-like
        The compressed bytes.
    most : int
        Bytes of the chunk.
    """
    look = _SIZES.get(kind)
    data = memoryview(data).cast("B")
    if look is not None and look(data, most + _SLACK) > most + _SLACK:
        raise TooLargeError(f"it would become more than the {most} bytes of a chunk")


def _blosc(data: memoryview, most: int) -> int:
    return int.from_bytes(data[4:8], "little")


def _lz4(data: memoryview, most: int) -> int:
    return int.from_bytes(data[:4], "little")


def _zstd(data: memoryview, most: int) -> int:
    if len(data) < 6 or bytes(data[:4]) != b"\x28\xb5\x2f\xfd":
        return 0  # no frame: the decoder says so
    descriptor = data[4]
    width = (1 if descriptor & 0x20 else 0, 2, 4, 8)[descriptor >> 6]
    if width:
        start = 5 + (0 if descriptor & 0x20 else 1) + (0, 1, 2, 4)[descriptor & 3]
        return int.from_bytes(data[start : start + width], "little") + (256 if width == 2 else 0)
    try:  # the frame does not tell
        imagecodecs.zstd_decode(bytes(data), out=most)
    except imagecodecs.ZstdError as error:
        return most + 1 if "small" in str(error).lower() or "dst" in str(error).lower() else 0
    return 0


def _streamed(
    make: Callable[[], Any], errors: tuple[type[Exception], ...]
) -> Callable[[memoryview, int], int]:
    """Return a function that decompresses in steps, keeping nothing, until there is too much."""

    def size(data: memoryview, most: int) -> int:
        total, decoder = 0, make()
        with suppress(*errors):  # the decoder itself will say so
            for start in range(0, len(data), _PIECE):
                piece, more = bytes(data[start : start + _PIECE]), False
                while piece or more:
                    out = decoder.decompress(piece, _STEP)
                    total += len(out)
                    if total > most:
                        return total
                    if decoder.eof:  # another member may follow
                        piece, more, decoder = decoder.unused_data, False, make()
                    else:
                        piece, more = getattr(decoder, "unconsumed_tail", b""), len(out) == _STEP
        return total

    return size


_deflate = _streamed(lambda: zlib.decompressobj(wbits=47), (zlib.error,))
_SIZES: dict[str, Callable[[memoryview, int], int]] = {
    "blosc": _blosc,
    "bz2": _streamed(bz2.BZ2Decompressor, (OSError, EOFError)),
    "gzip": _deflate,
    "lz4": _lz4,
    "lzma": _streamed(lzma.LZMADecompressor, (lzma.LZMAError, EOFError)),
    "zlib": _deflate,
    "zstd": _zstd,
}


@contextmanager
def bounded_codecs() -> Iterator[None]:
    """Let arrays of Zarr 3 that are opened while the body runs check each chunk before it is decompressed."""
    import zarr

    usual = dict(zarr.config.get("codecs"))
    with zarr.config.set({"codecs": usual | _bounded()}):
        yield


@cache
def _bounded() -> dict[str, str]:
    """Return the names under which zarr knows our decoders, by the names of the codecs."""
    from zarr.registry import get_codec_class, register_codec

    names = {}
    for name in _NAMES:
        try:
            usual = get_codec_class(name)
        except KeyError:  # this version of zarr lacks it
            continue
        names[name] = f"{__name__}.{name}"
        register_codec(name, _with_check(usual, name.rpartition(".")[2]), qualname=names[name])
    return names


def _with_check(usual: Any, kind: str) -> Any:
    class Bounded(usual):  # type: ignore[misc]
        async def _decode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
            size = math.prod(chunk_spec.shape) * chunk_spec.dtype.to_native_dtype().itemsize
            check_chunk(kind, chunk_data.as_numpy_array(), size)
            return await super()._decode_single(chunk_data, chunk_spec)

    Bounded.__name__ = f"Bounded{usual.__name__}"
    return Bounded
