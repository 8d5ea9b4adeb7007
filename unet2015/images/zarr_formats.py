"""Metadata of two versions of Zarr in a folder: both are named, and they must describe the same image."""

import os
from pathlib import Path
from typing import Any

from unet2015.errors import ImageReadError
from unet2015.images.ngff import Multiscale, read_multiscale

_THREE, _TWO = "zarr.json", (".zgroup", ".zarray")
MARKERS = (_THREE, *_TWO)
"""Files by which a folder is a Zarr."""


def has_marker(path: Path) -> bool:
    """Whether a folder has a file by which it is a Zarr."""
    return any((path / marker).is_file() for marker in MARKERS)


def format_of(path: Path) -> int:
    """Return the version whose metadata of a group are read: 3 if there are such."""
    return 3 if os.path.lexists(path / _THREE) else 2


def describe_both(path: Path, group: Any, declared: Multiscale) -> tuple[str, ...]:
    """Return a note where a group or its full resolution has metadata of two versions.

    Parameters
    ----------
    path : Path
        The folder of the group.
    group : zarr.Group
        As it is read.
    declared : Multiscale
        What its metadata say.

    Raises
    ------
    ImageReadError
        They differ in what they say of the image.
    """
    used = int(group.metadata.zarr_format)
    level = declared.paths[0]
    places = [place for place in ("", level) if other_metadata(path / place, used)]
    if not places:
        return ()
    other = 5 - used
    names = " and ".join(str(Path(place) / other_metadata(path / place, used)) for place in places)
    both = f"the folder holds metadata of Zarr {used}, which are read, and of Zarr {other} ({names})"
    try:
        import zarr

        given = {"store": group.store, "mode": "r", "zarr_format": other}
        same = level not in places or _facts(group[level]) == _facts(zarr.open_array(path=level, **given))
        if "" in places:
            attributes = zarr.open_group(use_consolidated=False, **given).attrs.asdict()
            said = read_multiscale(dict(attributes), other, str(path))
            same = same and (said.names, said.paths) == (declared.names, declared.paths)
    except Exception:  # they are damaged, or of something else
        same = False
    if not same:
        raise ImageReadError(
            f"{path}: {both}, and they do not describe the same image; move away those that are not meant"
        )
    return (f"{both}; they describe the same image",)


def other_metadata(folder: Path, used: int) -> str:
    """Return the name of a file with metadata of the other version; empty if there is none."""
    names = _TWO if used == 3 else (_THREE,)
    return next((name for name in names if (folder / name).is_file()), "")


def _facts(array: Any) -> tuple[Any, ...]:
    """Return what decides which pixels are read."""
    metadata = array.metadata
    key = metadata.encode_chunk_key((1,) * array.ndim)
    return array.shape, array.dtype, array.chunks, array.shards, key, array.fill_value
