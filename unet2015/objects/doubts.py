"""Objects that may be meant otherwise: a map the other way round, or 3-D objects that count once a slice."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unet2015.images.image import Image
from unet2015.objects.table import Table
from unet2015.wording import counted

_SLICES = "ZI"
"""Axes along which numbers that go on may be those of 3-D objects; along time they are tracks."""
_FEW, _AT_PLACE, _GO_ON = 3, 0.9, 1 / 3
"""Numbers that are looked at; parts of those that two slices share, and of all objects."""


def describe_covering(image: Image, tables: Sequence[Table]) -> str | None:
    """Return a note where one object may be the background, as in a map with 0 where objects are; else None.

    Such an object reaches all borders of a page and covers most of it.

    Parameters
    ----------
    image : Image
        The map or the labels.
    tables : sequence of Table
        What was measured, for each page.
    """
    found: list[tuple[int, float]] = []
    for page, table in enumerate(tables):
        whole = (table["bbox_bottom"] - table["bbox_top"] == image.height) & (
            table["bbox_right"] - table["bbox_left"] == image.width
        )
        share = table["area_px"][whole] / (image.height * image.width)
        if (share > 0.5).any():
            found.append((page, float(share.max())))
    if not found:
        return None
    page, most = found[0]
    where = f"page {page}: " if image.pages > 1 else ""
    return where + _covering(most, f" (as on {counted(len(found) - 1, 'more page')})" * (len(found) > 1))


def describe_covering_array(labels: NDArray[Any]) -> str | None:
    """Return the same note on the labels of one page (H, W), else None."""
    if 2 * np.count_nonzero(labels) <= labels.size:  # so it is mostly, and found fast
        return None
    counts = np.bincount(labels.ravel())
    counts[0] = 0
    number = int(np.argmax(counts))
    borders = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    if 2 * counts[number] <= labels.size or not all((border == number).any() for border in borders):
        return None
    return _covering(float(counts[number]) / labels.size)


def _covering(share: float, more: str = "") -> str:
    return (
        f"one object reaches all borders and covers {share:.0%} of the page{more}; is it the "
        "background, as where objects are 0? Objects must be what is not 0: exchange both values then"
    )


def describe_volumes(image: Image, tables: Sequence[Table]) -> str | None:
    """Return a note where labels may be those of 3-D objects, each of which counts once a slice; else None.

    Then a number lies where the slice before has it, too. Given as `describe_covering`.
    """
    along = next((letter for letter in _SLICES if image.size(letter) > 1), None)
    if along is None:
        return None
    pages = np.moveaxis(np.arange(image.pages).reshape(image.page_shape), image.page_axes.index(along), -1)
    volumes = pages.reshape(-1, image.size(along)).tolist()
    shared = at_place = 0
    for volume in volumes:
        for before, after in pairwise(volume):
            found = _at_place(tables[before], tables[after])
            shared, at_place = shared + len(found), at_place + int(np.count_nonzero(found))
    objects = sum(len(table["label"]) for table in tables)
    numbers = sum(len(np.unique(np.concatenate([tables[page]["label"] for page in one]))) for one in volumes)
    if numbers < _FEW or at_place < max(1, _AT_PLACE * shared, _GO_ON * objects):
        return None
    return (
        f"{at_place} of {objects} objects lie where the page before has the same number: if these are 3-D "
        f"objects, there are {numbers}; each page is measured by itself, so that they count as {objects}, "
        "with the areas of their slices"
    )


def _at_place(before: Table, after: Table) -> NDArray[np.bool_]:
    """Return of the numbers that two pages share whether their boxes meet."""
    _, one, other = np.intersect1d(before["label"], after["label"], return_indices=True)
    meet: NDArray[np.bool_] = np.ones(len(one), bool)
    for low, high in (("bbox_top", "bbox_bottom"), ("bbox_left", "bbox_right")):
        starts = np.maximum(before[low][one], after[low][other])
        meet &= starts < np.minimum(before[high][one], after[high][other])
    return meet
