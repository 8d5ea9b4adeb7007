"""Objects in several pieces: one number was given to two cells, or a stray pixel has it."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unet2015.wording import listed

_NAMED = 5


class InPieces:
    """Looks at the labels of several files for objects in several pieces."""

    def __init__(self) -> None:
        self._found: list[tuple[str, list[int]]] = []
        self._objects = 0

    def look(self, labels: NDArray[Any], place: str, annotated: NDArray[np.bool_] | None = None) -> None:
        """Look at whole numbers of any shape, in which each is one object; `place` is such as a file.

        `annotated` is as for `several_pieces`.
        """
        numbers, pieces = _pieces(labels, annotated)
        self._objects += len(numbers)
        self._found.append((place, _several(numbers, pieces)))

    def describe(self) -> str | None:
        """Return `describe_pieces` of all."""
        return describe_pieces(self._found, self._objects)


def several_pieces(labels: NDArray[Any], annotated: NDArray[np.bool_] | None = None) -> list[int]:
    """Return the numbers of the objects of a page that are in several pieces, which do not touch at corners.

    Parameters
    ----------
    labels : ndarray, shape (height, width)
        Whole numbers, 0 where no object is.
    annotated : ndarray of bool, optional
        Where it is known what the pixels are. Pieces that touch others may be one there.
    """
    return _several(*_pieces(labels, annotated))


def _several(numbers: NDArray[Any], pieces: NDArray[np.int64]) -> list[int]:
    found: list[int] = numbers[pieces > 1].tolist()
    return found


def owners_of_parts(parts: NDArray[np.integer[Any]], labels: NDArray[Any]) -> NDArray[Any]:
    """Return the number of the object of each connected part, in the order of the parts from 1 on.

    Parameters
    ----------
    parts : ndarray of int
        Number of the part of each pixel; 0 belongs to none.
    labels : ndarray
        Number of the object of each pixel, which is one all over a part.
    """
    owners = np.zeros(int(parts.max(initial=0)) + 1, labels.dtype)
    owners[parts.ravel()] = labels.ravel()
    return owners[1:]


def _pieces(
    labels: NDArray[Any], annotated: NDArray[np.bool_] | None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the numbers of the objects, and of how many pieces each is."""
    from skimage.measure import label

    parts = label(labels, background=0, connectivity=labels.ndim)  # type: ignore[no-untyped-call]
    owners = owners_of_parts(parts, labels)
    whole = np.ones(len(owners), bool)
    if annotated is not None:
        beside = ndimage.binary_dilation(~annotated, np.ones((3,) * labels.ndim, bool))
        whole[np.unique(parts[beside & (parts > 0)]) - 1] = False
    numbers, places = np.unique(owners, return_inverse=True)
    pieces = np.bincount(places[whole], minlength=len(numbers))
    return numbers, pieces + (np.bincount(places[~whole], minlength=len(numbers)) > 0)


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
