"""Where pages lie, and whether those of two images go together by their numbers."""

import numpy as np
from numpy.typing import NDArray

from unet2015.images.image import Image

_UNUSUAL = ("Z", "T")
"""Axes whose pages other programs may count in another order, as slices of a time come first elsewhere."""


def stack_axes(image: Image) -> tuple[str, ...]:
    """Return the axes of pages along which there are several; some formats cannot tell one of length 1."""
    return tuple(_steps(image))


def places_of_pages(like: Image) -> list[dict[str, int]]:
    """Return of each page its place along `stack_axes`, from 0, where these are several; else nothing."""
    along = stack_axes(like)
    if len(along) < 2:
        return [{}] * like.pages
    whole = (like.place_of(page) for page in range(like.pages))
    return [{letter: at for letter, at in place.items() if letter in along} for place in whole]


def other_order(one: Image, other: Image) -> str | None:
    """Return in words how the pages of two images are ordered otherwise; None if nothing speaks against them.

    Pages are counted along the axes of each file, so page 1 of TZYX is not page 1 of ZTYX. An axis that both
    images have must have the same length and the same place. An axis without a name (I) goes with any.
    """
    first, second = _steps(one), _steps(other)
    same = all(first[letter] == second[letter] for letter in first.keys() & second.keys() - {"I"})
    return None if same else _both(one, other)


def other_names(one: Image, other: Image, called: str | None = None) -> str | None:
    """Return a note where pages go together by number alone, as their axes mean different things; else None.

    Such are frames in one file and slices in the other: ImageJ saves a stack as slices unless told more. So
    are pages without a name where the other file has a stack of times, as most programs count slices first.
    The note calls the first image `called`, by default by its name.
    """
    first, second = _steps(one), _steps(other)
    mine, theirs = first.keys() - second.keys(), second.keys() - first.keys()
    if not mine or not theirs:
        return None
    how = ""
    if "I" in mine | theirs:
        if _UNUSUAL not in (tuple(first), tuple(second)):
            return None
        how = f", where the {_UNUSUAL[-1]} of one changes first"
    return (
        f"{_both(one, other, called)}; they are taken to go together by their number{how}: see that they do"
    )


def other_way(one: Image, other: Image) -> NDArray[np.int64] | None:
    """Return for each page of an image that of another one with which it goes if one is counted otherwise.

    None but where pages of some kind (I) go by number with those along two axes with names. The file may have
    them along the same axes in the other order. Both images have as many pages.
    """
    steps = _steps(one), _steps(other)
    if sorted(map(len, steps)) != [1, 2]:
        return None
    named, unnamed = sorted(steps, key=len, reverse=True)
    if [*unnamed] != ["I"] or "I" in named:
        return None
    lengths = [length for length, _ in named.values()]
    return np.arange(one.pages).reshape(lengths if named is steps[1] else lengths[::-1]).T.ravel()


def describe_pages(one: Image, other: Image, called: str) -> str:
    """Return in words along which axes the pages of two images lie; the first is `called` so."""
    return _both(one, other, called)


def _steps(image: Image) -> dict[str, tuple[int, int]]:
    """Return length of each axis of pages, and how many pages lie between two neighbours along it."""
    steps, step = {}, 1
    for letter, length in zip(image.page_axes[::-1], image.page_shape[::-1], strict=True):
        if length > 1:
            steps[letter] = (length, step)
        step *= length
    return dict(reversed(steps.items()))


def _both(one: Image, other: Image, called: str | None = None) -> str:
    said = [
        " x ".join(f"{letter} {length}" for letter, (length, _) in _steps(image).items())
        for image in (one, other)
    ]
    return f"its pages are {said[1]}, those of {called or one.name} {said[0]}"
