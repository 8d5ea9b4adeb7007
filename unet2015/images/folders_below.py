"""Folders with images that a folder or a pattern does not search: they are named as files left out are."""

import glob
import logging
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from unet2015.file_names import natural_order, pattern_of
from unet2015.images.figure_files import is_figure
from unet2015.images.formats import SUFFIXES
from unet2015.images.name_words import says_labels_or_results
from unet2015.images.zarr_group import is_zarr
from unet2015.safe_files import RECORD
from unet2015.wording import listed

_NAMED = 10
_DEPTH = 2
"""So many levels below are looked at."""
_log = logging.getLogger("unet2015")


class NotSearched:
    """Folders with images that inputs lead to and that are not searched: each is said, and kept.

    Parameters
    ----------
    given : collection of path
        All inputs: what is one of them, or above one, is not left out.

    Attributes
    ----------
    folders : dict
        Those that were found, in order.
    """

    def __init__(self, given: Collection[str | Path]) -> None:
        self._inputs = with_parents(given)
        self.folders: dict[Path, None] = {}

    def look(self, item: str | Path, taken: Collection[Path]) -> None:
        """Look below an input of which these images are taken."""
        if found := not_searched(item, taken, self._inputs):
            _log.info("%s", _describe(item, found))
            self.folders |= dict.fromkeys(found)


def with_parents(given: Collection[str | Path]) -> set[Path]:
    """Return the absolute paths of inputs and of all folders above them."""
    found: set[Path] = set()
    for path in map(Path.absolute, map(Path, given)):
        if path not in found:
            found.add(path)
            found.update(path.parents)
    return found


def not_searched(item: str | Path, taken: Collection[Path], inputs: Collection[Path] = ()) -> list[Path]:
    """Return the folders with images that an input leads to and that are not searched.

    Parameters
    ----------
    item : path
        A folder with images of its own, or a pattern.
    taken : collection of Path
        The images that are taken.
    inputs : collection of Path
        All inputs, as of `with_parents`: what is one of them, or above one, is not left out.

    Notes
    -----
    Hidden folders do not count, nor results of this program (folders with records), nor folders whose name
    says that they hold labels or results: such are kept below the folder of their images.
    """
    path, found = Path(item), []
    if is_zarr(path) or not taken:
        return []
    below = (
        path.iterdir()
        if path.is_dir()
        else map(Path, glob.glob(f"{pattern_of(item)}{os.sep}", recursive=True))
    )
    folders = sorted(below, key=natural_order)
    searched = {parent for image in taken for parent in image.parents} if folders else set()
    for folder in folders:
        if folder in searched or folder.absolute() in inputs or folder.name.startswith("."):
            continue
        if not folder.is_dir() or is_zarr(folder) or says_labels_or_results(folder.name):
            continue
        if _holds_images(folder, _DEPTH):
            found.append(folder)
    return found


def _describe(where: object, folders: Collection[Path]) -> str:
    names = listed([str(folder) for folder in folders], _NAMED)
    return f"{where}: folders with images are not searched: {names}; give them as well if they are meant"


def advice_on_folders(folder: Path) -> str:
    """Say that folders in a folder without images hold some, and how to give these; empty where none does."""
    with suppress(OSError):
        for below in sorted(folder.iterdir(), key=natural_order):
            if not below.name.startswith(".") and below.is_dir() and any(map(_is_image, _seen(below))):
                pattern = Path(glob.escape(str(folder)), "*", "*")
                return f"; folders in it hold some, such as {below}; give such a folder, or '{pattern}'"
    return ""


def _holds_images(folder: Path, depth: int) -> bool:
    """Return whether a folder holds images, or one of its folders does, where those are `depth` levels."""
    try:
        entries = _seen(folder)
    except OSError:
        return False
    if any(entry.name.endswith(RECORD) for entry in entries):
        return False
    if any(map(_is_image, entries)):
        return True
    return depth > 1 and any(_holds_images(entry, depth - 1) for entry in entries if entry.is_dir())


def _seen(folder: Path) -> list[Path]:
    """Return what a folder holds but hidden files, such as the ``._a.tif`` of another system."""
    return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]


def _is_image(entry: Path) -> bool:
    if is_zarr(entry):
        return True
    return entry.suffix.lower() in SUFFIXES and entry.is_file() and not is_figure(entry)
