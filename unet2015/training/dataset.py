"""Which image goes with which labels, and which pages are held out."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from unet2015.errors import DataSetError, SettingsError
from unet2015.images.reader import find_images, read_pages
from unet2015.settings import ValidationSettings

Labels = npt.NDArray[Any]
_NAMED = 8  # names or values that a message lists before it says how many more


def pair_images(images: Sequence[str | Path], labels: Sequence[str | Path]) -> list[tuple[Path, Path]]:
    """Find out which label file belongs to which image.

    Parameters
    ----------
    images, labels : sequence of str or Path
        Files, folders or patterns. A single image goes with a single label file whatever their
        names; several go together by name, without the suffix.

    Returns
    -------
    list of (image, labels), in the order of the images

    Raises
    ------
    DataSetError
        Names without a partner, a name that occurs twice, or a file that is its own labels.
    UsageError
        An input names no image at all.
    """
    image_files, label_files = find_images(images), find_images(labels)
    if len(image_files) == len(label_files) == 1:
        pairs = [(image_files[0], label_files[0])]
    else:
        by_name, labels_by_name = _by_stem(image_files, "images"), _by_stem(label_files, "labels")
        lonely = [
            f"{len(names)} {what}: {few(names)}"
            for what, names in (
                ("images without labels", sorted(by_name.keys() - labels_by_name.keys())),
                ("labels without an image", sorted(labels_by_name.keys() - by_name.keys())),
            )
            if names
        ]
        if lonely:
            raise DataSetError(
                "images and labels go together by file name without its suffix, but there are "
                + ", and ".join(lonely)
                + "; rename them alike, or leave out those without a partner"
            )
        pairs = [(path, labels_by_name[stem]) for stem, path in by_name.items()]
    for image, label in pairs:
        if image.resolve() == label.resolve():
            raise DataSetError(f"{image}: the same file is given as image and as labels")
    return pairs


def read_labels(path: str | Path, axes: str | None = None) -> Labels:
    """Read the labels of an image: (pages, height, width).

    Parameters
    ----------
    path : str or Path
        The label file.
    axes : str, optional
        Axes of the *image*, where the files do not say; those of its labels are the same without C.

    Raises
    ------
    ImageError
        As `unet2015.images.reader.read_pages`.
    """
    return read_pages(path, None if axes is None else axes.upper().replace("C", "").replace("S", ""))


def select_pages(spec: str, total: int) -> list[int]:
    """Return the pages, in order, that a text like ``"24-29"`` or ``"3,7,20-22"`` names.

    Parameters
    ----------
    spec : str
        Page numbers from 0 and ranges that include both ends, with commas between.
    total : int
        Pages of the whole set, the files one after the other.

    Raises
    ------
    SettingsError
        It is not such a text, a range runs backwards, or a page is not there.
    """
    pages: set[int] = set()
    for part in spec.split(","):
        match = re.fullmatch(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", part)
        if match is None:
            raise SettingsError(
                f"validation pages {spec!r}: expected page numbers and ranges such as '24-29' or "
                f"'3,7,20-22', not {part.strip()!r}"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise SettingsError(
                f"validation pages {spec!r}: the range {part.strip()} runs backwards; write {last}-{first}"
            )
        if last >= total:
            raise SettingsError(
                f"validation pages {spec!r}: there is no page {last}; the set has {total} "
                f"page{'s' * (total != 1)}, counted from 0 over all files, so the last is {total - 1}"
            )
        pages.update(range(first, last + 1))
    return sorted(pages)


def split_pages(validation: ValidationSettings, total: int) -> tuple[list[int], list[int]]:
    """Return the pages for training and those held out, which are the last where none are named.

    A share above zero holds out at least one page, and leaves at least one; a set of a single page
    is all for training.

    Raises
    ------
    SettingsError
        `validation.pages` is not right (see `select_pages`) or leaves nothing for training.
    """
    if validation.pages is not None:
        held_out = select_pages(validation.pages, total)
    else:
        count = max(round(validation.fraction * total), int(validation.fraction > 0))
        held_out = list(range(total - min(count, total - 1), total))
    training = sorted(set(range(total)) - set(held_out))
    if not training:
        raise SettingsError(
            f"validation pages {validation.pages!r} hold out all {total} pages; leave some for training"
        )
    return training, held_out


def _by_stem(files: Sequence[Path], what: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in files:
        other = found.setdefault(file.stem, file)
        if other != file:
            raise DataSetError(
                f"two {what} have the name {file.stem!r}: {other} and {file}; names must be unique to pair by"
            )
    return found


def few(items: Sequence[object]) -> str:
    """List the first of `items` and say how many more there are."""
    shown = ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in items[:_NAMED])
    return shown if len(items) <= _NAMED else f"{shown} and {len(items) - _NAMED} more"
