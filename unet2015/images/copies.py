"""Files that are byte for byte the same, as a file manager leaves them: ``a - Copy.tif``, ``a (1).tif``."""

import hashlib
import os
import stat
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from pathlib import Path

from unet2015.safe_files import digest_of, open_regular

_LOOK = 2**14
"""Bytes at the start, the middle and the end that are compared first: frames of a film are alike in size."""


def copies(paths: Iterable[Path]) -> dict[Path, Path]:
    """Return each file that has the bytes of one before it, with that one.

    Files are read whole only where they are alike in size, and at their start, middle and end. Folders, such
    as OME-Zarr images, and what cannot be read are no copies.
    """
    alike = [[*paths]]
    for key in (_size, _looks, digest_of):
        alike = [group for one in alike for group in _grouped(one, key)]
    return {path: group[0] for group in alike for path in group[1:]}


def _grouped(paths: Iterable[Path], key: Callable[[Path], Hashable]) -> list[list[Path]]:
    """Return the files that are alike, by a key; those without one, or that are alone, are left out."""
    found: dict[Hashable, list[Path]] = {}
    for path in paths:
        with suppress(OSError):
            found.setdefault(key(path), []).append(path)
    return [group for value, group in found.items() if value is not None and len(group) > 1]


def _size(path: Path) -> int | None:
    about = os.stat(path)
    return about.st_size if stat.S_ISREG(about.st_mode) and about.st_size else None


def _looks(path: Path) -> bytes:
    size, found = os.stat(path).st_size, hashlib.sha256()
    with open_regular(path) as file:
        for place in (0, size // 2, max(0, size - _LOOK)):
            file.seek(place)
            found.update(file.read(_LOOK))
    return found.digest()
