"""Which chunks of a Zarr array are there, and which files are none of its chunks."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unet2015.safe_files import files_below

_METADATA = frozenset({"zarr.json", ".zarray", ".zattrs"})


def stored_shape(array: Any) -> tuple[int, ...]:
    """Return the shape of what lies in one file of an array: a shard, or a chunk."""
    return tuple(array.shards or array.chunks)


def any_chunk(folder: Path, array: Any) -> bool:
    """Whether at least one chunk (or shard) of an array is there."""
    return any(_is_chunk(name, array) for name in _names(folder))


def is_empty(folder: Path, array: Any) -> bool:
    """Whether an array may be nothing but 0 and was stored so: without a chunk, and with nothing else.

    Programs leave out chunks of the fill value, so a label image without an object has no chunk at all. Files
    of another grid, or links that lead nowhere, are left of something else.
    """
    nothing = array.fill_value is not None and not array.fill_value
    return nothing and all(file.name in _METADATA for file in files_below(folder))


def describe_chunks(folder: Path, array: Any) -> tuple[str, ...]:
    """Return notes on chunks (or shards) that are not there, and on files of another grid of chunks.

    Parameters
    ----------
    folder : Path
        Of the array.
    array : zarr.Array
        What its metadata say.
    """
    stored = stored_shape(array)
    expected = math.prod(-(-n // c) for n, c in zip(array.shape, stored, strict=True))
    ours = [_is_chunk(name, array) for name in _names(folder)]
    missing, strange = expected - sum(ours), len(ours) - sum(ours)
    notes = []
    if missing == expected:
        notes.append(
            f"none of its chunks ({expected}) is there, so every pixel reads as {array.fill_value}, as Zarr "
            "says; if it is to hold anything else, its chunks were not copied: copy it again (an empty image "
            "that is saved with write_empty_chunks=True can be told from that)"
        )
    elif missing:
        notes.append(
            f"{missing} of {expected} chunks are not there and read as {array.fill_value}, as Zarr says; "
            "if they were not left out on purpose, copy the image again"
        )
    if strange:
        notes.append(
            f"{strange} file{'s are' if strange > 1 else ' is'} named as a chunk, but the array has no such: "
            "perhaps two images were mixed; copy the image again into an empty folder"
        )
    return tuple(notes)


def _names(folder: Path) -> Iterator[str]:
    """Yield the names of files in an array's folder that look like chunks."""
    for file in files_below(folder):
        if file.name[-1:].isdigit() and not file.name.startswith("."):
            yield file.relative_to(folder).as_posix()


def _is_chunk(name: str, array: Any) -> bool:
    index = tuple(map(int, re.findall("[0-9]+", name)))
    grid = (-(-n // c) for n, c in zip(array.shape, stored_shape(array), strict=True))
    if len(index) != array.ndim or any(i >= n for i, n in zip(index, grid, strict=True)):
        return False
    return str(array.metadata.encode_chunk_key(index)) == name
