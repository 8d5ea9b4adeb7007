"""Which file of one side belongs to which of another, where the files of a side lie in several folders."""

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path

from unet2015.images.pairs import Pairing, pair_by_name
from unet2015.images.result_names import shown_name


def pair_files(first: Mapping[Path, str], second: Mapping[Path, str], images: int | None = None) -> Pairing:
    """Pair files by their names, with the folders that tell them apart; else without these.

    Parameters and errors are those of `unet2015.images.pairs.pair_by_name`. What folders say is left out only
    where nothing pairs with it: first that of folders that all files of a side have, then all, as where the
    results of images in several folders lie in one.
    """
    found = pair_by_name(first, second, images)
    if found.pairs:
        return found
    if by_folders := pair_by_folders(first, second, images):
        return by_folders
    names = _last_names(first), _last_names(second)
    if names == (first, second):
        return found
    found = pair_by_name(*names, images)
    return replace(found, unlike=tuple((a, b) for a, b in found.pairs if first[a] != second[b]))


def with_folders(names: Mapping[Path, str]) -> dict[Path, str]:
    """Return the names of files, each after the folders that tell files apart, as for `pair_files`."""
    if not names:
        return {}
    root = os.path.commonpath([path.absolute().parent for path in names])
    below = {path: path.absolute().relative_to(root).with_name(name) for path, name in names.items()}
    return {path: unicodedata.normalize("NFC", str(name)) for path, name in below.items()}


def _last_names(files: Mapping[Path, str]) -> dict[Path, str]:
    return {path: os.path.basename(name) for path, name in files.items()}


def pair_by_folders(
    first: Mapping[Path, str], second: Mapping[Path, str], images: int | None = None
) -> Pairing | None:
    """Pair files of several folders of each side, such as exp1/images and exp2/images with exp*/labels.

    For files that `pair_by_name` does not pair. Parameters and errors are the same. A folder that all files
    of a side have at one level says what the side is, and is left out of the names.

    Returns
    -------
    Pairing or None
        None where the other folders do not tell the files apart on both sides, in the same words.
    """
    names = _without_roles(first), _without_roles(second)
    folders = [{os.path.dirname(name) for name in side.values()} for side in names]
    if min(map(len, folders)) < 2 or not folders[0] & folders[1] or names == (first, second):
        return None
    found = pair_by_name(*names, images)
    return found if found.pairs else None


def _without_roles(names: Mapping[Path, str]) -> dict[Path, str]:
    parts = {path: Path(name).parts for path, name in names.items()}
    if len({len(levels) for levels in parts.values()}) != 1:
        return dict(names)
    told = [len(set(level)) > 1 for level in zip(*parts.values(), strict=True)][:-1]
    return {path: os.path.join(*compress(levels, [*told, True])) for path, levels in parts.items()}


def stack_advice(first: Sequence[Path], second: Sequence[Path]) -> str:
    """Return what helps where one file of a side may be a stack, of which the other has pages as files.

    Empty where it is not so: where each side has several files, or both have one.
    """
    few, many = sorted((first, second), key=len)
    if len(few) != 1 or len(many) < 2:
        return ""
    name = shown_name(few[0])
    return (
        f"; if {name} is a stack, and the others are of its pages, no name helps: save its pages as "
        f"single files, too, or the others as one stack with as many pages as {name}"
    )
