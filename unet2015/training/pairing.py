"""Which label file belongs to which image, and which files are left out."""

import logging
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unet2015.errors import DataSetError
from unet2015.images.beside_results import without_results, without_their_images
from unet2015.images.folder_pairs import pair_by_folders, stack_advice, with_folders
from unet2015.images.pairs import Pairing, listed_files, pair_by_name
from unet2015.images.reader import find_images
from unet2015.images.result_names import LABELS, shared_stem, shown_name
from unet2015.wording import listed

_log = logging.getLogger("unet2015")
_SHOWN = 3
"""Pairs that are shown where the names of image and labels differ."""


@dataclass(frozen=True)
class Pairs:
    """Images with their labels.

    Attributes
    ----------
    pairs : list of (image, labels)
        In the order of the images.
    by_likeness : str
        How names that differ were paired, with examples; empty where all names are equal, or each side has
        one file.
    left_out : tuple of str
        Which images have no labels, and which labels no image: a line for each side.
    """

    pairs: list[tuple[Path, Path]]
    by_likeness: str
    left_out: tuple[str, ...]


def pair_images(images: Sequence[str | Path], labels: Sequence[str | Path]) -> list[tuple[Path, Path]]:
    """Return the pairs that `find_pairs` finds; what is left out is logged."""
    found = find_pairs(images, labels)
    if found.by_likeness:
        _log.info("%s", found.by_likeness)
    for line in found.left_out:
        _log.warning("%s", line)
    return found.pairs


def find_pairs(images: Sequence[str | Path], labels: Sequence[str | Path]) -> Pairs:
    """Find out which label file belongs to which image.

    Parameters
    ----------
    images, labels : sequence of str or Path
        Files, folders or patterns. One image and one label file belong together, whatever their names.
        Several are paired by what their names without the suffix have in common; see
        `unet2015.images.pairs.pair_by_name`. Among several images, those that are also given as labels are
        labels.

    Raises
    ------
    DataSetError
        No image has labels, a file could go with several others, or it is its own labels.
    UsageError
        An input names no image at all.
    """
    image_files = without_results(find_images(images))
    label_files = without_their_images(find_images(labels), LABELS, named=False)
    given = {os.path.realpath(path) for path in label_files}
    others = [path for path in image_files if os.path.realpath(path) not in given]
    # One image that is left and one label file would go together whatever their names.
    single = len(others) == len(label_files) == 1 < len(image_files)
    if not others or (single and others[0].stem not in label_files[0].stem):
        both = next(path for path in image_files if os.path.realpath(path) in given)
        raise DataSetError(
            f"{both}: the same file is given as image and as labels; where both lie in one folder, give "
            f"patterns in quotes for them, such as '{both.parent}/*_img.tif' and '{both.parent}/*_mask.tif'"
        )
    found = _paired(others, label_files)
    if not found.pairs:
        lonely = _lonely(found)
        raise DataSetError(
            f"images and labels go together by file name without its suffix, but there are "
            f"{', and '.join(lonely)}; name labels as their images, with the same words added to all or none"
            f"{_of_stack(found)}"
        )
    partners = dict(found.pairs)
    pairs = [(path, partners[path]) for path in others if path in partners]
    single = len(others) == len(label_files) == 1  # which go together whatever their names
    return Pairs(
        pairs, "" if single else _likeness(pairs), tuple(f"left out: {line}" for line in _lonely(found))
    )


def _of_stack(found: Pairing) -> str:
    advice = stack_advice(found.first_alone, found.second_alone)
    return advice and f"{advice}, where what nobody annotated has a value of its own (--ignore)"


def _paired(images: Sequence[Path], labels: Sequence[Path]) -> Pairing:
    """Pair by names; where several files of a side have one name, by their folders as well."""
    twice = _twice(images, "images") or _twice(labels, "labels")
    if twice is None or len(images) == len(labels) == 1:
        return pair_by_name(_stems(images), _stems(labels), 0)
    untold = f"{twice}, and their folders do not tell which is meant"
    names = with_folders(_stems(images)), with_folders(_stems(labels))
    failure = None
    try:
        found = pair_by_name(*names, 0)
        if found.pairs:
            return found
    except DataSetError as error:
        failure = error
    if by_folders := pair_by_folders(*names, 0):
        return by_folders
    if failure is not None:
        raise DataSetError(f"{untold}; {failure}") from failure
    raise DataSetError(
        f"{untold}; if all are meant, give the folders of both sides the same names, as in images/exp1 and "
        "labels/exp1, or exp1/images and exp1/labels; else give patterns in quotes that leave out those that "
        "are not meant"
    )


def _twice(files: Sequence[Path], what: str) -> str | None:
    first: dict[str, Path] = {}
    for path, stem in _stems(files).items():
        other = first.setdefault(stem, path)
        if other != path:
            return f"two {what} have the name {stem!r}: {other} and {path}"
    return None


def _stems(files: Sequence[Path]) -> dict[Path, str]:
    return {path: unicodedata.normalize("NFC", shared_stem(path)) for path in files}


def _likeness(pairs: Sequence[tuple[Path, Path]]) -> str:
    unlike = [(image, label) for image, label in pairs if shared_stem(image) != shared_stem(label)]
    if not unlike:
        return ""
    shown = listed([f"{shown_name(image)} with {shown_name(label)}" for image, label in unlike], _SHOWN)
    return f"paired by what their names have in common: {shown}"


def _lonely(found: Pairing) -> list[str]:
    images, labels = found.first_alone, found.second_alone
    one = "image" if len(images) == 1 else "images"
    lines = [f"{len(images)} {one} without labels: {listed_files(images)}"] if images else []
    return [*lines, *([f"{len(labels)} labels without an image: {listed_files(labels)}"] if labels else [])]
