"""Objects in several pieces: one number was given to two cells, or a stray pixel has it."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from unet2015.wording import listed

_NAMED = 5


def several_pieces(labels: NDArray[Any]) -> list[int]:
    """Return the numbers of the objects of a page that are in several pieces, which do not touch at corners.

    Parameters
    ----------
    labels : ndarray, shape (height, width)
        Whole numbers, 0 where no object is.
    """
    parts = label(labels, background=0, connectivity=2)  # type: ignore[no-untyped-call]
    owners = np.zeros(int(parts.max(initial=0)) + 1, labels.dtype)
    owners[parts.ravel()] = labels.ravel()
    numbers, counts = np.unique(owners[1:], return_counts=True)
    found: list[int] = numbers[counts > 1].tolist()
    return found


def describe_pieces(found: Iterable[tuple[str, list[int]]], objects: int) -> str | None:
    """Return a note on objects in several pieces, by the places of their pages; None where there are none.

    Parameters
    ----------
    found : iterable of (place, numbers)
        What `several_pieces` returned; a place may be empty.
    objects : int
        How many there are on all pages.
    """
    names = [f"{number} ({place})" if place else f"{number}" for place, some in found for number in some]
    if not names:
        return None
    return (
        f"{len(names)} of {objects} objects are in several pieces, each of which counts as one: "
        f"{listed(names, _NAMED)}; see that no two cells have one number, and no stray pixels"
    )
