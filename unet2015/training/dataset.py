"""The pages of a set: the labels of an image, and which pages are held out."""

from collections.abc import Hashable, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy.typing as npt

from unet2015.errors import LossyLabelsError, SettingsError
from unet2015.images.image import Image
from unet2015.images.notes import say_notes
from unet2015.images.page_order import other_order
from unet2015.images.reader import open_image, pages_of
from unet2015.safe_files import Unchanged
from unet2015.settings import ValidationSettings
from unet2015.training.page_names import Files, select_pages
from unet2015.wording import counted

Labels = npt.NDArray[Any]


def read_labels(path: str | Path, axes: str | None = None, *, cut: bool = False) -> Labels:
    """Read the labels of an image, (pages, height, width), and say the notes on the file.

    Parameters
    ----------
    path : str or Path
        The label file.
    axes : str, optional
        Axes of the *image*, if the files do not say; its labels have the same axes without C.
    cut : bool
        They are a mask that is cut at a threshold, so that a compression may have changed its values.

    Raises
    ------
    ImageError
        As `unet2015.images.reader.read_pages`.
    """
    watch = Unchanged(Path(path))
    with open_labels(path, axes, cut=cut) as labels:
        say_notes(labels)
        pages = pages_of(labels)
    watch.check()
    return pages


def open_labels(path: str | Path, axes: str | None, *, cut: bool) -> Image:
    """Open a label file; `axes` are those of the image, as all parameters are for `read_labels`."""
    try:
        return open_image(path, _label_axes(axes), labels=True)
    except LossyLabelsError:
        if not cut:
            raise
        return open_image(path, _label_axes(axes))


def _label_axes(axes: str | None) -> str | None:
    return None if axes is None else axes.upper().replace("C", "").replace("S", "")


def order_difference(image: Image, labels: Image) -> str | None:
    """Say how the pages of labels are ordered otherwise than those of their image; None for no."""
    order = other_order(image, labels)
    return None if order is None else f"{order}; save both with their axes in the same order"


def size_difference(image: Image, labels: Labels) -> str | None:
    """Say how labels differ in size from their image; None where they do not."""
    expected = (image.pages, image.height, image.width)
    if labels.shape == expected:
        return None
    pages, height, width = labels.shape
    return (
        f"the labels are {counted(pages, 'page')} of {height} x {width} px, but {image.name} is "
        f"{counted(expected[0], 'page')} of {expected[1]} x {expected[2]} px (height x width)"
    )


def split_pages(
    validation: ValidationSettings,
    total: int,
    files: Files = (),
    copies: Sequence[Hashable] = (),
    linked: Sequence[Sequence[int]] = (),
) -> tuple[list[int], list[int]]:
    """Return the pages for training and those held out; the last pages are held out if none are named.

    A share above zero holds out at least one page, and leaves at least one; a set with a single page
    is used for training only. `files` are needed where `validation.pages` names some (see `select_pages`).
    `copies` has for each page what its copies share, or None: copies count as one page, at the place of the
    last, and if none are named, all of them are trained on, or all are held out. So are the pages of each
    group of `linked`, where groups are small enough: as many are held out as come near the share, those of
    the last pages first; where that holds out less than half the share, or more than half of the pages,
    groups do not count.

    Raises
    ------
    SettingsError
        `validation.pages` is not right (see `select_pages`) or leaves nothing for training.
    """
    if validation.pages is not None:
        held_out = select_pages(validation.pages, total, files)
    else:
        found: dict[Hashable, list[int]] = {}
        for page, shared in zip_longest(range(total), copies):
            found.setdefault(page if shared is None else (shared,), []).append(page)
        images = sorted(found.values(), key=max)
        count = max(round(validation.fraction * len(images)), int(validation.fraction > 0))
        count = min(count, len(images) - 1)
        whole = _whole_groups(images, linked, count) if linked and count else []
        held_out = sorted(chain(*(whole or images[len(images) - count :])))
    training = sorted(set(range(total)) - set(held_out))
    if not training:
        raise SettingsError(
            f"validation pages {validation.pages!r} hold out all {total} pages; leave some for training"
        )
    return training, held_out


def _whole_groups(
    images: Sequence[Sequence[int]], linked: Sequence[Sequence[int]], count: int
) -> list[Sequence[int]]:
    """Return about `count` of the images, with all linked to one of them; none if that is too much."""
    group_of = {page: number for number, group in enumerate(linked) for page in group}
    found: dict[Hashable, list[Sequence[int]]] = {}
    for number, image in enumerate(images):
        its = next((group_of[page] for page in image if page in group_of), None)
        found.setdefault(("alone", number) if its is None else its, []).append(image)
    groups = sorted(found.values(), key=lambda group: -max(map(max, group)))
    taken, left = list[Sequence[int]](), list[list[Sequence[int]]]()
    for group in groups:
        if len(taken) + len(group) <= count:
            taken += group
        else:
            left.append(group)
    half = len(images) // 2
    for group in left:
        more = len(taken) + len(group)
        if more - count < count - len(taken) and more <= half:
            return [*taken, *group]
    smallest = min(groups, key=len)
    if not taken and len(smallest) <= half:
        return [*smallest]
    return taken if 2 * len(taken) >= count else []


def pages_of_each(files: Files, chosen: Sequence[int]) -> list[list[int]]:
    """Return, for each file, which of its own pages are among `chosen`, counted over the whole set."""
    pages, wanted, start = [], set(chosen), 0
    for _, count in files:
        pages.append([page for page in range(count) if start + page in wanted])
        start += count
    return pages
